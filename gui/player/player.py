"""The player: a clip from memory, with filmstrip, trimming, export and frames to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu, QWidget

from mlxvid.gui.core.export import Source
from mlxvid.gui.core.stills import keeping
from mlxvid.gui.core.tasks import Task
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import small

from .canvas import Canvas
from .clip_view import ClipView
from .transport import action, button, menu_button

NOTHING = "Describe a clip and press Generate,\nor open a clip that you have."


class Player(ClipView):
    """Show one clip: a file, or the previews of one that is being made.

    stills: the folder for frames that become start images; None is the system's temporary folder.
    export_asked: a list of Sources.
    """

    use_last_frame = Signal(Path)
    export_asked = Signal(list)

    def __init__(self, stills: Path | None = None, parent: QWidget | None = None):
        super().__init__(Canvas(), parent=parent)
        self._stills = stills
        self.reel = self.reels[0]
        self._is_new = True  # the next frames are another clip's, and play from the start
        self._facts = ElidedLabel(mode=Qt.TextElideMode.ElideMiddle)
        self._facts.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._facts.setProperty("role", "faint")
        self._facts.setAccessibleName("About this clip")
        self._facts.setObjectName("clip-facts")
        self.transport.add(small(self._facts), 1)
        self.transport.add(button(self.actual))

        self.use_current = action(
            self, "Use This Frame as Start Image", None, None, self._use_current
        )
        self.use_last = action(self, "Use Last Frame as Start Image", None, None, self._use_last)
        frame_menu = QMenu(self)
        frame_menu.addActions([self.use_last, self.use_current])
        self.export = action(self, "Export…", "export", "Ctrl+E", self._export)
        self.export.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        self._frame_button = menu_button(frame_menu, "Use a frame as start image", icon("image"))
        self._export_button = button(self.export)
        self._export_button.setObjectName("export")
        self.transport.add(self._frame_button)
        self.transport.add(self._export_button)

        self.reel.begun.connect(self._begun)
        self.reel.grown.connect(self._grown)
        self.reel.ended.connect(self._ended)
        self.clear()

    # --- what is shown ----------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Show a clip from its first frame on, and play as soon as that is decoded.

        A damaged one is reported in the player.
        """
        self._is_new = True
        self.canvas.set_badge("")
        self.canvas.set_reduced(False)
        self.reel.open(path)

    def show_frames(self, frames: np.ndarray, fps: float, badge: str = "") -> None:
        """Show a preview, frames uint8 [F, H, W, 3], in place of the one before.

        The playhead stays where it is, and goes on if it moves; after another clip it starts at the
        first frame. However small it is, it is fitted to the space. badge: a few words over the
        picture.
        """
        self._is_new = self._is_new or self.reel.path is not None
        self.canvas.set_badge(badge)
        self.canvas.set_reduced(True)
        self.reel.show(frames, fps)

    def leave_frames(self, badge: str) -> None:
        """Keep the last preview, still and with a badge, since no more will come."""
        if not self.reel.frames:
            self.clear()
            return
        self.playhead.pause()
        self._play_when_shown = False
        self._is_new = True
        self.canvas.set_badge(badge)

    def clear(self, text: str = NOTHING) -> None:
        super().clear(text)
        self._is_new = True
        self._show_facts()

    @property
    def path(self) -> Path | None:
        """The file in view, None for previews."""
        return self.reel.path

    def show_frame(self, index: int) -> None:
        if self.reel.frames:  # until the first one comes, the clip before stays in view
            self.canvas.set_image(self.reel.image(index))

    def _begun(self) -> None:
        if self._is_new:
            self.playhead.pause()
            self.playhead.set_length(0, self.reel.fps)
        self._measure()
        self._show_facts()

    def _grown(self) -> None:
        self._measure()
        if self._is_new and self.reel.frames:
            self._is_new = False
            self.playhead.rewind()
            self.playhead.play()
        self.show_frame(self.playhead.index)

    def _ended(self, message: str) -> None:
        self._measure()
        self._show_facts()
        if message:
            self.message.emit(message)
        if not self.reel.frames:
            self.clear(f"This clip can't be shown.\n\n{message}")

    def _measure(self) -> None:
        if self.reel.facts is not None:
            self.playhead.set_length(self.reel.count, self.reel.fps, len(self.reel.frames))

    def _show_facts(self) -> None:
        facts = self.reel.facts
        has_frames = self.reel.count > 0
        parts = []
        if facts is not None:
            size = f"{facts.width} × {facts.height}" if self.path else "Preview"
            parts = [size, f"{facts.fps:g} fps"]
            if self.reel.reduced:
                width, height = self.reel.reduced
                parts.append(f"shown at {width} × {height} to fit in memory")
        self._facts.setText("  ·  ".join(parts))
        for one in (self.actual, self.use_current, self.use_last, self._frame_button):
            one.setEnabled(has_frames)
        self.export.setEnabled(has_frames and self.path is not None)

    # --- what can be done with it -----------------------------------------------------------------

    def _export(self) -> None:
        """Ask for the clip to be exported, what is between the marks if there are some."""
        facts = self.reel.facts
        if self.path is not None and facts is not None:
            size = (facts.width, facts.height)
            part = (self.playhead.first, self._out_mark())
            source = Source(self.path, self.playhead.count, facts.fps, *size, *part)
            self.export_asked.emit([source])

    def _out_mark(self) -> int | None:
        """The last frame to use; None for the clip's end, which may not be decoded yet."""
        trimmed_end = self.playhead.last < self.playhead.count - 1
        return self.playhead.last if trimmed_end else None

    def _use_current(self) -> None:
        self._use(self.playhead.index)

    def _use_last(self) -> None:
        self._use(self._out_mark())

    def _use(self, index: int | None) -> None:
        """Save a frame (None: the last) as a picture, and report its path.

        It comes from memory, or from the file if memory has it smaller.
        """
        kept = self.reel.frames if self.reel.complete and not self.reel.reduced else []
        work = keeping(self.path, index, self._stills, kept)
        self._tasks.run(work, done=self._used, failed=self._unused)

    def _used(self, task: Task, still: Path) -> None:
        self.use_last_frame.emit(still)

    def _unused(self, task: Task, message: str) -> None:
        self.message.emit(message)
