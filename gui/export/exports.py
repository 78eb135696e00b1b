"""Exports from first to last: ask, make the copies, say what became of them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from mlxvid.errors import MediaError
from mlxvid.gui.core.copies import Copy, Source
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.export import Export, Outcome
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.recipes import Recipe
from mlxvid.gui.core.trash import show_in_file_manager

from .bar import ExportBar
from .sheet import ExportSheet

# Failures of one batch that are told one by one.
MOST_TOLD = 3


class Exports(QObject):
    """The exports of a window. bar: the line that shows them. warning: what went wrong."""

    warning = Signal(str)

    def __init__(self, database: Database, preferences: Preferences, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._preferences = preferences
        self.job = Export(self)
        self.bar = ExportBar()
        self.bar.cancelled.connect(self.job.cancel)
        self.bar.show_file.connect(self._show)
        self.job.progressed.connect(self.bar.show_progress)
        self.job.ended.connect(self._end)

    def ask(self, sources: list[Source], owner: QWidget | None = None) -> None:
        """Ask how and where to export clips, over the window of `owner`."""
        sheet = ExportSheet(
            sources,
            self._preferences,
            self._database.clip_paths(),
            self.job.targets,
            owner or self.bar.window(),
        )
        sheet.chosen.connect(self.start)
        sheet.open()

    def start(self, copies: list[Copy], recipe: Recipe) -> None:
        """Make copies; they don't come into the gallery, wherever they are."""
        self._database.add_exports([copy.target for copy in copies])
        if not self.job.running:
            self.bar.show_start(copies[0].target, len(copies) - 1)
        self.job.start(copies, recipe)

    def _end(self, copies: list[Copy], outcome: Outcome) -> None:
        targets = [copy.target for copy in copies]
        self._database.remove_exports(target for target in targets if not target.exists())
        if not self.job.running:
            self.bar.show_end(outcome)
        for message in outcome.failures[:MOST_TOLD]:
            self.warning.emit(message)
        untold = len(outcome.failures) - MOST_TOLD
        if untold > 0:
            self.warning.emit(f"{untold} more clips could not be exported, as the log says.")

    def _show(self, path: Path) -> None:
        try:
            show_in_file_manager(path)
        except MediaError as error:
            self.warning.emit(shown(error))
