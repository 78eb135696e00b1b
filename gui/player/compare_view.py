"""The comparison of two clips: in step, side by side or with a wipe."""

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
    """Two clips on one clock.

    It runs at the higher of their frame rates and to the end of the longer one; the shorter one
    stops at its last frame.
    """

    canvas: CompareCanvas

    def __init__(self, parent: QWidget | None = None):
        super().__init__(CompareCanvas(), reels=2, marks=False, parent=parent)
        self._play_when_ready = True  # play from the start once both clips have a frame
        self.labels = [ElidedLabel(), ElidedLabel()]
        header = QHBoxLayout()
        header.setContentsMargins(12, 8, 12, 8)
        header.setSpacing(16)
        for name, label in zip("AB", self.labels, strict=True):
            label.setAccessibleName(f"Clip {name}")
            header.addWidget(label, 1)
        self.column.insertLayout(0, header)

        self.side = action(self, "Side by Side", None, "S", partial(self.set_wipe, False))
        self.wipe = action(self, "Wipe", None, "W", partial(self.set_wipe, True))
        group = QActionGroup(self)
        for layout in (self.side, self.wipe):
            layout.setCheckable(True)
            group.addAction(layout)
        self.swap = action(self, "Swap Clips", None, "A", self.swap_clips, label="Swap")
        self.edge_left = action(
            self, "Move Wipe Left", None, "Shift+Left", partial(self._nudge, -NUDGE)
        )
        self.edge_right = action(
            self, "Move Wipe Right", None, "Shift+Right", partial(self._nudge, NUDGE)
        )
        self.transport.add(QWidget(), 1)
        for control in (self.side, self.wipe, self.swap):
            self.transport.add(button(control))
        self.transport.add(self.zoom_button())
        self.addActions([self.side, self.wipe, self.swap, self.edge_left, self.edge_right])
        for reel in self.reels:
            reel.begun.connect(self._measure)
            reel.grown.connect(self._grown)
            reel.ended.connect(self._ended)
        self.set_wipe(False)

    def open(self, paths: list[Path]) -> None:
        """Compare two clips, given in the order left, right."""
        self.clear("")
        self._play_when_ready = True
        for reel, path in zip(self.reels, paths, strict=True):
            reel.open(path)
        self._show_differences()

    def set_wipe(self, wipe: bool) -> None:
        """Show the clips one over the other, or side by side."""
        (self.wipe if wipe else self.side).setChecked(True)
        self.canvas.set_wipe(wipe)
        centre = Qt.AlignmentFlag.AlignHCenter
        sides = [Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight] if wipe else [centre] * 2
        for label, side in zip(self.labels, sides, strict=True):
            label.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        self.edge_left.setEnabled(wipe)
        self.edge_right.setEnabled(wipe)

    def swap_clips(self) -> None:
        """Swap the sides; decoded frames are kept."""
        self.reels.reverse()  # the filmstrip's list is the same
        self.filmstrip.refresh()
        self._show_differences()
        self.show_frame(self.playhead.index)

    def _nudge(self, by: float) -> None:
        self.canvas.set_edge(self.canvas.edge + by)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():  # the view was left, not just minimized
            self.clear("")

    # --- keeping both in step ---------------------------------------------------------------------

    def show_frame(self, index: int) -> None:
        seconds = index / self.playhead.fps
        self.canvas.set_images(*(reel.image(reel.index_at(seconds)) for reel in self.reels))

    def _measure(self) -> None:
        """Set the clock to what is known by now.

        A place can be shown once both clips have their frame for it.
        """
        known = [reel for reel in self.reels if reel.count]
        if known:
            fps = max(reel.fps for reel in known)
            count = max(_scaled(reel.count, reel, fps) for reel in known)
            ready = count
            for reel in self.reels:
                if not reel.complete:
                    ready = min(ready, _scaled(len(reel.frames), reel, fps))
            self.playhead.set_length(count, fps, ready)
        self._show_differences()

    def _grown(self) -> None:
        self._measure()
        if self._play_when_ready and all(reel.frames or reel.complete for reel in self.reels):
            self._play_when_ready = False
            self.playhead.rewind()
            self.playhead.play()
        self.show_frame(self.playhead.index)

    def _ended(self, message: str) -> None:
        self._grown()
        if message:
            self.message.emit(message)
        if all(reel.complete and not reel.frames for reel in self.reels):
            self.canvas.clear("Neither of these clips can be shown.")

    def _show_differences(self) -> None:
        """Label the clips with what they don't share; until that is known, with their names."""
        opened = [(reel.path, reel.facts) for reel in self.reels if reel.path and reel.facts]
        if len(opened) == len(self.reels):
            lines = differences(opened)
        else:
            lines = [_name(reel) for reel in self.reels]
        for name, label, line in zip("AB", self.labels, lines, strict=True):
            label.setText(f"{name}   {line}")


def _name(reel: Reel) -> str:
    """The name of a clip, and whether it failed to open."""
    name = reel.path.name if reel.path else ""
    return f"{name} can’t be shown" if reel.complete and not reel.frames else name


def _scaled(frames: int, reel: Reel, fps: float) -> int:
    """`frames` of a clip, counted at another frame rate."""
    return round(frames / reel.fps * fps) if frames else 0
