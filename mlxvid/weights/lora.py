"""LoRA (arXiv:2106.09685) for any family: low-rank and full differences from a safetensors file,
added to a network's weights.

Read are the spellings of Diffusers and PEFT, of the original releases and ComfyUI, and of kohya's
trainers; and beside the factors the full differences (``.diff``, ``.diff_b``, ``.diff_m``) that
few-step distillations carry.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError

SHAPE = "FILE_OR_REPO[:file][@scale]"
# A tensor's name in a LoRA file: whose it is, the place in the network, and what it is there. An
# adapter's name before the last segment ("lora_A.default.weight", as PEFT has it) says nothing: a
# file holds one adapter.
_KEY = re.compile(
    r"(?:lora_unet_|(?:base_model\.model\.)?(?:model\.)?(?:transformer\.|diffusion_model\.)?)"
    r"(?P<place>.+?)\."
    r"(?:lora[_.](?P<side>A|down|B|up)(?:\.[^.]+)?\.(?P<leaf>weight|bias)|(?P<whole>alpha|diff|diff_b|diff_m))",
    re.DOTALL,
)
_SIDES = {"A": "down", "down": "down", "B": "up", "up": "up"}
NAMED_IN_ERRORS = 3


@dataclass(frozen=True)
class Lora:
    """A LoRA as asked for: a local file or folder or a hub repository, the file in it where it has
    several, and how much of it.
    """

    source: str
    file: str | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        """As :func:`parse` reads it."""
        return (
            self.source
            + (f":{self.file}" if self.file else "")
            + (f"@{self.scale}" if self.scale != 1 else "")
        )


def parse(text: str) -> Lora:
    """A LoRA given as FILE_OR_REPO[:file][@scale]; what exists as a path is one, whatever ":" and
    "@" it has.

    Raises :class:`SettingError` for anything else.
    """
    name, at, tail = ("", "", "") if _exists(text) else text.rpartition("@")
    scale = _number(tail) if at else 1.0
    if scale is None:
        raise SettingError(
            f"There is no file {text!r}, and no finite scale behind its last '@'; a LoRA is given as {SHAPE}."
        )
    name = name if at else text
    source, colon, file = ("", "", "") if _exists(name) else name.rpartition(":")
    if not (source if colon else name) or (colon and not file):
        raise SettingError(f"{text!r} names no LoRA; one is given as {SHAPE}.")
    return Lora(source, file, scale) if colon else Lora(name, None, scale)


def _exists(text: str) -> bool:
    return bool(text) and os.path.exists(os.path.expanduser(text))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read(lora: Lora, download: Callable[[str, str | None], Path]) -> dict[str, mx.array]:
    """A LoRA's tensors by the names in its file, all finite; the alphas that Diffusers and PEFT
    keep beside them are among them.

    download(repo, file): the local copy of a hub repository's file, or of its only .safetensors
    file for None. Raises :class:`ModelNotFoundError` where there is no such file,
    :class:`WeightsError` where it holds no sound tensors.
    """
    file = _locate(lora, download)
    try:
        tensors, metadata = mx.load(str(file), format="safetensors", return_metadata=True)
        finite = {key: mx.isfinite(tensor).all() for key, tensor in tensors.items()}
        mx.eval(finite)
    except (OSError, RuntimeError, ValueError):
        raise WeightsError(
            f"{file} is no safetensors file, damaged or cut short; download it again."
        ) from None
    # 8-bit floats come as whole numbers, and would be taken for such.
    wrong = sorted(
        key
        for key, tensor in tensors.items()
        if not finite[key].item()
        or (tensor.size > 1 and not mx.issubdtype(tensor.dtype, mx.floating))
    )
    if wrong or not tensors:
        what = f"values that are no finite numbers in {_listed(wrong)}" if wrong else "no tensors"
        raise WeightsError(f"{file} has {what}; download it again, or use another LoRA.")
    try:
        return _alphas(tensors, _adapter(file, metadata)) | tensors
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise WeightsError(
            f"The settings kept with {file} are none that Diffusers or PEFT write; use another LoRA."
        ) from None


def _locate(lora: Lora, download: Callable[[str, str | None], Path]) -> Path:
    path = Path(lora.source).expanduser()
    if path.is_dir():
        files = [path / lora.file] if lora.file else sorted(path.glob("*.safetensors"))
        if len(files) == 1 and files[0].is_file():
            return files[0]
        what = f"no file {lora.file}" if lora.file else f"{len(files)} .safetensors files"
        raise ModelNotFoundError(f"{path} has {what}; name the LoRA's file, as in {SHAPE}.")
    if path.is_file() and lora.file is None:
        return path
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+(?<!\.safetensors)", lora.source):
        raise ModelNotFoundError(
            f"There is no LoRA {str(lora)!r}; give a .safetensors file or a hub repository, as in {SHAPE}."
        )
    return download(lora.source, lora.file)


def _adapter(file: Path, metadata: Mapping[str, str]) -> dict:
    """The settings that Diffusers keeps in a LoRA file's metadata, and PEFT beside a file of its
    own; empty where there are none.
    """
    text, beside = metadata.get("lora_adapter_metadata"), file.with_name("adapter_config.json")
    if text is None and file.name == "adapter_model.safetensors" and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    return {
        key.removeprefix("transformer."): value for key, value in json.loads(text or "{}").items()
    }


def _alphas(tensors: Mapping[str, mx.array], adapter: Mapping) -> dict[str, mx.array]:
    """An adapter's settings as the ".alpha" tensors that the other tools write; raises ValueError,
    TypeError or AttributeError.
    """
    if adapter.get("lora_alpha") is None:
        return {}
    ranks = {
        key.partition(".lora_A.")[0]: tensor.shape[0]
        for key, tensor in tensors.items()
        if ".lora_A." in key and tensor.ndim
    }
    alphas = dict.fromkeys(ranks, float(adapter["lora_alpha"]))
    for pattern, alpha in (adapter.get("alpha_pattern") or {}).items():
        own = [place for place in ranks if f".{place}".endswith(f".{pattern}")]
        if not own:
            raise ValueError(f"{pattern} is no layer of this LoRA")
        alphas.update(dict.fromkeys(own, float(alpha)))
    if not all(map(math.isfinite, alphas.values())):
        raise ValueError("an alpha that is no finite number")
    # Rank-stabilised LoRA (arXiv:2312.03732) is divided by the rank's root, where `apply` divides
    # by the rank.
    root = 0.5 if adapter.get("use_rslora") else 0
    return {
        f"{place}.alpha": mx.array(alpha * ranks[place] ** root) for place, alpha in alphas.items()
    }


class Change(NamedTuple):
    """What a LoRA adds at one place, in float32: to its weight the product of `factors` (down, up)
    and a `full` difference; to its bias.
    """

    factors: tuple[mx.array, mx.array] | None
    full: mx.array | None
    bias: mx.array | None

    def added_to(self, weight: mx.array) -> mx.array:
        """The weight with the change in it, summed in float32, in its own type."""
        total = mx.addmm(weight, self.factors[1], self.factors[0]) if self.factors else weight
        return (total if self.full is None else total + self.full).astype(weight.dtype)


class LoraLinear(nn.QuantizedLinear):
    """A quantized layer and what LoRAs add to it, base(x) + x down^T up^T + x full^T: the quantized
    weights stay as they are.

    Several LoRAs stand in one pair of factors, rank after rank. `full` differences stay apart as
    well: added to 4-bit weights most of them would be lost in the rounding.
    """

    def __init__(self, base: nn.QuantizedLinear, change: Change):
        nn.Module.__init__(self)
        self.group_size, self.bits, self.mode = base.group_size, base.bits, base.mode
        for name, array in base.items():
            self[name] = array
        dtype = self.scales.dtype
        if change.factors:
            down, up = (factor.astype(dtype) for factor in change.factors)
            self.down = mx.concatenate([self.down, down]) if "down" in self else down
            self.up = mx.concatenate([self.up, up], axis=1) if "up" in self else up
        if change.full is not None:
            self.full = (
                self.full + change.full.astype(dtype)
                if "full" in self
                else change.full.astype(dtype)
            )
        self.freeze()

    def __call__(self, x: mx.array) -> mx.array:
        y = super().__call__(x)
        if "down" in self:
            y = y + (x @ self.down.T) @ self.up.T
        return y + x @ self.full.T if "full" in self else y


def apply(network: nn.Module, tensors: Mapping[str, mx.array], scale: float, source: str) -> None:
    """Add a LoRA's `tensors` (see :func:`read`), times `scale`, to a network that has its weights
    and is quantized if it is to be.

    Weights that are not quantized take the sum: that costs nothing at run time, where factors apart
    would cost two more products and two more passes over a layer's output. Quantized layers become
    :class:`LoraLinear`. Nothing is evaluated here. Tensors are found by the network's own names or,
    where its class has `original_name(name)`, by those of the original release; its
    `sanitize(weights)` turns their axes. `source` is what errors call the LoRA. Raises
    :class:`WeightsError`, and leaves the network as it was, where one of the tensors has no place
    or does not fit.
    """
    modules = dict(network.named_modules())
    placed = _placed(network, modules, tensors, source)
    turn = getattr(network, "sanitize", dict)
    changes = {
        place: _change(modules, place, keys, tensors, turn, scale, source)
        for place, keys in placed.items()
    }
    layers = []
    for place, change in changes.items() if scale else ():
        layer = modules.get(place)
        if layer is None:
            owner, leaf = _owner(modules, place)
            owner[leaf] = change.added_to(owner[leaf])
            continue
        if not isinstance(layer, nn.QuantizedLinear):
            layer.weight = change.added_to(layer.weight)
        elif change.factors or change.full is not None:
            layer = LoraLinear(layer, change)
            layers.append((place, layer))
        if change.bias is not None:
            layer.bias = (layer.bias + change.bias).astype(layer.bias.dtype)
    network.update_modules(tree_unflatten(layers))


def _placed(
    network: nn.Module,
    modules: Mapping[str, nn.Module],
    tensors: Mapping[str, mx.array],
    source: str,
) -> dict[str, dict[str, str]]:
    """By place in the network, the file's key of each part: down, up, up_b and alpha of the
    factors, diff and diff_b in full.
    """
    places, placed, lost = _places(network, modules), {}, []
    for key in tensors:
        spelled, part = _split(key)
        place = places.get(spelled)
        if place is None or part in placed.setdefault(place, {}):
            lost.append(key)
        else:
            placed[place][part] = key
    for place, keys in placed.items():
        lost += [key for part, key in keys.items() if not _takes(modules.get(place), part, keys)]
    if lost:
        raise WeightsError(
            f"This model has no place for {_listed(sorted(lost))} of {source}; use a LoRA that was made for it."
        )
    return placed


def _places(network: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, str]:
    """From every name in use to ours, for the modules that have a weight and the tensors that
    belong to none.
    """
    ours = []
    for name, module in modules.items():
        leaves = [leaf for leaf, value in module.items() if isinstance(value, mx.array)]
        ours += (
            [name]
            if "weight" in leaves
            else [f"{name}.{leaf}" if name else leaf for leaf in leaves]
        )
    places = {}
    for rename in (str, getattr(network, "original_name", str)):
        for place in ours:
            places.setdefault(rename(place), place)
            places.setdefault(rename(place).replace(".", "_"), place)
    return places


def _split(key: str) -> tuple[str | None, str]:
    """A file's key as the name of the place that it changes, and which part of the change it is;
    (None, "") for no LoRA's key.
    """
    match = _KEY.fullmatch(key)
    if not match:
        return None, ""
    place, part = (
        match["place"],
        match["whole"] or _SIDES[match["side"]] + ("_b" if match["leaf"] == "bias" else ""),
    )
    return (f"{place}.modulation", "diff") if part == "diff_m" else (place, part)


def _takes(module: nn.Module | None, part: str, keys: Mapping[str, str]) -> bool:
    """Whether a module (None: a tensor alone) has what that part of a LoRA changes, and the parts
    that go with it are there.
    """
    if part == "diff":
        return True
    if part.endswith("_b") and (module is None or "bias" not in module):
        return False
    if part == "diff_b":
        return True
    return (
        part != "down_b"
        and isinstance(module, (nn.Linear, nn.QuantizedLinear))
        and {"down", "up"} <= keys.keys()
    )


def _owner(modules: Mapping[str, nn.Module], place: str) -> tuple[nn.Module, str]:
    """The module that has the tensor `place`, and the tensor's name in it."""
    owner, _, leaf = place.rpartition(".")
    return modules[owner], leaf


