"""LoRAs (arXiv:2106.09685) as they are asked for, and the tensors in their files."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError

SHAPE = "FILE_OR_REPO[:file][@scale]"
NAMED_IN_ERRORS = 3


@dataclass(frozen=True)
class Lora:
    """A LoRA as asked for.

    source: a local file or folder, or a hub repository; file: the one in it, where it has several;
    scale: how much of the LoRA is added.
    """

    source: str
    file: str | None = None
    scale: float = 1.0

    def __str__(self) -> str:
        """As :func:`parse_lora` reads it."""
        file = f":{self.file}" if self.file else ""
        scale = f"@{self.scale}" if self.scale != 1 else ""
        return f"{self.source}{file}{scale}"


def parse_lora(text: str) -> Lora:
    """A LoRA given as FILE_OR_REPO[:file][@scale].

    What exists as a path is one, whatever ":" and "@" it has. Raises :class:`SettingError` for
    anything else.
    """
    name = text
    scale: float | None = 1.0
    if "@" in text and not _exists(text):
        name, _, number = text.rpartition("@")
        scale = _finite(number)
    if scale is None:
        raise SettingError(
            f"There is no file {text!r}, and no finite scale behind its last '@'; "
            f"each of `loras` is given as {SHAPE}."
        )
    source = name
    file = None
    if ":" in name and not _exists(name):
        source, _, file = name.rpartition(":")
    if not source or file == "":
        raise SettingError(f"{text!r} names no LoRA; each of `loras` is given as {SHAPE}.")
    return Lora(source, file, scale)


def _exists(text: str) -> bool:
    return bool(text) and os.path.exists(os.path.expanduser(text))


def _finite(text: str) -> float | None:
    """The number that a text spells, None where it is no finite one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_lora(lora: Lora, download: Callable[[str, str | None], Path]) -> dict[str, mx.array]:
    """A LoRA's tensors by the names in its file, all finite.

    The alphas that Diffusers and PEFT keep beside them are among them. download(repo, file): the
    local copy of a hub repository's file, or of its only .safetensors file for None. Raises
    :class:`ModelNotFoundError` where there is no such file, :class:`WeightsError` where it is
    broken or holds anything but tensors of finite numbers.
    """
    file = _locate(lora, download)
    tensors, metadata = _read_file(file)
    try:
        return _alphas(tensors, _adapter(file, metadata)) | tensors
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        raise WeightsError(
            f"The settings kept with {file} are none that Diffusers or PEFT write; "
            "use another LoRA."
        ) from None


def _locate(lora: Lora, download: Callable[[str, str | None], Path]) -> Path:
    """The LoRA's file on this machine."""
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
            f"There is no LoRA {str(lora)!r}; "
            f"give a .safetensors file or a hub repository, as in {SHAPE}."
        )
    return download(lora.source, lora.file)


def _read_file(file: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    """The tensors and the metadata of a safetensors file; raises :class:`WeightsError`."""
    try:
        loaded = mx.load(str(file), format="safetensors", return_metadata=True)
        assert isinstance(loaded, tuple)  # as it was asked to be
        tensors, metadata = loaded
        finite = {key: mx.isfinite(tensor).all() for key, tensor in tensors.items()}
        mx.eval(finite)
    except (OSError, RuntimeError, ValueError):
        raise WeightsError(
            f"{file} is no safetensors file, damaged or cut short; download it again."
        ) from None
    if not tensors:
        raise WeightsError(f"{file} has no tensors; download it again, or use another LoRA.")
    wrong = []
    for key, tensor in sorted(tensors.items()):
        # 8-bit floats come as integers, and would be taken for such; an alpha may be one.
        is_number = tensor.size <= 1 or mx.issubdtype(tensor.dtype, mx.floating)
        if not is_number or not finite[key].item():
            wrong.append(key)
    if wrong:
        raise WeightsError(
            f"{file} has values that are no finite numbers in {first_few(wrong)}; "
            "download it again, or use another LoRA."
        )
    return tensors, metadata


def _adapter(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """An adapter's settings: in the metadata (Diffusers) or in a file beside it (PEFT), if any."""
    text = metadata.get("lora_adapter_metadata")
    beside = file.with_name("adapter_config.json")
    if text is None and file.name == "adapter_model.safetensors" and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    settings = json.loads(text or "{}")
    return {key.removeprefix("transformer."): value for key, value in settings.items()}


def _alphas(tensors: Mapping[str, mx.array], adapter: Mapping[str, Any]) -> dict[str, mx.array]:
    """An adapter's settings as the ".alpha" tensors that the other tools write.

    Raises ValueError, TypeError or AttributeError for settings that no adapter has.
    """
    if adapter.get("lora_alpha") is None:
        return {}
    ranks = {}
    for key, tensor in tensors.items():
        if ".lora_A." in key and tensor.ndim:
            ranks[key.partition(".lora_A.")[0]] = tensor.shape[0]
    alphas = dict.fromkeys(ranks, float(adapter["lora_alpha"]))
    for pattern, alpha in (adapter.get("alpha_pattern") or {}).items():
        matching = [place for place in ranks if f".{place}".endswith(f".{pattern}")]
        if not matching:
            raise ValueError(f"{pattern} is no layer of this LoRA")
        alphas.update(dict.fromkeys(matching, float(alpha)))
    if not all(map(math.isfinite, alphas.values())):
        raise ValueError("an alpha that is no finite number")
    # Rank-stabilised LoRA (arXiv:2312.03732) is divided by the rank's root, where `apply_lora`
    # divides by the rank.
    power = 0.5 if adapter.get("use_rslora") else 0
    return {
        f"{place}.alpha": mx.array(alpha * ranks[place] ** power) for place, alpha in alphas.items()
    }


def first_few(names: list[str]) -> str:
    """The first of some names, and the number of the others."""
    shown = ", ".join(names[:NAMED_IN_ERRORS])
    others = len(names) - NAMED_IN_ERRORS
    return f"{shown} and {others} more" if others > 0 else shown
