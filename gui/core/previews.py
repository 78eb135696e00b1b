"""Previews of the clip that is being made, decoded outside the GUI thread."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from PySide6.QtCore import QObject, Signal

from mlxvid.errors import MediaError

from .tasks import Task, Tasks


class Previews(QObject):
    """Decodes one preview at a time; of those that come meanwhile, only the latest."""

    ready = Signal(object)  # uint8 [F, H, W, 3]

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self._tasks = Tasks(1, self)
        self._running: Task | None = None
        self._waiting: dict[str, Any] | None = None

    def show(self, event: dict[str, Any]) -> None:
        """Decode a worker's `preview` event."""
        self._waiting = event
        if self._running is None:
            self._next()

    def clear(self) -> None:
        """Drop what is still being decoded, after its clip has ended."""
        self._waiting = None
        if self._running is not None:
            self._running.cancel()

    def _next(self) -> None:
        event = self._waiting
        self._waiting = None
        if event is not None:
            self._running = self._tasks.task(lambda task: frames_of_preview(event))
            self._running.done.connect(self._done)
            self._running.ended.connect(self._ended)
            self._tasks.start(self._running)

    def _done(self, task: Task, frames: np.ndarray) -> None:
        if not task.cancelled:
            self.ready.emit(frames)

    def _ended(self, task: Task) -> None:
        self._running = None
        self._next()


def frames_of_preview(event: dict[str, Any]) -> np.ndarray:
    """The frames uint8 [F, H, W, 3] of a `preview` event; raises :class:`MediaError`."""
    try:
        png = io.BytesIO(base64.b64decode(event["png"]))
        with Image.open(png, formats=("PNG",)) as image:
            strip = np.asarray(image.convert("RGB"))
        return strip.reshape(event["frames"], event["height"], event["width"], 3)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"A preview could not be read ({error}); the clip itself goes on."
        ) from None