def _change(
    modules: Mapping[str, nn.Module],
    place: str,
    keys: Mapping[str, str],
    tensors: Mapping[str, mx.array],
    turn: Callable[[dict[str, mx.array]], dict[str, mx.array]],
    scale: float,
    source: str,
) -> Change:
    """What the tensors of one place add to it, times `scale`; raises :class:`WeightsError` where
    one does not fit.
    """
    layer = modules.get(place)
    if layer is None:
        owner, leaf = _owner(modules, place)
        name, shape = place, owner[leaf].shape
    else:
        name, shape = f"{place}.weight", layer.weight.shape
        if isinstance(layer, nn.QuantizedLinear):
            shape = (shape[0], shape[1] * 32 // layer.bits)
    rank = (
        max(1, tensors[keys["down"]].shape[0])
        if "down" in keys and tensors[keys["down"]].ndim
        else 1
    )
    fitting = {"down": (rank, shape[-1]), "up": (shape[0], rank), "alpha": (1,), "diff": shape}
    given = {}
    for part, key in keys.items():
        tensor = tensors[key].astype(mx.float32)
        if part in ("down", "diff") and tensor.ndim > 1 and tensor.size:
            tensor = turn({name: tensor})[name]
        if (
            part in ("down", "up") and tensor.ndim > 2
        ):  # of a convolution, the factors' last axes are its kernel's
            tensor = tensor.reshape(tensor.shape[0], math.prod(tensor.shape[1:]))
        if part == "alpha" and tensor.size == 1:
            tensor = tensor.reshape(1)
        if tensor.shape != fitting.get(part, shape[:1]):
            raise WeightsError(
                f"{key} in {source} is {tuple(tensors[key].shape)}, which does not fit this model's {name}, {tuple(shape)}; "
                "use a LoRA that was made for it."
            )
        given[part] = tensor
    strength = scale * given["alpha"] / rank if "alpha" in given else scale
    biases = [
        given[part] * by for part, by in (("diff_b", scale), ("up_b", strength)) if part in given
    ]
    return Change(
        factors=(given["down"], given["up"] * strength) if "down" in given else None,
        full=given["diff"] * scale if "diff" in given else None,
        bias=sum(biases) if biases else None,
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_IN_ERRORS} more" if len(names) > NAMED_IN_ERRORS else ""
    return ", ".join(names[:NAMED_IN_ERRORS]) + more
