"""The player: a clip from memory, with filmstrip, trimming, export and frames to start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import QMimeData, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QAction, QDrag, QPixmap
from PySide6.QtWidgets import QWidget

from mlxvid.gui.core.copies import Source
from mlxvid.gui.core.reel import image_of
from mlxvid.gui.core.stills import picking
from mlxvid.gui.core.tasks import Task
from mlxvid.gui.widgets.elided import DOT, FactsLabel
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import small

from .canvas import Canvas
from .clip_view import ClipView
from .frames_menu import FramesMenu
from .transport import action, button, menu_button

# Milliseconds that a frame stands before it is read from the file, where memory has it smaller.
SHARPEN = 150
# Pixels of the picture under the mouse that drags a clip.
DRAGGED = 96
NOTHING = "Describe a clip and press Generate,\nor open a clip that you have."


class Player(ClipView):
    """Show one clip: a file, or the previews of one that is being made.

    stills: the folder for frames that become pictures of the next clip (None: the temporary one).
    use_frame: the setting that a frame is for, and its picture. viewed: something else is shown, or
    more is known of it. export_asked: a list of Sources.
    """

    use_frame = Signal(str, Path)
    viewed = Signal()
    export_asked = Signal(list)

    def __init__(self, stills: Path | None = None, parent: QWidget | None = None):
        super().__init__(Canvas(), parent=parent)
        self.reel = self.reels[0]
        self._sharper: Task | None = None
        self._standing = QTimer(self, singleShot=True, interval=SHARPEN)
        self._standing.timeout.connect(self._sharpen)
        self._is_new = True  # the next frames are another clip's, and play from the start
        self._facts = FactsLabel()
        self._facts.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._facts.setProperty("role", "faint")
        self._facts.setAccessibleName("About this clip")
        self._facts.setObjectName("clip-facts")
        self.transport.add(small(self._facts), 1)
        self.transport.add_spare(self.zoom_button())

        self.frames = FramesMenu(self, self.reel, self.playhead, self._tasks, stills)
        self.frames.used.connect(self.use_frame)
        self.frames.message.connect(self.message)
        self.frames.warning.connect(self.warning)
        self.addActions(self.frames.actions)
        self.frame_menu = self.frames.menu()
        self._frame_button = menu_button(
            self.frame_menu, "Use, save or copy a frame", icon("image")
        )
        self.export = action(self, "Export…", "export", "Ctrl+Shift+E", self._export)
        self.export.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        self._export_button = button(self.export)
        self._export_button.setObjectName("export")
        self.transport.add(self._frame_button)
        self.transport.add(self._export_button)

        self.canvas.copied.connect(self.frames.copy_frame)
        self.canvas.dragged.connect(self._drag_clip)
        self.playhead.playing_changed.connect(self._standing.start)
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
        self.canvas.set_fitted(False)
        self.reel.open(path)

    def show_frames(self, frames: np.ndarray, fps: float, badge: str = "") -> None:
        """Show a preview, frames uint8 [F, H, W, 3], in place of the one before.

        The playhead stays where it is, and goes on if it moves; after another clip it starts at the
        first frame. However small it is, it is fitted to the space. badge: a few words over the
        picture.
        """
        self._is_new = self._is_new or self.reel.path is not None
        self.canvas.set_badge(badge)
        self.canvas.set_fitted(True)
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

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in view, or only what is left of a file that is gone."""
        gone = self.path is not None and not self.path.exists()
        return gone or self.path is None and not self.reel.frames

    def show_frame(self, index: int) -> None:
        if self.reel.frames:  # until the first one comes, the clip before stays in view
            self.canvas.set_image(self.reel.image(index))
            self._standing.start()

    def actions_for_menu(self) -> list[QAction]:
        return [*super().actions_for_menu(), self.frame_menu.menuAction()]

    # --- sharper than memory has it ---------------------------------------------------------------

    def _sharpen(self) -> None:
        """Read the frame that stands from the file, where memory has it smaller."""
        if self._sharper is not None:
            self._sharper.cancel()
        self._sharper = None
        if self.reel.reduced and not self.playhead.playing:
            work = picking(self.path, self.playhead.index)
            self._sharper = self._tasks.run(work, done=self._show_sharper)

    def _show_sharper(self, task: Task, frame: np.ndarray) -> None:
        if task is self._sharper and not self._standing.isActive():
            self.canvas.set_image(image_of(frame))

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
            size = f"{facts.width}×{facts.height}" if self.path else "Preview"
            parts = [size, f"{facts.fps:g} fps"]
            if self.reel.reduced:
                width, height = self.reel.reduced
                parts.append(f"plays at {width}×{height} to fit in memory")
        self._facts.setText(DOT.join(parts))
        self.viewed.emit()
        self.frames.set_enabled(has_frames)
        self._frame_button.setEnabled(has_frames)
        self.actual.setEnabled(has_frames and self.path is not None)
        self.export.setEnabled(has_frames and self.path is not None)

    # --- what can be done with it -----------------------------------------------------------------

    def _export(self) -> None:
        """Ask for the clip to be exported, what is between the marks if there are some."""
        facts = self.reel.facts
        if self.path is not None and facts is not None:
            size = (facts.width, facts.height)
            part = (self.playhead.first, self.frames.last_index())
            source = Source(self.path, self.playhead.count, facts.fps, *size, *part)
            self.export_asked.emit([source])

    def _drag_clip(self) -> None:
        """Let the mouse take the file elsewhere."""
        if self.path is None or self.canvas.image is None:
            return
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(self.path))])
        drag = QDrag(self.canvas)
        drag.setMimeData(mime)
        drag.setPixmap(QPixmap.fromImage(self.canvas.image.scaledToWidth(DRAGGED)))
        drag.exec(Qt.DropAction.CopyAction)
