"""Reading clips frame by frame for the screen, at a given size. Not for the GUI thread.

Where :meth:`mlxvid.Clip.load` gives a clip whole or not at all, these frames can be looked at while
the rest is read, up to the place where a damaged file breaks off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media import reading as files
from mlxvid.media.clip import Clip
from mlxvid.media.images import open_picture
from mlxvid.media.video import Picture, Size, Video

# Bytes that one clip may take in memory: 11 s of 1280x720 at 16 frames a second at their full size.
BUDGET = 512 << 20
# Frames of a clip that is too long for the budget are made smaller, but their longer side not below
# this many pixels.
LEAST_SIDE = 256


@dataclass(frozen=True)
class Facts:
    """What a file says of its clip before it is decoded.

    frames: 0 where the file doesn't say. settings: {} where there are none.
    """

    fps: float
    frames: int
    width: int
    height: int
    settings: dict[str, Any]


@contextmanager
def reading(path: Path) -> Iterator[tuple[Facts, Iterator[Picture]]]:
    """A clip that :meth:`mlxvid.Clip.load` reads: its facts, and its frames one by one.

    Pictures (a GIF, WebP or PNG, a folder of PNGs) are read completely before the first frame.
    Raises :class:`MediaError`, here or from the iterator, for what is missing, damaged, cut short,
    or no clip.
    """
    if path.is_dir() or files.is_picture(path):
        _check_pictures(path)
        clip = Clip.load(path)
        count, height, width, _ = clip.frames.shape
        facts = Facts(clip.fps, count, width, height, clip.settings)
        yield facts, (partial(_resized, frame) for frame in clip.frames)
        return
    video = Video(path)
    settings = video.tag["settings"] if video.tag else {}
    fps = files.true_rate(video.fps, video.tag) or video.fps
    yield Facts(fps, video.count, video.width, video.height, settings), video.pictures()


def fit(facts: Facts, budget: int = BUDGET) -> tuple[Size | None, int]:
    """The size to keep frames at (None: their own), and how many fit in `budget` bytes."""
    frame = facts.width * facts.height * 3
    total = max(facts.frames, 1) * frame
    if total <= budget:
        return None, budget // frame
    least = LEAST_SIDE / max(facts.width, facts.height)
    scale = min(max(math.sqrt(budget / total), least), 1)
    width = max(int(facts.width * scale), 1)
    height = max(int(facts.height * scale), 1)
    return (width, height), max(budget // (width * height * 3), 1)


def frame_of(path: Path, index: int | None, check: Callable[[], None]) -> np.ndarray:
    """One frame of a clip at its own size, the last one for None.

    `check` is called at every frame on the way, and may raise. Raises :class:`MediaError` as
    :func:`reading` does, and where the clip has no such frame.
    """
    with reading(path) as (_, pictures):
        for at, picture in enumerate(pictures):
            check()
            if at == index:
                return picture(None)
    if index is not None:
        raise MediaError(
            f"{path} has no frame {index}: open it again, since it may have been changed."
        )
    return picture(None)


def _resized(frame: np.ndarray, size: Size | None) -> np.ndarray:
    if size is None:
        return frame
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def _check_pictures(path: Path) -> None:
    """Raise :class:`MediaError` for pictures that together would fill the memory."""
    first = path
    count = 1
    if path.is_dir():
        names = list(path.glob("*.png"))
        if not names:
            return  # Clip.load says so
        first = names[0]
        count = len(names)
    with open_picture(first) as picture:
        count *= getattr(picture, "n_frames", 1)
        if count * picture.width * picture.height * 3 > 4 * BUDGET:
            raise MediaError(f"{path} is too long to be read as pictures: save it as .mp4 first.")
