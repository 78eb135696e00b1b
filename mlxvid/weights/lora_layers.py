"""LoRAs in a network: low-rank and full differences added to its weights, for any family."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from mlxvid.errors import WeightsError

from .lora_changes import Change, change, shapes
from .lora_places import Modules, Place, nothing_fits, placed
from .tensors import printable

Tensors: TypeAlias = Mapping[str, mx.array]
Share: TypeAlias = Callable[[nn.Module], nn.Module]


class LoraLinear(nn.QuantizedLinear):
    """A quantized layer and what LoRAs add to it: base(x) + x down^T up^T + x full^T.

    The quantized weights stay as they are. Several LoRAs stand in one pair of factors, rank after
    rank. `full` differences stay apart as well: added to 4-bit weights most of them would be lost
    in the rounding.
    """

    def __init__(self, base: nn.QuantizedLinear, change: Change):
        nn.Module.__init__(self)
        self.group_size = base.group_size
        self.bits = base.bits
        self.mode = base.mode
        for name, array in base.items():
            self[name] = array
        dtype = self.scales.dtype
        if change.factors is not None:
            down, up = (factor.astype(dtype) for factor in change.factors)
            self["down"] = mx.concatenate([self["down"], down]) if "down" in self else down
            self["up"] = mx.concatenate([self["up"], up], axis=1) if "up" in self else up
        if change.full is not None:
            full = change.full.astype(dtype)
            self["full"] = self["full"] + full if "full" in self else full
        self.freeze()

    def __call__(self, x: mx.array) -> mx.array:
        y = super().__call__(x)
        if "down" in self:
            y = y + (x @ self["down"].T) @ self["up"].T
        if "full" in self:
            y = y + x @ self["full"].T
        return y

    def sharded(self, share: Share, by_outputs: bool) -> nn.Module:
        """This layer with the share that a machine has of it (:mod:`mlxvid.layers.sharded`).

        share: makes that of a linear layer. by_outputs: whether it has outputs, or inputs.
        """
        return SharedLora(self, share, by_outputs)


class SharedLora(nn.Module):
    """A :class:`LoraLinear` of which each of several machines has a share."""

    def __init__(self, layer: LoraLinear, share: Share, by_outputs: bool):
        super().__init__()
        size = layer.group_size
        base = nn.QuantizedLinear(size, 1, False, size, layer.bits, layer.mode)
        for name in ("weight", "scales", "biases", "bias"):
            if name in layer:
                base[name] = layer[name]
        self.base = share(base)
        if "down" in layer:
            down = _linear(layer["down"])
            up = _linear(layer["up"])
            self.down = down if by_outputs else share(down)
            self.up = share(up) if by_outputs else up
        if "full" in layer:
            self.full = share(_linear(layer["full"]))

    @property
    def weight(self) -> mx.array:
        return self.base.weight

    def __call__(self, x: mx.array) -> mx.array:
        y = self.base(x)
        if "down" in self:
            y = y + self.up(self.down(x))
        if "full" in self:
            y = y + self.full(x)
        return y


def _linear(weight: mx.array) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    layer.weight = weight
    return layer


def apply_lora(network: nn.Module, tensors: Tensors, scale: float, source: str) -> str | None:
    """Add a LoRA's `tensors` (see :func:`mlxvid.weights.lora_file.read_lora`), times `scale`.

    The network has its weights, and is quantized if it is to be. Weights that are not quantized
    take the sum: that costs nothing at run time, where factors apart would cost two more products
    and two more passes over a layer's output. Quantized layers become :class:`LoraLinear`. Nothing
    is evaluated here, so that with tensors and weights of the right shapes and any values it tells
    whether a LoRA fits.

    Tensors are found by the network's own names or, where its class has `original_name(name)` or
    `repackaged_name(name)`, by those of the original release or another; its `sanitize(weights)`
    turns their axes. FUSED_LAYERS says which of its layers some trainers have in one, and
    PICTURE_LAYERS, a pattern, which depend on the pictures that a model reads.
    `lora_tensors(tensors, source)` changes what releases have otherwise than by their names.
    `source` is what messages call the LoRA.

    Returns a line on what is left out, if anything. Raises :class:`WeightsError`, and leaves the
    network as it was, where nothing has a place or something does not fit.
    """
    if hasattr(network, "lora_tensors"):
        tensors = network.lora_tensors(tensors, source)
    found = placed(network, tensors, source)
    left_out = found.left_out
    modules = dict(network.named_modules())
    changes = []
    for place, parts in found.parts.items():
        unfit = _unfit(network, modules, place, parts, tensors)
        if unfit is None:
            given = _given(network, modules, place, parts, tensors)
            weights = [_weight(modules, name) for name in place]
            weight = mx.concatenate(weights) if len(weights) > 1 else weights[0]
            changes.append((place, change(given, weight, scale)))
        elif _has_other_inputs(network, modules, place, unfit, tensors[parts[unfit]]):
            left_out.picture.add(place[0])
        else:
            raise _does_not_fit(modules, place, unfit, parts[unfit], tensors, source)
    if not changes:
        raise nothing_fits(left_out, source)
    if scale:
        _add(network, modules, changes)
    return left_out.note(source)


def _add(network: nn.Module, modules: Modules, changes: list[tuple[Place, Change]]) -> None:
    wrapped: dict[str, nn.Module] = {}
    for place, whole in changes:
        start = 0
        for name in place:
            stop = start + _shape(modules, name)[0]
            part = whole.rows(start, stop) if len(place) > 1 else whole
            start = stop
            layer = wrapped.get(name, modules.get(name))
            if layer is None:
                owner, leaf = _owner(modules, name)
                owner[leaf] = part.added_to(owner[leaf])
                continue
            if not isinstance(layer, nn.QuantizedLinear):
                layer.weight = part.added_to(layer.weight)
            elif part.factors is not None or part.full is not None:
                layer = LoraLinear(layer, part)
                wrapped[name] = layer
            if part.bias is not None:
                layer.bias = (layer.bias + part.bias).astype(layer.bias.dtype)
    network.update_modules(tree_unflatten(list(wrapped.items())))


# --- what fits -----------------------------------------------------------------------------------


def _given(
    network: nn.Module, modules: Modules, place: Place, parts: Mapping[str, str], tensors: Tensors
) -> dict[str, mx.array]:
    """The tensors of a place's change by their part, in float32, with the network's axes."""
    name = place[0] if modules.get(place[0]) is None else f"{place[0]}.weight"
    return {
        part: _in_our_axes(network, name, part, tensors[key].astype(mx.float32))
        for part, key in parts.items()
    }


def _unfit(
    network: nn.Module, modules: Modules, place: Place, parts: Mapping[str, str], tensors: Tensors
) -> str | None:
    """The first part of a place's change whose shape does not fit; None where all do."""
    given = _given(network, modules, place, parts, tensors)
    if _is_convolution(network, place[0]):
        for part, key in parts.items():
            if part in ("down", "diff") and tensors[key].ndim < 3:
                return part
            if part.startswith(("hada_", "lokr_")):
                return part
    rows = sum(_shape(modules, name)[0] for name in place)
    expected = shapes(given, (rows, *_shape(modules, place[0])[1:]))
    for part, array in given.items():
        if array.shape != expected[part]:
            return part
    return None


