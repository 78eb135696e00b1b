"""LoRAs (arXiv:2106.09685) as they are asked for, and where their files are."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlxvid.errors import ModelNotFoundError, SettingError

from .files import INDEX, shards, visible

SHAPE = "FILE_OR_REPO[:file][@scale]"
NAMED_IN_ERRORS = 3
MAX_SCALE = 1000
# As Diffusers and PEFT call a LoRA's file. Trainers leave checkpoints beside it.
USUAL = ("pytorch_lora_weights", "adapter_model")
# In this order of preference, where a folder has several.
ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
# owner/name on the hub; with a file's path behind it in the second form.
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_FILE_IN_REPOSITORY = re.compile(r"([\w.-]+/[\w.-]+)/(.+)")


@dataclass(frozen=True)
class Lora:
    """A LoRA as asked for.

    source: a local file or folder, or a hub repository; file: the one in it, where it has several;
    scale: how much of the LoRA is added. files: those that hold its tensors, once it is found.
    """

    source: str
    file: str | None = None
    scale: float = 1.0
    files: tuple[Path, ...] = field(default=(), compare=False)

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
        scale = _scale(number)
    if scale is None:
        raise SettingError(
            f"There is no file {text!r}, and no finite scale of up to {MAX_SCALE} behind "
            f"its last '@'; "
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


def _scale(text: str) -> float | None:
    """The scale that a text spells, None where it is no number or too large a one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) <= MAX_SCALE else None


def find_lora(lora: Lora, download: Callable[[str, str | None], Path]) -> Lora:
    """The LoRA with its files on this machine; a local source becomes an absolute path.

    download(repo, file): the local copy of a hub repository's file, or of its only LoRA for None.
    Raises :class:`ModelNotFoundError` where there is no such file.
    """
    path = os.path.abspath(os.path.expanduser(lora.source))
    if os.path.isdir(path):
        return replace(lora, source=path, files=_in_folder(Path(path), lora.file))
    if os.path.isfile(path) and lora.file is None:
        return replace(lora, source=path, files=(Path(path),))
    reference = None if os.path.exists(path) else _on_the_hub(lora)
    if reference is None:
        raise ModelNotFoundError(
            f"There is no LoRA {str(lora)!r}; "
            f"give a .safetensors file or a hub repository, as in {SHAPE}."
        )
    try:
        return replace(lora, files=(download(*reference),))
    except ModelNotFoundError as error:
        if reference[0] == lora.source:
            raise
        # More likely a file's path with a mistake in it.
        raise ModelNotFoundError(f"There is no file {lora.source} here, and: {error}") from None


def _on_the_hub(lora: Lora) -> tuple[str, str | None] | None:
    """The repository and the file in it that a source can mean, which is nothing here."""
    names_file = lora.source.endswith(ENDINGS)
    if _REPOSITORY.fullmatch(lora.source) and not names_file:
        return lora.source, lora.file
    match = _FILE_IN_REPOSITORY.fullmatch(lora.source)
    is_here = os.path.exists(lora.source.partition("/")[0])
    if match is None or lora.file is not None or not names_file or is_here:
        return None
    return match[1], match[2]


def _in_folder(folder: Path, file: str | None) -> tuple[Path, ...]:
    """A LoRA's files in a folder: the one that is named, its shards, or the only one there."""
    if file is not None:
        if not os.path.isfile(folder / file):
            raise ModelNotFoundError(
                f"{folder} has no file {file}; name the LoRA's file, as in {SHAPE}."
            )
        return (folder / file,)
    here = visible(folder)
    indices = [path for path in here if path.name.endswith(INDEX)]
    if len(indices) == 1:
        return tuple(shards(indices[0]))
    found: list[Path] = []
    for ending in ENDINGS:
        if not found:
            found = [path for path in here if path.suffix.lower() == ending]
    usual = [path for path in found if path.stem in USUAL]
    chosen = usual if len(usual) == 1 else found
    if len(chosen) == 1:
        return (chosen[0],)
    what = f"{len(found)} files that a LoRA can be in: {first_few([path.name for path in found])}"
    raise ModelNotFoundError(
        f"{folder} has {what if found else 'no .safetensors file'}; "
        f"name the LoRA's file, as in {SHAPE}."
    )


def first_few(names: list[str]) -> str:
    """The first of some names, and the number of the others."""
    shown = ", ".join(names[:NAMED_IN_ERRORS])
    others = len(names) - NAMED_IN_ERRORS
    return f"{shown} and {others} more" if others > 0 else shown
