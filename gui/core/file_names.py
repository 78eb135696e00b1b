"""Names of clips' files, after the pattern in Settings."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.errors import SettingError
from mlxvid.media.prompt_names import named_after

USUAL = "{prompt}-{seed}"
"""The pattern where none is chosen."""

TOKENS = ("prompt", "model", "seed", "date", "time")
"""What a pattern may have in braces."""

# What no system's files may have in their names, and what hides them.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
_TOKEN = re.compile(r"\{([^{}]*)\}")
# Bytes of a name, whose number and ending come to it: file systems take 255.
_LONGEST = 200


def check_pattern(pattern: str) -> None:
    """Raise :class:`SettingError` for a pattern that makes no file names."""
    known = ", ".join(f"{{{name}}}" for name in TOKENS)
    for name in _TOKEN.findall(pattern):
        if name not in TOKENS:
            raise SettingError(f"There is no {{{name}}}: use {known}.")
    rest = _TOKEN.sub("", pattern)
    unsafe = re.search(rf"{_UNSAFE.pattern}|[{{}}]", rest)
    if unsafe:
        raise SettingError(f"A file's name can't have {unsafe[0]!r}: leave it out.")
    if pattern.strip().startswith("."):
        raise SettingError("A name that begins with a dot hides the file: begin with another sign.")


def stem_of(pattern: str, settings: dict[str, Any], now: datetime) -> str:
    """The name, without an ending, of a clip with these settings; the usual one for a pattern that
    makes none.
    """
    try:
        check_pattern(pattern)
    except SettingError:
        pattern = USUAL
    model = str(settings.get("model") or DEFAULT_MODEL)
    # Of a folder or a hub's repository its own name, which may have dots.
    parts = {
        "prompt": named_after(str(settings.get("prompt") or "")),
        "model": _UNSAFE.sub("-", Path(model).name),
        "seed": str(settings.get("seed", 0)),
        "date": f"{now:%Y-%m-%d}",
        "time": f"{now:%H-%M-%S}",
    }
    stem = _TOKEN.sub(lambda match: parts[match[1]], pattern.strip() or USUAL)
    # A dot or space at an end is dropped by some systems.
    return _cut(stem).strip(". ") or "clip"


def free_path(
    settings: dict[str, Any], folder: Path, pattern: str = USUAL, now: datetime | None = None
) -> Path:
    """A path in `folder` that is free, named after the pattern."""
    stem = stem_of(pattern, settings, now or datetime.now())
    path = folder / f"{stem}.mp4"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.mp4"
    return path


def _cut(stem: str) -> str:
    return stem.encode()[:_LONGEST].decode("utf-8", "ignore")
