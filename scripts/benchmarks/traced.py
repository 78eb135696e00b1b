"""Live bytes of a network's call on Metal, counted in its traced graph: nothing is evaluated.

``mx.export_function`` gives every primitive with shapes and types. Counted is what MLX's Metal
backend does with them, as its source has it:

* a compiled function, a norm, an attention of a fused head size and a Metal kernel are one launch
  each. :func:`prepare` puts stand-ins in their place, so call it before the networks are imported;
* views (transposes, slices, splits, reshapes whose strides allow it) share their array's buffer,
  which lives as long as any of them;
* an elementwise launch, a norm and a softmax write into an input's buffer if nothing else needs
  it and it is as large;
* attention writes its heads last but one, so that joining them is a view;
* the buffers that a launch is the last to read are free when it has run, which is while the next
  one is made ready. MLX makes more than one ready where there is room, and waits where there isn't
  (``mx.set_memory_limit``);
* weights hold nothing here: they are constants of the trace, or :func:`lazy`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

VIEWS = frozenset(
    "Broadcast BroadcastAxes Slice Split Transpose Reshape Squeeze ExpandDims Flatten Unflatten "
    "Depends StopGradient".split()
)
# Primitives that write into an input that nothing else needs. The inverse error function stands
# for a launch that does so, the error function for one that doesn't.
IN_PLACE = frozenset(
    "Abs Add AsType Cos Divide Erfinv ErfInv Exp Log Maximum Minimum Multiply Negative Power Rsqrt "
    "Select Sigmoid Sin Softmax Sqrt Square Subtract Tanh".split()
)
NOTHING = frozenset({"Full"})
# Stands for the second output of a launch, whose first one it reads.
BESIDE = "Expm1"
STAND_INS = frozenset({"Erf", "Erfinv", "ErfInv", BESIDE})

Array = tuple[str, tuple[int, ...], Any]
"""Name, shape and type, as a trace has them."""


def launch(like: mx.array, *inputs: mx.array, in_place: bool) -> mx.array:
    """A stand-in for one launch: as large as `like`, and after `inputs`."""
    empty = mx.depends([mx.zeros(like.shape, like.dtype)], list(inputs))[0]
    return mx.erfinv(empty) if in_place else mx.erf(empty)


def beside(first: mx.array, *inputs: mx.array) -> mx.array:
    """A stand-in for the second output of the launch that makes `first`, as large as that."""
    empty = mx.depends([mx.zeros(first.shape, first.dtype)], [first, *inputs])[0]
    return mx.expm1(empty)


def compiled(function: Callable[..., mx.array] | None = None, **_: Any) -> Any:
    """In place of ``mx.compile``: the function as one launch."""
    if function is None:
        return compiled
    run = function

    def one(*arguments: Any) -> mx.array:
        return launch(run(*arguments), *_arrays(arguments), in_place=True)

    return one


def prepare(compile_as: Callable[..., Any] = compiled) -> None:
    """Put the stand-ins in place, in this process, for good. compile_as: that of ``mx.compile``."""
    mlx: Any = mx
    mlx.compile = compile_as
    mlx.fast.rms_norm = _norm
    mlx.fast.layer_norm = _norm
    mlx.fast.scaled_dot_product_attention = _attention
    from mlxvid import kernels
    from mlxvid.kernels.temporal_launch import HEAD_SIZES, LONGEST
    from mlxvid.layers import bounds, cores

    metal: Any = kernels
    metal.temporal_attention = _over_time
    metal.temporal_attention_split = _over_time_split
    metal.modulated = _modulated
    metal.added_and_modulated = _added_and_modulated
    metal.attends_over = lambda T, D: T <= LONGEST and D in HEAD_SIZES
    metal.normed_rotated = _normed_rotated
    metal.joined_gelu = _joined_gelu
    lazy: Any = bounds
    lazy.evaluate = lambda x, share=None: None
    elsewhere: Any = cores
    elsewhere.computes = lambda: False


def lazy(network: Any, dtype: mx.Dtype) -> Any:
    """The network with weights that are never made, so that one of any size takes no memory.

    Those of one shape have each a number of its own: a trace has what is equal once, and layers
    that read the same tokens through equal weights would be one.
    """
    network.set_dtype(dtype)
    alike: Counter[tuple[int, ...]] = Counter()

    def numbered(weight: mx.array) -> mx.array:
        alike[weight.shape] += 1
        return mx.full(weight.shape, alike[weight.shape] / 256, weight.dtype)

    network.update(tree_map(numbered, network.parameters()))
    return network


def _norm(x: mx.array, *_: Any) -> mx.array:
    return launch(x, x, in_place=True)


def _over_time(qkv: mx.array, *_: Any) -> mx.array:
    joined = qkv[:, :, :, 0].reshape(*qkv.shape[:3], -1)
    return launch(joined, qkv, in_place=False)


def _over_time_split(q: mx.array, k: mx.array, v: mx.array, *_: Any) -> mx.array:
    return launch(q.reshape(*q.shape[:3], -1), q, k, v, in_place=False)


def _modulated(x: mx.array, *vectors: Any, **_: Any) -> mx.array:
    return launch(x, x, *_arrays(vectors), in_place=False)


def _added_and_modulated(
    x: mx.array, change: mx.array, gate: mx.array | None, *vectors: Any, **_: Any
) -> tuple[mx.array, mx.array]:
    total = launch(x, x, change, *_arrays([gate]), in_place=False)
    return total, beside(total, *_arrays(vectors))


def _arrays(arguments: Iterable[Any]) -> list[mx.array]:
    return [a for a in arguments if isinstance(a, mx.array)]


def _normed_rotated(
    x: mx.array, weight: mx.array, rope: Any, *_: Any, more: Any = None
) -> mx.array:
    like = x if more is None else mx.concatenate([x, more[0]], axis=1)
    return launch(like, x, weight, rope.cos, rope.sin, *(more or ()), in_place=False)


def _joined_gelu(x: mx.array, inner: mx.array, _: Any) -> mx.array:
    return launch(mx.concatenate([x, inner], axis=-1), x, inner, in_place=False)


def _attention(q: mx.array, k: mx.array, v: mx.array, **_: Any) -> mx.array:
    # Heads last but one, which is how the kernel writes them.
    b, h, n, d = q.shape
    like = mx.zeros((b, n, h, d), q.dtype)
    return launch(like, q, k, v, in_place=False).transpose(0, 2, 1, 3)


def traced(
    call: Callable[..., mx.array], *inputs: mx.array
) -> tuple[list[dict[str, Any]], set[str]]:
    """What ``mx.export_function`` says of call(*inputs), and the names of its outputs."""
    trace: list[dict[str, Any]] = []
    mx.export_function(trace.append, call, *inputs)
    outputs = {
        array[0] for entry in trace if entry["type"] == "outputs" for array in entry["outputs"]
    }
    return trace, outputs


def peak_bytes(call: Callable[..., mx.array], *inputs: mx.array) -> int:
    """The most bytes that are live at once in call(*inputs), its inputs and output among them."""
    trace, outputs = traced(call, *inputs)
    primitives = [entry for entry in trace if entry["type"] == "primitive"]
    held = sum(
        nbytes(array) for entry in trace if entry["type"] == "inputs" for array in entry["inputs"]
    )
    return held + Live(primitives, outputs).peak()


@dataclass
class _Layout:
    """roots: the buffers that an array keeps alive. strides: in values, 0 where it repeats."""

    roots: frozenset[str]
    strides: tuple[int, ...]


class Live:
    """The buffers of traced primitives, and the views of them."""

    def __init__(self, primitives: list[dict[str, Any]], outputs: set[str]):
        self.primitives = primitives
        self.outputs = outputs
        self.layouts: dict[str, _Layout] = {}
        self.shapes: dict[str, Array] = {}

    def peak(self) -> int:
        """The most bytes at once, in the trace's order."""
        owned: list[list[Array]] = []
        for primitive in self.primitives:
            for array in (*primitive["inputs"], *primitive["outputs"]):
                self.shapes[array[0]] = array
            owned.append(self.placed(primitive))
        last = self._last_uses()
        sizes: dict[str, int] = {}
        running = 0  # what the launch before holds for itself until it has run
        peak = 0
        for i, primitive in enumerate(self.primitives):
            if not owned[i]:
                continue
            dying = [root for root in sizes if last.get(root, -1) <= i]
            inputs = {root for a in primitive["inputs"] for root in self.layout(a).roots}
            for array in owned[i]:
                size = nbytes(array)
                if primitive["name"] in IN_PLACE:
                    spare = [r for r in dying if r in inputs and sizes[r] == size][:1]
                    for root in spare:
                        dying.remove(root)
                        del sizes[root]
                sizes[array[0]] = size
            peak = max(peak, sum(sizes.values()) + running)
            running = sum(sizes.pop(root) for root in dying)
        return peak

    def _last_uses(self) -> dict[str, int]:
        last: dict[str, int] = {}
        for i, primitive in enumerate(self.primitives):
            if primitive["name"] in VIEWS and not self._copies(primitive):
                continue  # what it views is needed where the view is read
            for array in primitive["inputs"]:
                for root in self.layout(array).roots:
                    last[root] = i
        for name in self.outputs:
            for root in self.layout(self.shapes[name]).roots:
                last[root] = len(self.primitives)
        return last

    def _copies(self, primitive: dict[str, Any]) -> bool:
        (name, *_), *_ = primitive["outputs"]
        return self.layouts[name].roots == frozenset({name})

    def placed(self, primitive: dict[str, Any]) -> list[Array]:
        """Keep the layouts of a primitive's outputs; returns those with a buffer of their own."""
        kind = primitive["name"]
        outputs = primitive["outputs"]
        if kind in NOTHING:
            for array in outputs:
                self.layouts[array[0]] = _Layout(frozenset(), _row_major(array[1]))
            return []
        if kind not in VIEWS:
            for array in outputs:
                self.layouts[array[0]] = _Layout(frozenset({array[0]}), _row_major(array[1]))
            return list(outputs)
        roots = frozenset(root for a in primitive["inputs"] for root in self.layout(a).roots)
        copied = []
        for array in outputs:
            strides = self._viewed(kind, primitive, array)
            if strides is None:
                self.layouts[array[0]] = _Layout(frozenset({array[0]}), _row_major(array[1]))
                copied.append(array)
            else:
                self.layouts[array[0]] = _Layout(roots, strides)
        return copied

    def _viewed(
        self, kind: str, primitive: dict[str, Any], output: Array
    ) -> tuple[int, ...] | None:
        """The strides of a view, or None where it has to be a copy."""
        source = primitive["inputs"][0]
        shape = tuple(source[1])
        strides = self.layout(source).strides
        out = tuple(output[1])
        if kind == "Transpose":
            (axes,) = primitive["arguments"]
            return tuple(strides[axis] for axis in axes)
        if kind in ("Broadcast", "BroadcastAxes"):
            padded = (1,) * (len(out) - len(shape)) + shape
            steps = (0,) * (len(out) - len(shape)) + strides
            return tuple(s if n == m else 0 for s, n, m in zip(steps, padded, out, strict=True))
        if kind in ("Slice", "Split", "Depends", "StopGradient"):
            return strides
        return _reshaped(shape, strides, out)

    def layout(self, array: Array) -> _Layout:
        name, shape, _ = array
        if name not in self.layouts:  # an input of the call, or a constant
            self.layouts[name] = _Layout(frozenset(), _row_major(shape))
        return self.layouts[name]


def _reshaped(
    shape: tuple[int, ...], strides: tuple[int, ...], out: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The strides of an array in another shape, or None where that can't be a view."""
    merged: list[list[int]] = []  # sides and strides, as few as they are
    for side, stride in zip(shape, strides, strict=True):
        if side == 1:
            continue
        if merged and merged[-1][1] == side * stride:
            merged[-1] = [merged[-1][0] * side, stride]
        else:
            merged.append([side, stride])
    result = []
    for side in reversed(out):
        if side == 1 or not merged:
            result.append(merged[-1][1] if merged else 1)
            continue
        whole, stride = merged[-1]
        if whole % side:
            return None
        result.append(stride)
        merged[-1] = [whole // side, stride * side]
        if merged[-1][0] == 1:
            merged.pop()
    return tuple(reversed(result))


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = []
    step = 1
    for side in reversed(tuple(shape)):
        strides.append(step)
        step *= side
    return tuple(reversed(strides))


def nbytes(array: Array) -> int:
    _, shape, dtype = array
    return math.prod(shape) * dtype.size
