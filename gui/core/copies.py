"""Copies of clips, as they are or in other formats."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.media.formats import FOLDER
from mlxvid.media.targets import check_writable, replaces, staged, unwritable

from .frames import Facts, reading
from .recipes import ORIGINAL, Recipe

# Bytes that are copied between two looks at whether to go on.
_PIECE = 8 << 20


@dataclass(frozen=True)
class Source:
    """A clip to export.

    frames, fps, width, height: of the whole clip. first, last: the part of it, both included; None
    for the end.
    """

    path: Path
    frames: int
    fps: float
    width: int
    height: int
    first: int = 0
    last: int | None = None

    @property
    def marked(self) -> bool:
        """Whether it is a part of the clip."""
        return self.first > 0 or self.last is not None

    @property
    def count(self) -> int:
        """The frames of that part."""
        last = self.frames - 1 if self.last is None else self.last
        return max(last - self.first + 1, 0)


class Copy(NamedTuple):
    """What is exported, and where it goes."""

    source: Source
    target: Path


def save_copy(
    source: Source,
    target: Path,
    recipe: Recipe,
    check: Callable[[], None],
    report: Callable[[int, int], None],
) -> None:
    """Save one copy.

    check: raises where that is to stop. report: told of the frames done and in all, or of bytes
    where the file is copied. The settings in the file are those that made the complete clip. Raises
    :class:`MediaError` for what can't be read or written.
    """
    report(0, source.count)
    if not source.path.exists():
        raise MediaError(f"There is no clip {source.path}: locate it in the gallery.")
    if replaces(target) and source.path.samefile(target):
        raise MediaError(f"{target} is the clip itself: choose another name for its copy.")
    if recipe.form == ORIGINAL.key:
        _copy(source.path, target, report)
        return
    name = str(target) if recipe.format.suffix else f"{target}/"  # a folder, whatever its name
    check_writable(name)
    facts, frames = _part(source, recipe, check)
    if not frames:
        raise MediaError(
            f"{source.path} has no frames from {source.first} on: open it again, since it may have "
            "been changed."
        )
    rate = recipe.rate(facts.fps)
    moments = _moments(len(frames), facts.fps * recipe.speed, rate)
    made = Clip(np.stack([frames[moment] for moment in moments]), rate, facts.settings)
    made.save(name, report, codec=recipe.format.codec)


def _part(
    source: Source, recipe: Recipe, check: Callable[[], None]
) -> tuple[Facts, list[np.ndarray]]:
    """What a clip's file says, and the frames of the part, uint8 [H, W, 3] at the copy's size.

    No more than these is in memory, however long the film is.
    """
    frames = []
    stop = None if source.last is None else source.last + 1
    with reading(source.path) as (facts, pictures):
        own = (facts.width, facts.height)
        size = recipe.size(*own)
        for index, picture in enumerate(islice(pictures, stop)):
            check()
            if index >= source.first:
                frames.append(picture(None if size == own else size))
    return facts, frames


def _moments(count: int, fps: float, rate: float) -> np.ndarray:
    """Which of `count` frames at `fps` is shown by each frame of a copy at `rate`."""
    frames = max(round(count * rate / fps), 1)
    shown_at = (np.arange(frames) + 0.5) / rate
    return np.minimum((shown_at * fps).astype(int), count - 1)


def _copy(source: Path, target: Path, report: Callable[[int, int], None]) -> None:
    """Copy a clip's file, or its folder of frames, as it is."""
    files = [source]
    if source.is_dir():
        files = sorted(file for file in source.iterdir() if file.is_file())
    total = max(sum(file.stat().st_size for file in files), 1)
    done = 0
    try:
        with staged(target, FOLDER if source.is_dir() else target.suffix) as stage:
            for file in files:
                goal = stage / file.name if source.is_dir() else stage
                with open(file, "rb") as reader, open(goal, "wb") as writer:
                    while piece := reader.read(_PIECE):
                        writer.write(piece)
                        done += len(piece)
                        report(done, total)
                os.utime(goal, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    except OSError as error:
        raise unwritable(target, error) from error
