"""Small clips whose frames can be told apart: each has one colour of known brightness."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from PySide6.QtGui import QImage

from mlxvid.gui.core.database import Database
from mlxvid.media.clip import Clip

# Brightness of frame 0, and of each frame over the one before.
FIRST_LEVEL = 24
STEP = 8
RED = (1.0, 0.2, 0.2)
BLUE = (0.2, 0.2, 1.0)


def levels(
    frames: int = 9, width: int = 48, height: int = 32, tint: tuple[float, float, float] = (1, 1, 1)
) -> np.ndarray:
    """uint8 [F, H, W, 3]: each frame is STEP brighter than the one before."""
    level = FIRST_LEVEL + STEP * np.arange(frames)
    assert level[-1] < 256
    return (
        level[:, None, None, None] * np.array(tint) * np.ones((frames, height, width, 3))
    ).astype(np.uint8)


def write_clip(
    path: Path,
    frames: int = 9,
    width: int = 48,
    height: int = 32,
    fps: float = 8,
    tint=(1, 1, 1),
    **settings,
) -> Path:
    """Save such a clip, with settings; the suffix is the format."""
    made = {"prompt": "a grey wall", "model": "mini", "seed": 7, "steps": 4, **settings}
    return Clip(levels(frames, width, height, tint), fps, made).save(path)


def write_foreign(path: Path, frames: int = 9) -> Path:
    """Save an mp4 as another program would: without settings."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = 48
        stream.height = 32
        stream.pix_fmt = "yuv420p"
        for frame in levels(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    """Cut the end off a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def number_of(picture: QImage | np.ndarray) -> int:
    """Which frame of such a clip a picture is, by its brightest channel in the middle."""
    if isinstance(picture, QImage):
        middle = picture.pixelColor(picture.width() // 2, picture.height() // 2)
        level = max(middle.red(), middle.green(), middle.blue())
    else:
        level = int(picture[picture.shape[0] // 2, picture.shape[1] // 2].max())
    return round((level - FIRST_LEVEL) / STEP)


def add(database: Database, path: Path, prompt: str = "a grey wall", **settings) -> int:
    """Write a clip and put it into the library; returns its id."""
    write_clip(path, prompt=prompt, **settings)
    return database.add_clip(
        path, {"prompt": prompt, "model": "mini", "seed": 7, **settings}, 8, 9, 48, 32
    )
