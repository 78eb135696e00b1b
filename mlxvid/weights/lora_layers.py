"""LoRAs in a network: low-rank and full differences added to its weights, for any family.

Read are the spellings of Diffusers and PEFT, of the original releases and ComfyUI, and of kohya's
trainers; and beside the factors the full differences (``.diff``, ``.diff_b``, ``.diff_m``) that
few-step distillations carry.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from mlxvid.errors import WeightsError

from .lora import first_few

# A tensor's name in a LoRA file: the place in the network, and which part of its change it is. An
# adapter's name before the last segment ("lora_A.default.weight", as PEFT has it) says nothing: a
# file holds one adapter.
_KEY = re.compile(
    r"(?:lora_unet_|(?:base_model\.model\.)?(?:model\.)?(?:transformer\.|diffusion_model\.)?)"
    r"(?P<place>.+?)\."
    r"(?:lora[_.](?P<side>A|down|B|up)(?:\.[^.]+)?\.(?P<leaf>weight|bias)"
    r"|(?P<other>alpha|diff|diff_b|diff_m))",
    re.DOTALL,
)
_SIDES = {"A": "down", "down": "down", "B": "up", "up": "up"}

Tensors: TypeAlias = Mapping[str, mx.array]
Modules: TypeAlias = Mapping[str, nn.Module]
Parts: TypeAlias = dict[str, str]
"""The file's key of each part of a place's change: down, up, up_b and alpha of the factors, diff
and diff_b in full."""


class Change(NamedTuple):
    """What a LoRA adds at one place, in float32.

    To its weight the product of `factors` (down, up) and a `full` difference; to its bias.
    """

    factors: tuple[mx.array, mx.array] | None
    full: mx.array | None
    bias: mx.array | None

    def added_to(self, weight: mx.array) -> mx.array:
        """The weight with the change in it, summed in float32, in its own type."""
        total = weight
        if self.factors is not None:
            down, up = self.factors
            total = mx.addmm(total, up, down)
        if self.full is not None:
            total = total + self.full
        return total.astype(weight.dtype)


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


def apply_lora(network: nn.Module, tensors: Tensors, scale: float, source: str) -> None:
    """Add a LoRA's `tensors` (see :func:`mlxvid.weights.lora.read_lora`), times `scale`.

    The network has its weights, and is quantized if it is to be. Weights that are not quantized
    take the sum: that costs nothing at run time, where factors apart would cost two more products
    and two more passes over a layer's output. Quantized layers become :class:`LoraLinear`. Nothing
    is evaluated here.

    Tensors are found by the network's own names or, where its class has `original_name(name)`, by
    those of the original release; its `sanitize(weights)` turns their axes. `source` is what errors
    call the LoRA. Raises :class:`WeightsError`, and leaves the network as it was, where one of the
    tensors has no place or does not fit.
    """
    modules = dict(network.named_modules())
    changes = {}
    for place, parts in _placed(network, modules, tensors, source).items():
        changes[place] = _change(network, modules, place, parts, tensors, scale, source)
    if not scale:
        return
    wrapped = []
    for place, change in changes.items():
        layer = modules.get(place)
        if layer is None:
            owner, leaf = _owner(modules, place)
            owner[leaf] = change.added_to(owner[leaf])
            continue
        if not isinstance(layer, nn.QuantizedLinear):
            layer.weight = change.added_to(layer.weight)
        elif change.factors is not None or change.full is not None:
            layer = LoraLinear(layer, change)
            wrapped.append((place, layer))
        if change.bias is not None:
            layer.bias = (layer.bias + change.bias).astype(layer.bias.dtype)
    network.update_modules(tree_unflatten(wrapped))


# --- where a tensor belongs ---


def _placed(
    network: nn.Module, modules: Modules, tensors: Tensors, source: str
) -> dict[str, Parts]:
    """The parts of each place's change.

    Raises :class:`WeightsError` for tensors without a place.
    """
    places = _places(network, modules)
    placed: dict[str, Parts] = {}
    lost = []
    for key in tensors:
        spelled, part = _split(key)
        place = places.get(spelled) if spelled is not None else None
        if place is None or part in placed.setdefault(place, {}):
            lost.append(key)
        else:
            placed[place][part] = key
    for place, parts in placed.items():
        for part, key in parts.items():
            if not _takes(modules.get(place), part, parts):
                lost.append(key)
    if lost:
        raise WeightsError(
            f"This model has no place for {first_few(sorted(lost))} of {source}; "
            "use a LoRA that was made for it."
        )
    return placed


def _places(network: nn.Module, modules: Modules) -> dict[str, str]:
    """From every name in use to ours: of modules with a weight, and of tensors without a module."""
    ours: list[str] = []
    for name, module in modules.items():
        leaves = [leaf for leaf, value in module.items() if isinstance(value, mx.array)]
        if "weight" in leaves:
            ours.append(name)
        else:
            ours += [f"{name}.{leaf}" if name else leaf for leaf in leaves]
    places: dict[str, str] = {}
    for rename in (str, getattr(network, "original_name", str)):
        for place in ours:
            places.setdefault(rename(place), place)
            places.setdefault(rename(place).replace(".", "_"), place)
    return places


def _split(key: str) -> tuple[str | None, str]:
    """A file's key as a place's name and the part of its change; (None, "") for no LoRA's key."""
    match = _KEY.fullmatch(key)
    if not match:
        return None, ""
    place = match["place"]
    if match["other"] == "diff_m":
        return f"{place}.modulation", "diff"
    if match["other"]:
        return place, match["other"]
    side = _SIDES[match["side"]]
    return place, f"{side}_b" if match["leaf"] == "bias" else side


