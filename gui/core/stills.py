"""Single frames as pictures in files, for clips that begin where another one ends."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from mlxvid.errors import MediaError
from mlxvid.media.images import write_png

from .frames import frame_of
from .tasks import Task


def keeping(
    path: Path | None, index: int | None, folder: Path | None, frames: Sequence[np.ndarray] = ()
) -> Callable[[Task], Path]:
    """The work of saving one frame of a clip, the last one for None; it returns the picture's path.

    `frames` are the clip's, where they are all in memory at their own size; without them they are
    read from `path`.
    """

    def work(task: Task) -> Path:
        frame = (
            frames[-1 if index is None else index] if frames else frame_of(path, index, task.check)
        )
        name = path.stem if path else "preview"
        return save_still(
            frame, folder, f"{name}-last" if index is None else f"{name}-{index + 1:04d}"
        )

    return work


def save_still(frame: np.ndarray, folder: Path | None, name: str) -> Path:
    """Save a frame uint8 [H, W, 3] as a PNG in `folder` (None: the system's temporary one), and
    return its path.

    A fingerprint of the pixels is in its name, so that a picture which is in use is never replaced
    by another. Raises :class:`MediaError` where it can't be written.
    """
    folder = folder or Path(tempfile.gettempdir()) / "mlxvid"
    target = folder / f"{name}-{zlib.crc32(np.ascontiguousarray(frame)):08x}.png"
    half = target.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_png(half, frame)
        os.replace(half, target)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise MediaError(
            f"{target} can't be written ({error.strerror or error}): make room there."
        ) from error
    return target
