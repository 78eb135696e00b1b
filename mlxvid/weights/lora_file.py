"""The tensors in a LoRA's files, whatever kind of file they are in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import WeightsError

from . import safetensors_file, torch_file
from .fp8_scales import with_scales
from .lora import Lora, first_few
from .lora_keys import RANKED, are_numbered, split, without_model
from .lora_title import is_torch, metadata_of
from .tensors import Tensor, joined, printable
from .wrappers import peeled


def read_lora(lora: Lora) -> dict[str, mx.array]:
    """The tensors of a LoRA that was found, by the names in its file, in memory and all finite.

    Raises :class:`WeightsError` as :func:`open_lora` does, and for numbers that are not finite.
    """
    arrays = {}
    wrong = []
    for key, tensor in open_lora(lora).items():
        arrays[key] = tensor.read()
        if not mx.isfinite(arrays[key]).all().item():
            wrong.append(printable(key))
    if wrong:
        raise WeightsError(
            f"{lora.files[0]} has values that are no finite numbers in {first_few(sorted(wrong))}; "
            "download it again, or use another LoRA."
        )
    return arrays


def open_lora(lora: Lora) -> dict[str, Tensor]:
    """The tensors of a LoRA that was found, by the names in its file; their values are not read.

    What Diffusers and PEFT keep beside them is among them, as ".scaling" of each layer. Raises
    :class:`WeightsError` where a file is broken or holds anything but floating-point numbers.
    """
    first = lora.files[0]
    try:
        tensors = without_model(with_scales(joined(lora.files, _tensors)))
        metadata = metadata_of(first)
    except WeightsError as error:
        raise WeightsError(_of_a_lora(str(error))) from None
    if not tensors:
        raise WeightsError(f"{first} has no tensors; download it again, or use another LoRA.")
    integers = []
    for key, tensor in tensors.items():
        # An alpha may be an integer.
        if not tensor.floating and math.prod(tensor.shape) > 1:
            integers.append(f"{printable(key)} ({tensor.dtype})")
    if integers:
        raise WeightsError(
            f"{first} has integers in {first_few(sorted(integers))}, as quantized weights do; "
            "use the LoRA in 16 or 32 bits."
        )
    # SwissArmyTransformer writes no alpha: it is 1, whatever the rank.
    unwritten = {"alpha": 1} if are_numbered(tensors) else {}
    try:
        return _scalings(tensors, unwritten | _adapter(first, metadata)) | tensors
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, ZeroDivisionError):
        raise WeightsError(
            f"The settings kept with {first} are none that Diffusers or PEFT write; "
            "use another LoRA."
        ) from None


def notes(lora: Lora) -> list[str]:
    """What to say of a LoRA that was found: which of several sets of tensors is taken, and whether
    it changes anything. Raises as :func:`read_lora` does.
    """
    is_idle = _is_idle(read_lora(lora))
    said = []
    for file in lora.files:
        if is_torch(file):
            said.append(torch_file.taken_note(file, torch_file.open_content(file).table))
    if is_idle:
        said.append(f"{lora} changes nothing: all of what it adds is 0.")
    return [note for note in said if note is not None]


def _is_idle(arrays: Mapping[str, mx.array]) -> bool:
    """Whether plain factors, and nothing besides, add nothing: by their alphas or themselves."""
    layers: dict[str, dict[str, mx.array]] = {}
    for key, array in arrays.items():
        place, part = split(key)
        layers.setdefault(place, {})[part] = array
    for parts in layers.values():
        if not parts.keys() <= {"down", "up", "alpha", "scaling"}:
            return False
        if all(array.any().item() for array in parts.values()):
            return False
    return True


# The readers are those of models.
_WORDS = {
    "so it is no model's weights; give the folder of a model": "so it is no LoRA; use another one",
    ", which `quantize` makes as small": "",
    "the model": "it",
}


def _of_a_lora(message: str) -> str:
    """A reader's message in words for a LoRA."""
    for word, other in _WORDS.items():
        message = message.replace(word, other)
    return message


def _tensors(file: Path) -> dict[str, Tensor]:
    if is_torch(file):
        return peeled(torch_file.open_content(file).tensors)
    return safetensors_file.read(file)


def _adapter(file: Path, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """An adapter's settings: in the metadata (Diffusers) or in a file beside it (PEFT), if any."""
    text = metadata.get("lora_adapter_metadata")
    beside = file.with_name("adapter_config.json")
    if text is None and file.stem == "adapter_model" and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    settings = json.loads(text or "{}")
    return {key.removeprefix("transformer."): value for key, value in settings.items()}


def _scalings(tensors: Mapping[str, Tensor], adapter: Mapping[str, Any]) -> dict[str, Tensor]:
    """What an adapter's settings multiply each layer's change by: alpha over rank.

    Of rank-stabilised LoRA (arXiv:2312.03732) it is alpha over the rank's root. Raises ValueError,
    TypeError, AttributeError or ZeroDivisionError for settings that no adapter has.
    """
    # LoHa and LoKr of PEFT call it alpha.
    alpha = adapter.get("lora_alpha", adapter.get("alpha"))
    if alpha is None:
        return {}
    ranks: dict[str, float] = {}
    for key, tensor in tensors.items():
        place, part = split(key)
        if part in RANKED and tensor.shape:
            ranks[place] = tensor.shape[0]
        elif part == "lokr_w1":  # both of its matrices may be whole
            ranks.setdefault(place, adapter.get("r", alpha))
    alphas = dict.fromkeys(ranks, alpha)
    for pattern, own in (adapter.get("alpha_pattern") or {}).items():
        matching = [place for place in ranks if f".{place}".endswith(f".{pattern}")]
        if not matching:
            raise ValueError(f"{pattern} is no layer of this LoRA")
        alphas.update(dict.fromkeys(matching, own))
    power = 0.5 if adapter.get("use_rslora") else 1.0
    scalings = {}
    for place, rank in ranks.items():
        value = float(alphas[place]) / float(rank) ** power if rank else 0.0
        if not math.isfinite(value):
            raise ValueError("an alpha that is no finite number")
        key = f"{place}.scaling"
        scalings[key] = Tensor(np.float32(value).reshape(1), "float32", key)
    return scalings