def _is_convolution(network: nn.Module, place: str) -> bool:
    """Whether a matrix of the network is a convolution's in the checkpoints."""
    name = f"{place}.weight"
    probe = mx.zeros((1, 1, 1, 1, 1))
    sanitize = getattr(network, "sanitize", dict)
    return sanitize({name: probe})[name].ndim == 2


def _has_other_inputs(
    network: nn.Module, modules: Modules, place: Place, part: str, tensor: mx.array
) -> bool:
    """Whether a change is that of a convolution of the same outputs and of other inputs: models
    for pictures have these among the channels that they read.
    """
    if part not in ("down", "diff") or tensor.ndim < 3 or not _is_convolution(network, place[0]):
        return False
    return part == "down" or tensor.shape[0] == _shape(modules, place[0])[0]


def _does_not_fit(
    modules: Modules, place: Place, part: str, key: str, tensors: Tensors, source: str
) -> WeightsError:
    shape = tuple(tensors[key].shape)
    name = place[0] if modules.get(place[0]) is None else f"{place[0]}.weight"
    own = _shape(modules, place[0])
    size = ""
    if part == "down" and len(shape) == 2 and shape[1] != own[-1]:
        size = f", being of a model that is {shape[1]} wide there, not {own[-1]}"
    return WeightsError(
        f"{printable(key)} in {source} is {shape}, which does not fit this model's {name}, "
        f"{tuple(own)}{size}; use a LoRA that was made for it."
    )


def _shape(modules: Modules, place: str) -> tuple[int, ...]:
    """The shape of the tensor that a place's change is added to, not quantized."""
    layer = modules.get(place)
    if layer is None:
        owner, leaf = _owner(modules, place)
        return owner[leaf].shape
    shape = layer.weight.shape
    if isinstance(layer, nn.QuantizedLinear):
        return shape[0], shape[1] * 32 // layer.bits
    return shape


def _weight(modules: Modules, place: str) -> mx.array:
    """The tensor that a place's change is added to, with what earlier LoRAs added."""
    layer = modules.get(place)
    if layer is None:
        owner, leaf = _owner(modules, place)
        return owner[leaf]
    if not isinstance(layer, nn.QuantizedLinear):
        return layer.weight
    weight = mx.dequantize(
        layer.weight,
        layer.scales,
        layer.get("biases"),
        group_size=layer.group_size,
        bits=layer.bits,
        mode=layer.mode,
    )
    if "down" in layer:
        weight = weight + layer["up"] @ layer["down"]
    return weight + layer["full"] if "full" in layer else weight


def _owner(modules: Modules, place: str) -> tuple[nn.Module, str]:
    """The module that has the tensor `place`, and the tensor's name in it."""
    owner, _, leaf = place.rpartition(".")
    return modules[owner], leaf


def _in_our_axes(network: nn.Module, name: str, part: str, tensor: mx.array) -> mx.array:
    """A part of the change of the tensor `name`, with its axes as the network has them."""
    if part in ("down", "diff") and tensor.ndim > 1 and tensor.size:
        sanitize: Callable[[dict[str, mx.array]], dict[str, mx.array]]
        sanitize = getattr(network, "sanitize", dict)
        tensor = sanitize({name: tensor})[name]
    # Of a convolution, the factors' last axes are its kernel's.
    if part in ("down", "up") and tensor.ndim > 2:
        tensor = tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))
    if part in ("alpha", "scaling") and tensor.size == 1:
        tensor = tensor.reshape(1)
    return tensor
