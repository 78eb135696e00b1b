"""Several clips on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from .playhead import Playhead
from .reel import Reel


class InStep(QObject):
    """Plays reels on one playhead.

    It runs at the highest of their frame rates and to the end of the longest; the others stop at
    their last frames. It begins to play once every clip has a frame, or turns out to have none.
    changed: there is more to show, or more is known. message: a sentence on a clip. unreadable: no
    clip has any frame.
    """

    changed = Signal()
    message = Signal(str)
    unreadable = Signal()

    def __init__(self, playhead: Playhead, reels: list[Reel], parent: QObject | None = None):
        """The list of reels stays the caller's, who may reorder it."""
        super().__init__(parent)
        self._playhead = playhead
        self._reels = reels
        self._play_when_ready = False
        for reel in reels:
            reel.begun.connect(self._measure)
            reel.grown.connect(self._grow)
            reel.ended.connect(self._end)

    def open(self, paths: Sequence[Path]) -> None:
        """Read a clip into each reel, and play them from the start."""
        self._play_when_ready = True
        for reel, path in zip(self._reels, paths, strict=True):
            reel.open(path)

    def images(self, index: int) -> list[QImage | None]:
        """The picture of each clip at a place of the playhead."""
        seconds = index / self._playhead.fps
        return [reel.image(reel.index_at(seconds)) for reel in self._reels]

    def _measure(self) -> None:
        """Set the clock to what is known by now.

        A place can be shown once every clip has its frame for it.
        """
        known = [reel for reel in self._reels if reel.count]
        if known:
            fps = max(reel.fps for reel in known)
            count = max(_scaled(reel.count, reel, fps) for reel in known)
            ready = count
            for reel in self._reels:
                if not reel.complete:
                    ready = min(ready, _scaled(len(reel.frames), reel, fps))
            self._playhead.set_length(count, fps, ready)
        self.changed.emit()

    def _grow(self) -> None:
        self._measure()
        if self._play_when_ready and all(reel.frames or reel.complete for reel in self._reels):
            self._play_when_ready = False
            self._playhead.rewind()
            self._playhead.play()

    def _end(self, message: str) -> None:
        self._grow()
        if message:
            self.message.emit(message)
        if all(reel.complete and not reel.frames for reel in self._reels):
            self.unreadable.emit()


def _scaled(frames: int, reel: Reel, fps: float) -> int:
    """`frames` of a clip, counted at another frame rate."""
    return round(frames / reel.fps * fps) if frames else 0
