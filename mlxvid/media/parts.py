"""The first or the last frames of a clip, read without the others where its format allows it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mlxvid.errors import MediaError

from .animations import is_animated
from .containers import open_video
from .images import open_picture, read_images
from .reading import folder_frames, is_picture, read_contents, true_rate
from .tag import folder_tag
from .video import Video

log = logging.getLogger("mlxvid")

Shape = Callable[[np.ndarray], np.ndarray]
"""What is done to each frame, uint8 [H, W, 3], before the next is read."""


class Parts(Protocol):
    """A clip that is read in parts.

    count: of its frames, 0 where that is known only when they are read. fps: frames a second, None
    where nothing says it.
    """

    count: int
    width: int
    height: int
    fps: float | None

    def first(self, count: int, shape: Shape) -> list[np.ndarray]:
        """The first frames, at most `count`, each given to `shape`."""

    def last(self, count: int, shape: Shape) -> list[np.ndarray]:
        """The last frames, at most `count`, each given to `shape`."""


def is_clip(source: Path) -> bool:
    """Whether a file or folder is a clip, not a picture; False for what is neither."""
    if os.path.isdir(source):
        return True
    try:
        return is_animated(source)
    except MediaError:  # no picture
        return is_video(source)


def is_video(source: Path) -> bool:
    """Whether a file that is no picture is a video, or a folder there, which may hold frames."""
    if os.path.isdir(source):
        return True
    try:
        with open_video(source) as container:
            return bool(container.streams.video)
    except MediaError:
        return False


def open_parts(source: Path) -> Parts:
    """A clip's file or folder.

    Of a video the frames around those that are wanted are decoded one by one, of a folder only
    they are read; an animation is read whole. Raises :class:`MediaError`, here and where frames are
    read, for what is missing, damaged, cut short, or no clip.
    """
    if os.path.isdir(source):
        return _FolderParts(source)
    if not is_picture(source):
        return _VideoParts(source)
    contents = read_contents(source)
    return ArrayParts(contents.frames, contents.fps)


class ArrayParts:
    """Frames uint8 [F, H, W, 3] that are in memory already."""

    def __init__(self, frames: np.ndarray, fps: float | None):
        self._frames = frames
        self.count = len(frames)
        self.fps = fps
        self.height, self.width = frames.shape[1:3]

    def first(self, count: int, shape: Shape) -> list[np.ndarray]:
        return [shape(frame) for frame in self._frames[:count]]

    def last(self, count: int, shape: Shape) -> list[np.ndarray]:
        return [shape(frame) for frame in self._frames[-count:]]


class _FolderParts:
    def __init__(self, folder: Path):
        self._paths = folder_frames(folder)
        self.count = len(self._paths)
        tag = folder_tag(folder)
        self.fps = tag["fps"] if tag else None
        with open_picture(self._paths[0]) as picture:
            self.width, self.height = picture.size

    def first(self, count: int, shape: Shape) -> list[np.ndarray]:
        return _read(self._paths[:count], shape)

    def last(self, count: int, shape: Shape) -> list[np.ndarray]:
        return _read(self._paths[-count:], shape)


class _VideoParts:
    def __init__(self, path: Path):
        self._video = Video(path)
        self.count = 0
        self.width = self._video.width
        self.height = self._video.height
        self.fps = true_rate(self._video.fps, self._video.tag)

    def first(self, count: int, shape: Shape) -> list[np.ndarray]:
        return self._told(self._video.first(count, shape))

    def last(self, count: int, shape: Shape) -> list[np.ndarray]:
        return self._told(self._video.last(count, shape))

    def _told(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        for note in self._video.notes:
            log.warning(note)
        return frames


def _read(paths: Sequence[Path], shape: Shape) -> list[np.ndarray]:
    return [shape(frame) for frame in read_images(paths)]
