"""Clips and pictures that a clip is made from: of each only what is needed is read, and fitted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.media import images
from mlxvid.media.clip import Clip
from mlxvid.media.containers import too_large
from mlxvid.media.names import given_file
from mlxvid.media.parts import ArrayParts, Parts, Shape, open_parts

log = logging.getLogger("mlxvid")

IN_MEMORY = "a picture in memory"


class GivenClip:
    """A clip that was given: a path, a :class:`Clip` or frames uint8 [F, H, W, 3].

    source: where it came from. count: of its frames, 0 where that is known only when they are read.
    """

    def __init__(self, given: Any):
        self.parts, self.source = _opened(given)
        self.count = self.parts.count
        self.fps = self.parts.fps

    @property
    def called(self) -> str:
        """What messages begin with that are about it."""
        return "The clip in memory" if self.source == IN_MEMORY else self.source

    @property
    def size(self) -> tuple[int, int]:
        """Its width and height."""
        return self.parts.width, self.parts.height

    def first(self, count: int, width: int, height: int) -> np.ndarray:
        """The first frames, at most `count`, fitted as they are read.

        uint8 [N, height, width, 3].
        """
        return self._read(self.parts.first, count, width, height)

    def last(self, count: int, width: int, height: int) -> np.ndarray:
        """The last frames, at most `count`, in the same way."""
        return self._read(self.parts.last, count, width, height)

    def _read(
        self,
        read: Callable[[int, Shape], list[np.ndarray]],
        count: int,
        width: int,
        height: int,
    ) -> np.ndarray:
        notes: list[str | None] = []

        def fitted(frame: np.ndarray) -> np.ndarray:
            pixels, note = images.fit(frame, width, height)
            notes.append(note)
            return pixels

        try:
            frames = read(count, fitted)
            stacked = np.stack(frames) if frames else np.empty((0, height, width, 3), np.uint8)
        except MemoryError as error:
            raise too_large(self.source) from error
        if notes and notes[0]:
            log.warning(notes[0])
        return stacked


class Still:
    """A picture uint8 [H, W, 3], to be used as a clip of one frame is. focus: as in
    :func:`mlxvid.media.images.fit`.
    """

    count = 1

    def __init__(self, pixels: np.ndarray, source: str, focus: float = 0.5):
        self.pixels = pixels
        self.source = source
        self.focus = focus

    @property
    def size(self) -> tuple[int, int]:
        """Its width and height."""
        height, width = self.pixels.shape[:2]
        return width, height

    def first(self, count: int, width: int, height: int) -> np.ndarray:
        """The picture, fitted: uint8 [1, height, width, 3]."""
        fitted, note = images.fit(self.pixels, width, height, self.focus)
        if note:
            log.warning(note)
        return fitted[None]


def first_frames(count: int) -> str:
    """How many of a clip's frames are used, in a sentence that goes on with a participle."""
    return "the first frame is" if count == 1 else f"the first {count} frames are"


def absolute(path: str | os.PathLike) -> str:
    """A file's path from the root, so that repeating the clip finds it from another folder."""
    return os.path.abspath(given_file(path))


def _opened(given: Any) -> tuple[Parts, str]:
    if isinstance(given, (str, os.PathLike)):
        path = absolute(given)
        return open_parts(Path(path)), path
    if isinstance(given, Clip):
        return ArrayParts(given.frames, given.fps), IN_MEMORY
    return ArrayParts(Clip(given, 1).frames, None), IN_MEMORY
