"""Files that are dropped, pasted or opened: clips for their settings, and pictures."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QMimeData
from PySide6.QtGui import QImage, QImageWriter

from mlxvid.errors import MediaError
from mlxvid.media.animations import is_animated
from mlxvid.media.formats import VIDEO
from mlxvid.media.images import read_thumbnail
from mlxvid.media.reading import read_tag
from mlxvid.paths import require_regular

from .database_file import data_folder
from .reel import image_of

# Videos, some of which only other programs make: Pillow would call them broken pictures.
_FILMS = {*VIDEO, ".m4v", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".mxf", ".wmv"}
_FILMS |= {".3gp", ".flv", ".ogv"}
_CLIPS = {*_FILMS, ".gif"}
# Pixels of a thumbnail's longer side, and how many are kept of those read lately.
THUMBNAIL = 360
_KEPT = 16


@dataclass(frozen=True)
class Opened:
    """A file that was opened: a picture and its thumbnail, or else a clip and its settings ({}
    without any).
    """

    path: Path
    picture: QImage | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def files_in(mime: QMimeData) -> list[Path]:
    """The local files and folders that were dropped or copied."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]


def pixels_in(mime: QMimeData) -> QImage | None:
    """The pixels in a drop or on the clipboard; None where there are none."""
    image = QImage(mime.imageData()) if mime.hasImage() else QImage()
    return None if image.isNull() else image


def picture_thumbnail(path: Path, side: int = THUMBNAIL) -> QImage:
    """A picture of at most `side` pixels; of one that was read lately it costs nothing. Not for the
    GUI thread.

    Read as the worker reads it: Qt's own readers take formats in which files name other files.
    Raises :class:`MediaError`, saying what the file is instead, unless it is a picture.
    """
    check_no_film(path)
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        changed = 0  # reading it says what is wrong
    return _thumbnail(path, side, changed)


@lru_cache(maxsize=_KEPT)
def _thumbnail(path: Path, side: int, changed: int) -> QImage:
    return image_of(read_thumbnail(path, side))


def is_film(path: Path) -> bool:
    """Whether a file is a clip by its name, or a folder, which may hold one."""
    return path.suffix.lower() in _FILMS or path.is_dir()


def check_no_film(path: Path) -> None:
    """Raise :class:`MediaError` for what is a video by its name."""
    if path.suffix.lower() in _FILMS:
        raise MediaError(
            f"{path.name} is a video, not a picture: open it and use one of its frames, or choose "
            "a picture."
        )


def check_clip(path: Path) -> None:
    """Raise :class:`MediaError` for what can't be a clip.

    Whether it is complete shows when its frames are read.
    """
    if not path.exists():
        raise MediaError(f"There is no clip {path}: it may have been moved or renamed.")
    if path.suffix.lower() not in _CLIPS and not path.is_dir():
        raise MediaError(f"{path.name} is no clip: choose a video, a GIF or a folder of frames.")
    if not path.is_dir():
        require_regular(path)


def keep_picture(image: QImage) -> Path:
    """Save pasted pixels under a name that follows from them. Not for the GUI thread.

    Raises :class:`MediaError` where they can't be saved.
    """
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(buffer, b"png").write(image)
    content = bytes(buffer.data().data())
    path = data_folder() / "pictures" / f"{hashlib.sha256(content).hexdigest()[:16]}.png"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise MediaError(
            f"The picture could not be kept in {path.parent} ({error.strerror}): make room there."
        ) from None
    return path


def looked_at(path: Path) -> Opened:
    """What is in a file: a clip and its settings, or a picture. Not for the GUI thread.

    Raises :class:`MediaError` for anything else.
    """
    if not path.exists():
        raise MediaError(f"There is no file {path}: it may have been moved or renamed.")
    if path.suffix.lower() not in _CLIPS and not path.is_dir() and not is_animated(path):
        return Opened(path, picture_thumbnail(path))
    tag = read_tag(path)
    return Opened(path, settings=tag["settings"] if tag else {})
