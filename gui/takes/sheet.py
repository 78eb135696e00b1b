"""How clips of one group are laid out: by what they differ in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlxvid import models
from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.differences import differences
from mlxvid.gui.core.frames import Facts
from mlxvid.gui.core.messages import label
from mlxvid.model.settings import SETTINGS


@dataclass(frozen=True)
class Sheet:
    """Clips in rows and columns.

    cells: in reading order, None where a clip is missing. captions: one below each cell. across,
    down: what stands over each column and beside each row; () for nothing.
    """

    title: str
    columns: int
    cells: tuple[ClipRow | None, ...]
    captions: tuple[str, ...] = ()
    across: tuple[str, ...] = ()
    down: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return math.ceil(len(self.cells) / self.columns)


def sheet_of(clips: Sequence[ClipRow]) -> Sheet:
    """A grid of two settings where that is how they differ, else as square as can be.

    clips: in the order in which they were asked for.
    """
    varied = [name for name in (*SETTINGS, *models.options()) if _varies(name, clips)]
    grid = _grid(clips, varied) if len(varied) == 2 else None
    if grid is not None:
        return grid
    if len(varied) == 1:
        captions = [_words(varied[0], clip) for clip in clips]
    else:
        captions = differences([(clip.path, _facts(clip)) for clip in clips])
    numbered = tuple(f"{number}   {text}" for number, text in enumerate(captions, 1))
    columns = math.ceil(math.sqrt(len(clips)))
    return Sheet(f"{len(clips)} Takes", columns, tuple(clips), numbered)


def _grid(clips: Sequence[ClipRow], varied: list[str]) -> Sheet | None:
    """The sheet whose columns differ in one setting and whose rows in the other; None where the
    clips don't make one.
    """
    turned = [name for name in varied if _value(name, clips[0]) != _value(name, clips[1])]
    if len(turned) != 1:
        return None
    x = turned[0]
    y = next(name for name in varied if name != x)
    across = _listed(x, clips)
    down = _listed(y, clips)
    places = {(repr(_value(x, clip)), repr(_value(y, clip))): clip for clip in reversed(clips)}
    if len(across) * len(down) > 2 * len(clips):
        return None
    cells = tuple(places.get((column, row)) for row in down for column in across)
    heads = tuple(across.values())
    return Sheet(f"{label(x)} × {label(y)}", len(across), cells, (), heads, tuple(down.values()))


def _listed(name: str, clips: Sequence[ClipRow]) -> dict[str, str]:
    """The values of a setting in their order, with their words."""
    return {repr(_value(name, clip)): _words(name, clip) for clip in clips}


def _value(name: str, clip: ClipRow) -> Any:
    return clip.settings.get(name)


def _varies(name: str, clips: Sequence[ClipRow]) -> bool:
    return len({repr(_value(name, clip)) for clip in clips}) > 1


def _words(name: str, clip: ClipRow) -> str:
    value = _value(name, clip)
    if name == "prompt":
        return f"“{value}”"
    if isinstance(value, float):
        value = f"{value:g}"
    elif isinstance(value, str) and "/" in value:
        value = Path(value).name
    return f"{label(name)} {value}"


def _facts(clip: ClipRow) -> Facts:
    return Facts(clip.fps, clip.frames, clip.width, clip.height, clip.settings)
