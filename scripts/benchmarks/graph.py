"""What a transformer block costs on Metal, counted in its traced graph: nothing is evaluated.

Launches, the bytes that they read and write, and the bytes that are live at once, at the released
sizes. A block is what a network of two has more than a network of one, and half of it where that is
a block over space and one over time. Counted is what MLX does
(:mod:`scripts.benchmarks.traced`), with work that isn't cut into parts; of a compiled function the
elementwise operations are one launch, and all others one each. The minimum is the tokens in and out
once, and the weights once.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten, tree_map

from . import traced

ROOT = Path(__file__).resolve().parents[2]
# Elementwise primitives, which a compiled function has in one launch where only such read them.
ELEMENTWISE = traced.IN_PLACE - {"Softmax", "Erfinv", "ErfInv"}
MANY = 1e30  # operations an evaluation: no work is cut into parts


@dataclass(frozen=True)
class Cost:
    """Of a call: launches, bytes read and written, those of them in float32, and live bytes."""

    launches: float
    moved: float
    wide: float
    live: int


@dataclass(frozen=True)
class Row:
    """A block of a network. unit: bytes of its tokens. minimum: bytes that must be moved."""

    name: str
    cost: Cost
    unit: int
    minimum: float

    @property
    def units(self) -> float:
        """Bytes moved, in those of the tokens."""
        return self.cost.moved / self.unit


def compiled(function: Callable[..., Any] | None = None, **_: Any) -> Any:
    """In place of ``mx.compile``: the function as it is, with marks at its edges."""
    if function is None:
        return compiled
    run = function

    def marked(*arguments: Any) -> Any:
        if _Depth.now:
            return run(*arguments)
        _Depth.now += 1
        try:
            inside = tree_map(_marked, list(arguments))
            return tree_map(_marked, run(*inside))
        finally:
            _Depth.now -= 1

    return marked


class _Depth:
    now = 0  # compiled functions that are being traced, one within the other


def _marked(value: Any) -> Any:
    """An array at a compiled function's edge: as one that depends on itself."""
    return mx.depends([value], [value])[0] if isinstance(value, mx.array) else value


def prepare() -> None:
    """Put the stand-ins in place, in this process, for good: before the networks are imported."""
    traced.prepare(compiled)
    from mlxvid.layers import bounds

    mlx: Any = mx
    mlx.default_device = lambda: mx.Device(mx.gpu)
    whole: Any = bounds
    whole.eval_ops = lambda: MANY


def cost(call: Callable[..., mx.array], *inputs: mx.array) -> Cost:
    """The cost of call(*inputs)."""
    trace, outputs = traced.traced(call, *inputs)
    launches = launched([entry for entry in trace if entry["type"] == "primitive"])
    live = traced.Live(launches, outputs)
    count = 0
    moved = 0
    wide = 0
    for primitive in launches:
        if not live.placed(primitive):
            continue
        count += primitive["name"] != traced.BESIDE
        reads = {array[0]: array for array in primitive["inputs"]}.values()
        arrays = [(array, live.layout(array).strides) for array in reads]
        arrays += [(array, (1,) * len(array[1])) for array in primitive["outputs"]]
        for array, strides in arrays:
            size = _bytes(array, strides)
            moved += size
            wide += size if array[2] == mx.float32 else 0
    return Cost(count, moved, wide, live.peak() + sum(x.nbytes for x in inputs))


def _bytes(array: traced.Array, strides: tuple[int, ...]) -> int:
    """Bytes of the array's values that are not repeated; a single value is a constant."""
    _, shape, dtype = array
    values = math.prod(side for side, stride in zip(shape, strides, strict=True) if stride)
    return values * dtype.size if values > 1 else 0


