"""Takes and grids in the window: asking for them and showing them."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from mlxvid.errors import SettingError
from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.job_requests import plan_of
from mlxvid.gui.core.jobs import Job
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.core.times import expected
from mlxvid.gui.gallery.panel import GalleryPanel
from mlxvid.gui.player.stage import Stage
from mlxvid.gui.takes.dialog import GridDialog
from mlxvid.gui.takes.panel import TakesPanel
from mlxvid.gui.widgets.notices import Notice, NoticeBar


class SideBySide(QObject):
    """The takes in the stage, and the dialog for grids. submit: jobs for the queue."""

    submit = Signal(list)

    def __init__(
        self,
        window: QWidget,
        stage: Stage,
        gallery: GalleryPanel,
        compose: ComposePanel,
        database: Database,
        runner: Runner,
        bar: NoticeBar,
    ):
        super().__init__(window)
        self._window = window
        self._stage = stage
        self._gallery = gallery
        self._compose = compose
        self._database = database
        self._runner = runner
        self._bar = bar
        self.takes = TakesPanel(database)
        stage.add_page(self.takes, self.takes.playhead)
        self.takes.open_clip.connect(stage.open_clip)
        self.takes.left.connect(stage.close_compare)
        self.takes.message.connect(lambda text: bar.show_notice(Notice(text)))
        self.takes.warning.connect(self._warn)
        gallery.compare_takes.connect(self.show_takes)
        self.grid_action = QAction("Make Grid…", window)
        self.grid_action.setShortcut(QKeySequence("Ctrl+Shift+G"))
        self.grid_action.triggered.connect(self.ask_for_grid)
        self.grid_action.setToolTip("A clip for every pair of values of two settings")

    def show_takes(self) -> None:
        """Show the clips that are selected; of a single one, those made with it."""
        rows = self._gallery.view.rows()
        if len(rows) == 1 and rows[0].group:
            rows = self.takes.of_group(rows[0].group)
        if len(rows) < 2:
            self._bar.show_notice(Notice("No other take of this clip is left."))
            return
        self._stage.show_page(self.takes)
        self.takes.open(rows)

    def ask_for_grid(self) -> None:
        """Ask for two settings and their values, for clips like the one in the fields."""
        dialog = GridDialog(self._compose.settings(), self._cost, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(self.submit)
        dialog.open()

    def _cost(self, jobs: list[Job]) -> str:
        """How long jobs take, in words; raises :class:`MlxvidError` for what can't be made."""
        machine = self._runner.machine
        times = []
        for job in jobs:
            if not job.settings["prompt"]:
                raise SettingError("The prompt is empty: write what the clips should show.")
            planned = plan_of(job.settings, machine)
            times.append(expected(job.settings, self._database, machine, planned))
        known = [time for time in times if time is not None]
        return str(sum(known[1:], known[0])) if known and len(known) == len(times) else ""

    def _warn(self, text: str) -> None:
        self._bar.show_notice(Notice(text, wrong=True))
