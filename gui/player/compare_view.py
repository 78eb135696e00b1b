"""The comparison of two clips: in step, side by side or with a wipe."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QActionGroup, QHideEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from mlxvid.gui.core.differences import differences
from mlxvid.gui.core.in_step import InStep
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.widgets.elided import ElidedLabel

from .clip_view import ClipView
from .compare_canvas import CompareCanvas
from .transport import action, button

# How far one key press moves the wipe's edge.
NUDGE = 0.02


class CompareView(ClipView):
    """Two clips on one clock; see InStep."""

    canvas: CompareCanvas

    def __init__(self, parent: QWidget | None = None):
        super().__init__(CompareCanvas(), reels=2, marks=False, parent=parent)
        self._step = InStep(self.playhead, self.reels, self)
        self.labels = [ElidedLabel(), ElidedLabel()]
        header = QHBoxLayout()
        header.setContentsMargins(12, 8, 12, 8)
        header.setSpacing(16)
        for name, label in zip("AB", self.labels, strict=True):
            label.setAccessibleName(f"Clip {name}")
            header.addWidget(label, 1)
        self.column.insertLayout(0, header)

        self.side = action(self, "Side by Side", "beside", "S", partial(self.set_wipe, False))
        self.wipe = action(self, "Wipe", "compare", "W", partial(self.set_wipe, True))
        group = QActionGroup(self)
        for layout in (self.side, self.wipe):
            layout.setCheckable(True)
            group.addAction(layout)
        self.swap = action(self, "Swap Clips", "swap", "A", self.swap_clips)
        self.edge_left = action(
            self, "Move Wipe Left", None, "Shift+Left", partial(self._nudge, -NUDGE)
        )
        self.edge_right = action(
            self, "Move Wipe Right", None, "Shift+Right", partial(self._nudge, NUDGE)
        )
        self.transport.add(QWidget(), 1)
        for control in (self.side, self.wipe, self.swap):
            self.transport.add(button(control))
        self.transport.add_spare(self.zoom_button())
        self.addActions([self.side, self.wipe, self.swap, self.edge_left, self.edge_right])
        self._step.changed.connect(self._follow)
        self._step.message.connect(self.message)
        self._step.unreadable.connect(
            lambda: self.canvas.clear("Neither of these clips can be shown.")
        )
        self.set_wipe(False)

    def open(self, paths: list[Path]) -> None:
        """Compare two clips, given in the order left, right."""
        self.clear("")
        self._step.open(paths)
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
        self.canvas.set_images(*self._step.images(index))

    def _follow(self) -> None:
        self._show_differences()
        self.show_frame(self.playhead.index)

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
