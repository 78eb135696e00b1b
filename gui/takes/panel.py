"""The clips of one group side by side, playing in step: to keep, to reject, to open, to export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QHideEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.export_client import ExportClient, sheet_request
from mlxvid.gui.core.frames import BUDGET
from mlxvid.gui.core.in_step import InStep
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.core.tasks import Tasks
from mlxvid.gui.widgets.actions import action_button
from mlxvid.gui.widgets.elided import DOT, FactsLabel
from mlxvid.gui.widgets.icons import icon

from .canvas import TakesCanvas
from .export import sheet_clip
from .sheet import Sheet, sheet_of

# Clips that are shown at once: more share too little memory and screen.
MOST = 25


class TakesPanel(QWidget):
    """A sheet of clips on one playhead.

    open_clip: the id of one to be shown alone. left: the user is done. rejected: clips to be moved
    to the Trash, once the panel is left.
    """

    open_clip = Signal(int)
    left = Signal()
    rejected = Signal(list)
    message = Signal(str)
    warning = Signal(str)

    def __init__(self, database: Database):
        super().__init__()
        self._database = database
        self._tasks = Tasks(2, self)
        self._reels: list[Reel] = []
        self._step: InStep | None = None
        self._rejected: set[int] = set()  # the ids of clips
        self._exported: Path | None = None  # what is being saved
        self.exporter = ExportClient(self)
        self.playhead = Playhead(parent=self)
        self.canvas = TakesCanvas()
        self._make_actions()
        self._lay_out()
        self.setFocusProxy(self.canvas)
        self.canvas.chosen_changed.connect(self._update)
        self.canvas.opened.connect(self._open)
        self.playhead.moved.connect(self._show_frame)
        self.playhead.playing_changed.connect(self._show_playing)
        database.clips_changed.connect(self._mark)
        self.exporter.stepped.connect(self._show_export)
        self.exporter.exported.connect(self._report_exported)
        self.exporter.failed.connect(self._report_failed)
        self.exporter.cancelled.connect(self._report_cancelled)

    def _make_actions(self) -> None:
        self.play_action = self._action(
            "Play", "play", self.playhead.toggle, "Play or pause (Space)"
        )
        self.keep_action = self._action(
            "Keep", "star", self._keep, "Make it a favourite, or no longer (K)"
        )
        self.reject_action = self._action(
            "Reject", "trash", self._reject, "Move it to the Trash when you are done (X)"
        )
        self.open_action = self._action("Open", "right", self._open, "Show it alone (Return)")
        self.canvas.deeds = {
            Qt.Key.Key_Space: self.playhead.toggle,
            Qt.Key.Key_K: self._keep,
            Qt.Key.Key_X: self._reject,
            Qt.Key.Key_Return: self._open,
            Qt.Key.Key_Enter: self._open,
        }
        self.export_action = self._action(
            "Export…", "export", self.ask_to_export, "Save all as one clip, with their labels"
        )

    def _action(self, text: str, picture: str, then: Callable[[], None], tip: str) -> QAction:
        made = QAction(icon(picture), text, self)
        made.setIconText(text)  # Qt takes the ellipsis away
        made.setToolTip(tip)
        made.triggered.connect(lambda: then())
        self.addAction(made)
        return made

    def _lay_out(self) -> None:
        self.title = QLabel()
        self.title.setProperty("role", "heading")
        self.done = QPushButton("Done")
        self.done.setToolTip("Return to the single clip (Esc)")
        self.done.clicked.connect(self.left)
        head = QHBoxLayout()
        head.setContentsMargins(16, 6, 8, 6)
        head.addWidget(self.title, 1)
        head.addWidget(self.done)
        self.facts = FactsLabel()
        self.facts.setProperty("role", "faint")
        self.facts.setAccessibleName("Chosen take")
        foot = QHBoxLayout()
        foot.setContentsMargins(8, 6, 8, 6)
        foot.addWidget(action_button(self.play_action))
        foot.addWidget(self.facts, 1)
        for action in (self.keep_action, self.reject_action, self.open_action, self.export_action):
            foot.addWidget(action_button(action, with_text=True))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.canvas, 1)
        layout.addLayout(foot)

    # --- what is shown ----------------------------------------------------------------------------

    @property
    def sheet(self) -> Sheet | None:
        return self.canvas.sheet

    def of_group(self, group: str) -> list[ClipRow]:
        """The clips of a group."""
        return [clip for clip in self._database.clips() if clip.group == group]

    def open(self, clips: Sequence[ClipRow]) -> None:
        """Show these clips, two at least, in the order in which they were asked for."""
        self._leave()
        clips = sorted(clips, key=lambda clip: (clip.job or 0, clip.id))
        if len(clips) > MOST:
            self.message.emit(f"Only the first {MOST} of {len(clips)} clips are shown.")
        sheet = sheet_of(clips[:MOST])
        shown = [clip for clip in sheet.cells if clip is not None]
        for _ in shown:
            self._reels.append(Reel(self._tasks, BUDGET // len(shown), self))
        self._step = InStep(self.playhead, self._reels, self)
        self._step.changed.connect(lambda: self._show_frame(self.playhead.index))
        self._step.message.connect(self.message)
        self.title.setText(sheet.title)
        self.canvas.set_sheet(sheet)
        self._mark()
        self._step.open([clip.path for clip in shown])
        self.canvas.setFocus()

    def _show_frame(self, index: int) -> None:
        sheet = self.sheet
        if sheet is None or self._step is None:
            return
        images = iter(self._step.images(index))
        self.canvas.set_images([None if cell is None else next(images) for cell in sheet.cells])

    def _show_playing(self, playing: bool) -> None:
        self.play_action.setIcon(icon("pause" if playing else "play"))
        self.play_action.setText("Pause" if playing else "Play")

    def chosen(self) -> ClipRow | None:
        """The chosen clip as it is in the library now."""
        sheet = self.sheet
        cell = sheet.cells[self.canvas.chosen] if sheet is not None else None
        return None if cell is None else self._database.clip(cell.id)

    def _mark(self) -> None:
        """Show what is kept and what is rejected."""
        if self.sheet is None:
            return
        kept = set()
        rejected = set()
        for place, cell in enumerate(self.sheet.cells):
            now = None if cell is None else self._database.clip(cell.id)
            if now is not None and now.favourite:
                kept.add(place)
            if now is not None and now.id in self._rejected:
                rejected.add(place)
        self.canvas.mark(kept, rejected)
        self._update()

    def _update(self) -> None:
        clip = self.chosen()
        for action in (self.keep_action, self.reject_action, self.open_action):
            action.setEnabled(clip is not None)
        self.export_action.setEnabled(self.sheet is not None)
        if clip is None or self.sheet is None:
            self.facts.setText("")
            return
        place = self.canvas.chosen
        parts = [f"{place + 1} of {len(self.sheet.cells)}"]
        if self.sheet.captions:
            parts.append(self.sheet.captions[place].partition(" ")[2].strip())
        else:
            row, column = divmod(place, self.sheet.columns)
            parts += [self.sheet.across[column], self.sheet.down[row]]
        parts += ["rejected"] if clip.id in self._rejected else []
        parts += ["kept"] if clip.favourite else []
        self.facts.setText(DOT.join(parts))
        self.canvas.setAccessibleDescription(self.facts.text())
        self.keep_action.setIcon(icon("star-filled" if clip.favourite else "star"))

    # --- what is done with them -------------------------------------------------------------------

    def _keep(self) -> None:
        clip = self.chosen()
        if clip is not None:
            self._rejected.discard(clip.id)
            self._database.set_favourites([clip.id], not clip.favourite)

    def _reject(self) -> None:
        clip = self.chosen()
        if clip is not None:
            self._rejected ^= {clip.id}
            if clip.favourite:
                self._database.set_favourites([clip.id], False)
            self._mark()

    def _open(self) -> None:
        clip = self.chosen()
        if clip is not None:
            self.open_clip.emit(clip.id)

    def ask_to_export(self) -> None:
        """Ask for a file to save all as one clip; while one is being saved, cancel that."""
        if self.exporting:
            self.exporter.cancel()
            return
        dialog = QFileDialog(self, "Export Grid", "", "Clip (*.mp4)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("mp4")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda file: self.export(Path(file)))
        dialog.open()

    def export(self, target: Path) -> None:
        """Save all as one clip with labels."""
        if self.sheet is not None and not self.exporting:
            self._exported = target
            self.exporter.send(sheet_request(sheet_clip(self.sheet, self.canvas.font()), target))

    @property
    def exporting(self) -> bool:
        return self._exported is not None

    def _show_export(self, done: int, total: int) -> None:
        self.export_action.setText(f"Cancel Export, {100 * done // total} %")

    def _report_exported(self) -> None:
        message = f"The grid was saved as {self._exported}."
        self._end_export()
        self.message.emit(message)

    def _report_failed(self, message: str) -> None:
        self._end_export()
        self.warning.emit(message)

    def _report_cancelled(self) -> None:
        self._end_export()
        self.message.emit("The export was cancelled; nothing was saved.")

    def _end_export(self) -> None:
        self._exported = None
        self.exporter.rest()
        self.export_action.setText("Export…")

    # --- leaving ----------------------------------------------------------------------------------

    def hideEvent(self, event: QHideEvent) -> None:
        """Apply what was marked, unless the whole window is hidden or closed."""
        super().hideEvent(event)
        if not event.spontaneous() and self.window().isVisible():
            self._leave()

    def _leave(self) -> None:
        """Free the memory, and hand over what was rejected."""
        self.playhead.pause()
        for reel in self._reels:
            reel.close()
            reel.deleteLater()
        self._reels = []
        if self._step is not None:
            self._step.deleteLater()
        self._step = None
        self.playhead.set_length(0, self.playhead.fps)
        self.canvas.set_sheet(None)
        found = [self._database.clip(number) for number in sorted(self._rejected)]
        self._rejected = set()
        rejected = [clip for clip in found if clip is not None]
        if rejected:
            self.rejected.emit(rejected)
