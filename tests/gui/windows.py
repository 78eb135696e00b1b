"""What tests of the window do with it."""

from __future__ import annotations

import os

import numpy as np
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QDragEnterEvent,
    QDropEvent,
)
from PySide6.QtWidgets import QPushButton

from mlxvid.media.clip import Clip

SETTINGS = {
    "mlxvid": "0.1.0",
    "model": "mini",
    "prompt": "a blue star",
    "negative_prompt": "",
    "width": 64,
    "height": 64,
    "frames": 9,
    "fps": 16.0,
    "steps": 3,
    "guidance": 2.0,
    "seed": 11,
    "sampler": "euler",
    "attention": "factored",
    "keyframes": {},
}


def write_clip(path, settings=SETTINGS):
    frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
    Clip(frames, 16.0, settings).save(path)
    return path


def runs(process: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def drop(window, qapp, *paths, image=None) -> None:
    """Drop files on the window, or pixels."""
    mime = QMimeData()
    at = QPoint(50, 50)
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    if image is not None:
        mime.setImageData(image)
    buttons = Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, buttons, keys)
    qapp.sendEvent(window, enter)
    assert enter.isAccepted()
    qapp.sendEvent(window, QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, buttons, keys))


def said(window) -> str:
    """The texts of the notices, a line each, the newest first; "" where there is none."""
    return "\n".join(notice.text for notice in window.notices.notices)


def notice_buttons(window) -> list[QPushButton]:
    """The buttons of the notices for what can be done, the newest's first."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)  # those of earlier notices
    buttons = window.notices.findChildren(QPushButton)
    return sorted(buttons, key=lambda button: button.mapTo(window.notices, QPoint()).y())