def _takes(module: nn.Module | None, part: str, parts: Parts) -> bool:
    """Whether a module (None: a tensor alone) has what `part` changes, and no part is missing."""
    if part == "diff":
        return True
    if part.endswith("_b") and (module is None or "bias" not in module):
        return False
    if part == "diff_b":
        return True
    has_matrix = isinstance(module, (nn.Linear, nn.QuantizedLinear))
    return part != "down_b" and has_matrix and {"down", "up"} <= parts.keys()


def _owner(modules: Modules, place: str) -> tuple[nn.Module, str]:
    """The module that has the tensor `place`, and the tensor's name in it."""
    owner, _, leaf = place.rpartition(".")
    return modules[owner], leaf


# --- what it adds there ---


def _change(
    network: nn.Module,
    modules: Modules,
    place: str,
    parts: Parts,
    tensors: Tensors,
    scale: float,
    source: str,
) -> Change:
    """What the tensors of one place add to it, times `scale`.

    Raises :class:`WeightsError` where one does not fit.
    """
    name, shape = _target(modules, place)
    rank = _rank(parts, tensors)
    expected = {"down": (rank, shape[-1]), "up": (shape[0], rank), "alpha": (1,), "diff": shape}
    given = {}
    for part, key in parts.items():
        tensor = _in_our_axes(network, name, part, tensors[key].astype(mx.float32))
        if tensor.shape != expected.get(part, shape[:1]):
            raise WeightsError(
                f"{key} in {source} is {tuple(tensors[key].shape)}, "
                f"which does not fit this model's {name}, {tuple(shape)}; "
                "use a LoRA that was made for it."
            )
        given[part] = tensor
    strength = scale * given["alpha"] / rank if "alpha" in given else scale
    bias = None
    if "diff_b" in given:
        bias = given["diff_b"] * scale
    if "up_b" in given:
        of_up = given["up_b"] * strength
        bias = of_up if bias is None else bias + of_up
    return Change(
        factors=(given["down"], given["up"] * strength) if "down" in given else None,
        full=given["diff"] * scale if "diff" in given else None,
        bias=bias,
    )


def _target(modules: Modules, place: str) -> tuple[str, tuple[int, ...]]:
    """The name of the tensor that a place's change is added to, and its shape, not quantized."""
    layer = modules.get(place)
    if layer is None:
        owner, leaf = _owner(modules, place)
        return place, owner[leaf].shape
    shape = layer.weight.shape
    if isinstance(layer, nn.QuantizedLinear):
        shape = (shape[0], shape[1] * 32 // layer.bits)
    return f"{place}.weight", shape


def _rank(parts: Parts, tensors: Tensors) -> int:
    """The rank of a place's factors, at least 1."""
    if "down" not in parts:
        return 1
    down = tensors[parts["down"]]
    return max(1, down.shape[0]) if down.ndim else 1


def _in_our_axes(network: nn.Module, name: str, part: str, tensor: mx.array) -> mx.array:
    """A part of the change of the tensor `name`, with its axes as the network has them."""
    if part in ("down", "diff") and tensor.ndim > 1 and tensor.size:
        sanitize: Callable[[dict[str, mx.array]], dict[str, mx.array]]
        sanitize = getattr(network, "sanitize", dict)
        tensor = sanitize({name: tensor})[name]
    # Of a convolution, the factors' last axes are its kernel's.
    if part in ("down", "up") and tensor.ndim > 2:
        tensor = tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))
    if part == "alpha" and tensor.size == 1:
        tensor = tensor.reshape(1)
    return tensor
