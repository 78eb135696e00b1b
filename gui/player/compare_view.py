"""Comparing two takes: in step, beside each other or with a wipe."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QActionGroup, QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from mlxvid.gui.core.reel import Reel
from mlxvid.gui.widgets.elided import ElidedLabel

from .clip_view import ClipView
from .compare_canvas import CompareCanvas
from .differences import differences
from .transport import action, button

# How far one key press moves the wipe's edge.
NUDGE = 0.02


class CompareView(ClipView):
    """Two clips on one clock, which runs at the higher of their rates and to the end of the longer;
    the shorter waits at its end.
    """

    canvas: CompareCanvas

    def __init__(self, parent: QWidget | None = None):
        super().__init__(CompareCanvas(), reels=2, marks=False, parent=parent)
        self._fresh = True
        self.labels = [ElidedLabel(), ElidedLabel()]
        header = QHBoxLayout()
        header.setContentsMargins(12, 8, 12, 8)
        header.setSpacing(16)
        for name, label in zip("AB", self.labels, strict=True):
            label.setAccessibleName(f"Take {name}")
            header.addWidget(label, 1)
        self.arrangement.insertLayout(0, header)

        self.side = action(self, "Side by Side", None, "S", partial(self.set_wipe, False))
        self.wipe = action(self, "Wipe", None, "W", partial(self.set_wipe, True))
        group = QActionGroup(self)
        for one in (self.side, self.wipe):
            one.setCheckable(True)
            group.addAction(one)
        self.swap = action(self, "Swap Takes", None, "A", self.swap_takes, label="Swap")
        self.edge_left = action(
            self, "Move Wipe Left", None, "Shift+Left", partial(self._nudge, -NUDGE)
        )
        self.edge_right = action(
            self, "Move Wipe Right", None, "Shift+Right", partial(self._nudge, NUDGE)
        )
        self.transport.add(QWidget(), 1)
        for one in (self.side, self.wipe, self.swap, self.actual):
            self.transport.add(button(one))
        self.addActions([self.side, self.wipe, self.swap, self.edge_left, self.edge_right])
        for reel in self.reels:
            reel.begun.connect(self._measure)
            reel.grown.connect(self._grown)
            reel.ended.connect(self._ended)
        self.set_wipe(False)

    def open(self, paths: list[Path]) -> None:
        """Compare two clips, given in the order left, right."""
        self.clear("")
        self._fresh = True
        for reel, path in zip(self.reels, paths, strict=True):
            reel.open(path)
        self._tell()

    def set_wipe(self, wipe: bool) -> None:
        """Lay the takes over each other, or beside each other."""
        (self.wipe if wipe else self.side).setChecked(True)
        self.canvas.set_wipe(wipe)
        left, right = (
            (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight)
            if wipe
            else (Qt.AlignmentFlag.AlignHCenter,) * 2
        )
        for label, where in zip(self.labels, (left, right), strict=True):
            label.setAlignment(where | Qt.AlignmentFlag.AlignVCenter)
        for one in (self.edge_left, self.edge_right):
            one.setEnabled(wipe)

    def swap_takes(self) -> None:
        """Change the sides; what is decoded is kept."""
        self.reels.reverse()  # the filmstrip's list is the same
        self.filmstrip.refresh()
        self._tell()
        self.show_frame(self.playhead.index)

    def _nudge(self, by: float) -> None:
        self.canvas.set_edge(self.canvas.edge + by)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():  # not minimized, but left for good
            self.clear("")

    # --- keeping both in step ---------------------------------------------------------------------

    def show_frame(self, index: int) -> None:
        seconds = index / self.playhead.fps
        self.canvas.set_images(*(reel.image(reel.index_at(seconds)) for reel in self.reels))

    def _measure(self) -> None:
        """Set the clock to what is known by now. A place can be shown when both takes have their
        frame for it.
        """
        known = [reel for reel in self.reels if reel.count]
        if known:
            fps = max(reel.fps for reel in known)
            count = max(_scaled(reel.count, reel, fps) for reel in known)
            there = [
                count if reel.complete else _scaled(len(reel.frames), reel, fps)
                for reel in self.reels
            ]
            self.playhead.set_length(count, fps, min(there))
        self._tell()

    def _grown(self) -> None:
        self._measure()
        if self._fresh and all(reel.frames or reel.complete for reel in self.reels):
            self._fresh = False
            self.playhead.rewind()
            self.playhead.play()
        self.show_frame(self.playhead.index)

    def _ended(self, message: str) -> None:
        self._grown()
        if message:
            self.message.emit(message)
        if all(reel.complete and not reel.frames for reel in self.reels):
            self.canvas.clear("Neither of these clips can be shown.")

    def _tell(self) -> None:
        """What the takes have different, once both are known; before that, their names."""
        if all(reel.facts for reel in self.reels):
            lines = differences([(reel.path, reel.facts) for reel in self.reels])
        else:
            lines = [
                f"{reel.path.name}{' can’t be shown' if reel.complete and not reel.frames else ''}"
                for reel in self.reels
                if reel.path
            ]
        for name, label, line in zip("AB", self.labels, lines, strict=False):
            label.setText(f"{name}   {line}")


def _scaled(frames: int, reel: Reel, fps: float) -> int:
    """So many of a clip's frames, counted in frames of another rate."""
    return round(frames / reel.fps * fps) if frames else 0