def launched(primitives: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The primitives with each compiled chain, and each stand-in, as one that reads what all of it
    reads.
    """
    made = {array[0]: p for p in primitives for array in p["outputs"]}
    inside = _inside(primitives)
    users: dict[str, list[dict[str, Any]]] = {}
    for primitive in primitives:
        for array in primitive["inputs"]:
            users.setdefault(array[0], []).append(primitive)

    def name(primitive: dict[str, Any]) -> str:
        return primitive["outputs"][0][0]

    heads: dict[str, str] = {}  # of what is in a launch: the primitive that the launch ends with
    for primitive in reversed(primitives):
        own = name(primitive)
        heads[own] = own
        if own not in inside or primitive["name"] not in ELEMENTWISE | {"Broadcast"}:
            continue
        readers = users.get(own, [])
        ends = {heads[name(reader)] for reader in readers}
        chained = all(
            name(reader) in inside and reader["name"] in ELEMENTWISE | {"Broadcast"}
            for reader in readers
        )
        if len(ends) == 1 and chained:
            heads[own] = ends.pop()

    def reads(primitive: dict[str, Any], head: str) -> list[traced.Array]:
        found = []
        for array in primitive["inputs"]:
            before = made.get(array[0])
            if before is not None and heads[name(before)] == head:
                found += reads(before, head)
            else:
                found.append(array)
        return found

    result = []
    for primitive in primitives:
        own = name(primitive)
        if heads[own] != own:
            continue
        inputs = primitive["inputs"]
        if _stands_in(primitive):
            without = 2 if primitive["name"] == traced.BESIDE else 1
            inputs = made[inputs[0][0]]["inputs"][without:]
        elif primitive["name"] in ELEMENTWISE:
            inputs = reads(primitive, own)
        result.append({**primitive, "inputs": inputs})
    stood = {made[p["inputs"][0][0]]["outputs"][0][0] for p in primitives if _stands_in(p)}
    return [primitive for primitive in result if name(primitive) not in stood]


def _stands_in(primitive: dict[str, Any]) -> bool:
    return primitive["name"] in traced.STAND_INS


def _inside(primitives: list[dict[str, Any]]) -> set[str]:
    """The arrays within compiled functions."""
    inside: set[str] = set()
    for primitive in primitives:
        names = [array[0] for array in primitive["inputs"]]
        within = not inside.isdisjoint(names)
        is_edge = primitive["name"] == "Depends" and names[1:] == names[:1]
        if within != is_edge:
            inside.update(array[0] for array in primitive["outputs"])
    return inside


def row(
    name: str,
    network_of: Callable[[int], Any],
    *inputs: mx.array,
    tokens: mx.array,
    blocks: int = 1,
) -> Row:
    """What one more block costs. network_of(count): a network as a function of the inputs, whose
    weights are in `network`. tokens: as large as what goes from block to block. blocks: that a
    network of one more has more.
    """
    one = network_of(1)
    two = network_of(2)
    before = cost(one, *inputs)
    after = cost(two, *inputs)
    weights = _weights(two.network) - _weights(one.network)
    each = Cost(
        (after.launches - before.launches) / blocks,
        (after.moved - before.moved) / blocks,
        (after.wide - before.wide) / blocks,
        after.live,
    )
    return Row(name, each, tokens.nbytes, 2 * tokens.nbytes + weights / blocks)


def _weights(network: Any) -> int:
    tensors = cast(list[tuple[str, mx.array]], tree_flatten(network.parameters()))
    return sum(tensor.nbytes for _, tensor in tensors)


def rows() -> list[Row]:
    """A block of every family."""
    from . import graph_blocks

    return [
        row(name, case.network_of, case.latents, tokens=case.tokens, blocks=case.blocks)
        for name, case in graph_blocks.cases().items()
    ]


def table(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| block | tokens, MiB | launches | moved, units | of it float32 | least | live, units |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in rows:
        values = (
            f"{each.unit / 2**20:.0f}",
            f"{each.cost.launches:g}",
            f"{each.units:.1f}",
            f"{100 * each.cost.wide / each.cost.moved:.0f}%",
            f"{each.minimum / each.unit:.1f}",
            f"{each.cost.live / each.unit:.1f}",
        )
        lines.append(f"| {each.name} | {' | '.join(values)} |")
    return "\n".join(lines)


def printed() -> str:
    """What :func:`table` gives in a process of its own, which has loaded no network yet."""
    lines = (
        "import mlxvid",
        "from scripts.benchmarks import graph",
        "graph.prepare()",
        "print(graph.table(graph.rows()))",
    )
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def bench() -> None:
    """Print the table of docs/speed.md."""
    print(printed(), end="")
