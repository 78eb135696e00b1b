"""What was dropped, pasted or opened: a clip whose settings are wanted again, or a picture to begin
from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QBuffer, QIODevice, QMimeData
from PySide6.QtGui import QImage

from mlxvid.errors import MediaError
from mlxvid.media.clip import read_settings
from mlxvid.media.formats import VIDEO
from mlxvid.media.images import open_picture
from mlxvid.run.repeat import repeatable

from .database_file import data_folder

# What other programs make and Pillow doesn't read: named for what it is, rather than called a
# broken picture.
_FILMS = {*VIDEO, ".mov", ".m4v", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".wmv"}
_CLIPS = {*_FILMS, ".gif"}


def files_in(mime: QMimeData) -> list[Path]:
    """The local files and folders that were dropped or copied."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]


def picture_in(mime: QMimeData) -> Path | None:
    """The picture in a drop or on the clipboard: the first file, or pixels, which are saved so that
    the worker can read them.

    Raises :class:`MediaError` for files that are no pictures; None where there is neither.
    """
    files = files_in(mime)
    if files:
        check_picture(files[0])
        return files[0]
    image = QImage(mime.imageData()) if mime.hasImage() else QImage()
    return None if image.isNull() else keep_picture(image)


def check_picture(path: Path) -> None:
    """Raise :class:`MediaError`, with a sentence that says what it is instead, unless the file is a
    picture.
    """
    if path.suffix.lower() in _FILMS:
        raise MediaError(
            f"{path.name} is a film, not a picture: open it and use one of its frames, or give a picture."
        )
    with open_picture(path):
        pass


def check_clip(path: Path) -> None:
    """Raise :class:`MediaError`, with a sentence, for what can't be a clip; whether it is whole
    shows when its frames are read.
    """
    if not path.exists():
        raise MediaError(f"There is no clip {path}: it may have been moved or renamed.")
    if path.suffix.lower() not in _CLIPS and not path.is_dir():
        raise MediaError(f"{path.name} is no clip: give a film, a GIF or a folder of frames.")


def keep_picture(image: QImage) -> Path:
    """Save pasted pixels under a name that their content gives; raises :class:`MediaError` where
    that can't be done.
    """
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
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


def take(
    path: Path, settings: Callable[[dict[str, Any]], None], picture: Callable[[Path], None]
) -> None:
    """Hand on what a file is: the settings of a clip that mlxvid saved, or a picture.

    Raises :class:`MediaError` or :class:`SettingError` with a sentence for anything else.
    """
    if path.suffix.lower() in _CLIPS or path.is_dir():
        settings(settings_in(path))
    else:
        check_picture(path)
        picture(path)


def settings_in(path: Path) -> dict[str, Any]:
    """The settings in a clip, as :meth:`ComposePanel.apply_settings` takes them; raises as
    :func:`take` does.
    """
    try:
        found = read_settings(path)
    except MediaError:
        if path.exists():
            raise MediaError(
                f"{path.name} was not made with mlxvid, so there are no settings in it: drop a clip of yours, or a picture."
            ) from None
        raise
    repeatable(found, path.name)
    return found
