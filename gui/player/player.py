"""The player: a clip from memory, with its filmstrip, trimming, export, and frames to go on from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu, QWidget

from mlxvid.gui.core.export import Export
from mlxvid.gui.core.stills import keeping
from mlxvid.gui.core.tasks import Task
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.export_bar import ExportBar
from mlxvid.gui.widgets.export_formats import Format, fill_export_menu
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import small

from .canvas import Canvas
from .clip_view import ClipView
from .transport import action, button, menu_button

NOTHING = "Describe a clip and press Generate,\nor open one of yours."


class Player(ClipView):
    """Shows one clip: a file, or frames that come while it is being made.

    `stills` is where frames are saved that become start images; None is the system's temporary
    folder.
    """

    use_last_frame = Signal(Path)

    def __init__(self, stills: Path | None = None, parent: QWidget | None = None):
        super().__init__(Canvas(), parent=parent)
        self._stills = stills
        self.reel = self.reels[0]
        self._fresh = True  # whether the next frames are another clip's, to be begun at the start
        self._facts = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self._facts.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._facts.setProperty("role", "faint")
        self._facts.setAccessibleName("About this clip")
        self.transport.add(small(self._facts), 1)
        self.transport.add(button(self.actual))

        self.use_current = action(
            self, "Use This Frame as Start Image", None, None, self._use_current
        )
        self.use_last = action(self, "Use Last Frame as Start Image", None, None, self._use_last)
        frame_menu, export_menu = QMenu(self), QMenu(self)
        frame_menu.addActions([self.use_last, self.use_current])
        fill_export_menu(export_menu, self.export_as)
        self._frame_button = menu_button(frame_menu, "Use a frame as start image", icon("image"))
        self._export_button = menu_button(export_menu, "Export", icon("export"))
        self.transport.add(self._frame_button)
        self.transport.add(self._export_button)
        self.exports = ExportBar(Export(self))
        self.exports.message.connect(self.message)
        self.arrangement.addWidget(self.exports)

        self.reel.begun.connect(self._begun)
        self.reel.grown.connect(self._grown)
        self.reel.ended.connect(self._ended)
        self.clear()

    # --- what is shown ----------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Show a clip from its first frame on, playing as soon as that is decoded. A damaged one is
        told in the player.
        """
        self._fresh = True
        self.canvas.set_badge("")
        self.reel.open(path)

    def show_frames(self, frames: np.ndarray, fps: float, badge: str = "") -> None:
        """Show frames uint8 [F, H, W, 3] of a clip that is being made, in place of its earlier
        ones: the place and the movement stay.

        `badge` is a few words over the picture. The first such frames after another clip begin at
        the start.
        """
        self._fresh = self._fresh or self.reel.path is not None
        self.canvas.set_badge(badge)
        self.reel.show(frames, fps)

    def leave_frames(self, badge: str) -> None:
        """No more frames of that clip come: the last ones stay, still, with these words over them."""
        if not self.reel.frames:
            self.clear()
            return
        self.playhead.pause()
        self._go_on = False
        self._fresh = True
        self.canvas.set_badge(badge)

    def clear(self, text: str = NOTHING) -> None:
        super().clear(text)
        self._fresh = True
        self._tell_facts()

    @property
    def path(self) -> Path | None:
        """The file in view, None for frames that are in none."""
        return self.reel.path

    def show_frame(self, index: int) -> None:
        if self.reel.frames:  # the clip before stays until there is one
            self.canvas.set_image(self.reel.image(index))

    def _begun(self) -> None:
        if self._fresh:
            self.playhead.pause()
            self.playhead.set_length(0, self.reel.fps)
        self._measure()
        self._tell_facts()

    def _grown(self) -> None:
        self._measure()
        if self._fresh and self.reel.frames:
            self._fresh = False
            self.playhead.rewind()
            self.playhead.play()
        self.show_frame(self.playhead.index)

    def _ended(self, message: str) -> None:
        self._measure()
        self._tell_facts()
        if message:
            self.message.emit(message)
        if not self.reel.frames:
            self.clear(f"This clip can't be shown.\n\n{message}")

    def _measure(self) -> None:
        if self.reel.facts is not None:
            self.playhead.set_length(self.reel.count, self.reel.fps, len(self.reel.frames))

    def _tell_facts(self) -> None:
        facts, there = self.reel.facts, bool(self.reel.count)
        parts = []
        if facts is not None:
            parts = [f"{facts.width} × {facts.height}", f"{facts.fps:g} fps"]
            if self.reel.reduced:
                parts.append(
                    f"shown at {self.reel.reduced[0]} × {self.reel.reduced[1]} to fit in memory"
                )
        self._facts.setText("  ·  ".join(parts))
        for one in (self.actual, self.use_current, self.use_last, self._frame_button):
            one.setEnabled(there)
        self._export_button.setEnabled(there and self.path is not None)

    # --- what can be done with it -----------------------------------------------------------------

    def export_as(self, form: Format) -> None:
        """Ask for a name and save what is between the marks in this format."""
        if self.path is not None:
            self.exports.ask(self.path, form, self.playhead.first, self._out_mark())

    def _out_mark(self) -> int | None:
        """The last frame that is wanted; None for the clip's end, which may not be decoded yet."""
        return self.playhead.last if self.playhead.last < self.playhead.count - 1 else None

    def _use_current(self) -> None:
        self._use(self.playhead.index)

    def _use_last(self) -> None:
        self._use(self._out_mark())

    def _use(self, index: int | None) -> None:
        """Save a frame (None: the last) as a picture and tell where it is: from memory, or from the
        file where memory has it smaller.
        """
        kept = self.reel.frames if self.reel.complete and not self.reel.reduced else []
        work = keeping(self.path, index, self._stills, kept)
        self._tasks.run(work, done=self._used, failed=self._unused)

    def _used(self, task: Task, still: Path) -> None:
        self.use_last_frame.emit(still)

    def _unused(self, task: Task, message: str) -> None:
        self.message.emit(message)
