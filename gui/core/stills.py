"""Single frames saved as pictures, for clips that begin where another one ends."""

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

    frames: the clip's, where they are all in memory at their own size; without them the frame is
    read from `path`.
    """

    def work(task: Task) -> Path:
        if frames:
            frame = frames[-1 if index is None else index]
        else:
            assert path is not None  # there are no frames in memory
            frame = frame_of(path, index, task.check)
        name = path.stem if path else "preview"
        place = "last" if index is None else f"{index + 1:04d}"
        return save_still(frame, folder, f"{name}-{place}")

    return work


def save_still(frame: np.ndarray, folder: Path | None, name: str) -> Path:
    """Save a frame uint8 [H, W, 3] as a PNG in `folder`, and return its path.

    folder: None for the system's temporary one. A checksum of the pixels is in the name, so that a
    picture in use is never replaced by another. Raises :class:`MediaError` where it can't be
    written.
    """
    folder = folder or Path(tempfile.gettempdir()) / "mlxvid"
    target = folder / f"{name}-{zlib.crc32(frame.tobytes()):08x}.png"
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
