"""Single frames as pictures: for clips that begin where another one ends, and to keep."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QColorSpace, QImage, QImageWriter

from mlxvid.errors import MediaError
from mlxvid.media.images import write_png

from .frames import frame_of
from .reel import image_of
from .tasks import Task


def picking(
    path: Path | None, index: int | None, frames: Sequence[np.ndarray] = ()
) -> Callable[[Task], np.ndarray]:
    """The work of getting one frame of a clip at its own size, the last one for None.

    frames: the clip's, where they are all in memory at their own size; without them the frame is
    read from `path`.
    """

    def work(task: Task) -> np.ndarray:
        if frames:
            return frames[-1 if index is None else index]
        assert path is not None  # there are no frames in memory
        return frame_of(path, index, task.check)

    return work


def keeping(
    path: Path | None, index: int | None, folder: Path | None, frames: Sequence[np.ndarray] = ()
) -> Callable[[Task], Path]:
    """The work of saving a frame that :func:`picking` gets; it returns the picture's path."""

    def work(task: Task) -> Path:
        name = path.stem if path else "preview"
        place = "last" if index is None else f"{index + 1:04d}"
        return save_still(pick(task), folder, f"{name}-{place}")

    pick = picking(path, index, frames)
    return work


def save_still(frame: np.ndarray, folder: Path | None, name: str) -> Path:
    """Save a frame uint8 [H, W, 3] as a PNG in `folder`, and return its path.

    folder: None for the system's temporary one. A checksum of the pixels is in the name, so that a
    picture in use is never replaced by another. Raises :class:`MediaError` where it can't be
    written.
    """
    folder = folder or Path(tempfile.gettempdir()) / "mlxvid"
    target = folder / f"{name}-{zlib.crc32(frame.tobytes()):08x}.png"
    _replace(target, lambda half: write_png(half, frame))
    return target


def save_picture(frame: np.ndarray, target: Path) -> Path:
    """Save a frame uint8 [H, W, 3] as a PNG that says that it is sRGB, and return its path.

    Raises :class:`MediaError` for another ending, and where it can't be written.
    """
    if target.suffix.lower() != ".png":
        raise MediaError(f"{target.name} is no name of a PNG: choose one that ends in .png.")
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(tagged(image_of(frame)))
    _replace(target, lambda half: half.write_bytes(bytes(buffer.data().data())))
    return target


def tagged(image: QImage) -> QImage:
    """A picture of its own memory that says that its colours are sRGB."""
    copy = image.copy()
    copy.setColorSpace(QColorSpace(QColorSpace.NamedColorSpace.SRgb))
    return copy


def _replace(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place, and move it there once it is whole."""
    half = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(half)
        os.replace(half, target)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise MediaError(
            f"{target} can't be written ({error.strerror or error}): make room there."
        ) from error
