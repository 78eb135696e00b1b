"""The main window. It arranges the panels and connects them.

What each panel does is its own business.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QUndoStack,
)
from PySide6.QtWidgets import (
    QMainWindow,
    QSplitter,
    QTabWidget,
)

from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.clips_folder import ClipsFolder
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.jobs import PAUSED, Job, State, variations
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.export.exports import Exports
from mlxvid.gui.gallery.panel import GalleryPanel
from mlxvid.gui.player.stage import Stage
from mlxvid.gui.queue.commands import EditJob
from mlxvid.gui.queue.panel import QueuePanel
from mlxvid.gui.queue.tally import Tally
from mlxvid.gui.queue.when_done import WhenDone
from mlxvid.gui.welcome.page import WelcomePage
from mlxvid.gui.widgets.front import show_in_front
from mlxvid.gui.widgets.lines import Lines
from mlxvid.gui.widgets.notices import NoticeBar
from mlxvid.gui.widgets.overlay import Overlay

from .announcements import Announcements
from .help_menu import Help
from .menus import Menus, Panels
from .opening import Opening
from .presence import Presence
from .quitting import Quitting, Work
from .several import SeveralPictures
from .side_by_side import SideBySide
from .side_fold import SideFold
from .tool_windows import ToolWindows
from .trashing import Trashing
from .way_in import WayIn
from .window_layout import WindowLayout

VARIATIONS = 4
_BROKEN_OFF = "The app ended while this clip was being made."


class Window(QMainWindow):
    """Compose on the left, the clip in the middle, clips and queue on the right."""

    def __init__(
        self,
        database: Database,
        preferences: Preferences,
        client: WorkerClient,
        choices: Choices | None = None,
    ):
        super().__init__()
        self.database = database
        self.preferences = preferences
        self.client = client
        left_over = database.interrupt_running(_BROKEN_OFF)
        # What an earlier session left unfinished waits for the user (see Announcements).
        left = [job for job in database.jobs() if job.message != PAUSED]
        unfinished = (State.WAITING, State.INTERRUPTED)
        preferences.paused = any(job.state in unfinished for job in left)
        self.choices = choices or Choices(preferences, parent=self)
        self.model_jobs = ModelJobs(self)
        self.runner = Runner(database, client, self.choices, preferences, self)
        self.fetching = Fetching(database, self.choices, self.runner, self.model_jobs, self)
        preferences.environment_changed.connect(self.runner.renew_worker)
        self.clips_folder = ClipsFolder(database, preferences, self)
        self.undo_stack = QUndoStack(self)
        stills = data_folder() / "pictures"
        self.compose = ComposePanel(database, self.choices, preferences)
        self.stage = Stage(database, self.runner, stills)
        self.gallery = GalleryPanel(database, preferences, stills)
        self.queue = QueuePanel(database, self.runner, self.undo_stack, self.fetching)
        self.opening = Opening(self, self.stage, self.compose, preferences)
        self.exports = Exports(database, preferences, self)
        self.notices = NoticeBar()
        self.welcome = WelcomePage(self.choices, self.model_jobs)
        self.stage.set_welcome(self.welcome)
        self.announcements = Announcements(
            self.notices, self.runner, database, preferences, self.queue.edit_job, self
        )
        self.tally = Tally(database, self.runner, self)
        self.when_done = WhenDone(
            self.tally, self.runner, self.notices, self.close, self._under_way, self
        )
        self.side_by_side = SideBySide(
            self,
            self.stage,
            self.gallery,
            self.compose,
            database,
            self.runner,
            self.notices,
        )
        self.trashing = Trashing(database, self.undo_stack, self.notices, self)
        self._arrange()
        panels = Panels(self.compose, self.stage, self.gallery, self.queue, self.side)
        self.menus = Menus(self, panels, self.runner, preferences, self.undo_stack)
        self.tools = ToolWindows(
            self, self.menus.window_menu, database, self.choices, preferences, self.model_jobs
        )
        shown = (self.menus.compose_panel, self.menus.side_panel, self.stage.info)
        self.window_layout = WindowLayout(self, self.splitter, shown, preferences)
        self.side_fold = SideFold(self, self.splitter, self.side, self.menus.side_panel)
        self.way_in = WayIn(
            self.welcome,
            self.stage,
            self.compose,
            self.opening,
            self.fetching,
            self.model_jobs,
            self.notices,
            self.tools,
            database,
            self.runner,
            self.choices,
            preferences,
            self,
        )
        lines = Lines(self.exports.bar, self.way_in.fetch_bar)
        Overlay(lines, self._pictures, self.stage, below=True)
        self.quitting = Quitting(self, self._works())
        self.presence = Presence(self, self.runner, database, self.tally, preferences)
        self.help = Help(
            self,
            self.menus.help,
            self.choices,
            lambda: self.compose.picker.value().name,
            self.tools.diagnostics,
        )
        self._connect()
        self.window_layout.restore()
        self._show_queue_length()
        if left_over:
            self.show_side(self.queue)
        self.announcements.welcome_back()
        self.runner.interrupt_running(_BROKEN_OFF)  # those that could not be written at first
        if database.notice:
            self.announcements.warn(database.notice)
        self.runner.prepare(self.compose.picker.value().name)
        self.compose.prompt.setFocus()

    # --- layout and signals -----------------------------------------------------------------------

    def _arrange(self) -> None:
        self._pictures = [*self.stage.pictures, self.welcome, self.side_by_side.takes.canvas]
        Overlay(self.notices, self._pictures, self.stage)
        self.side = QTabWidget()
        self.side.setDocumentMode(True)
        self.side.addTab(self.gallery, "Clips")
        self.side.addTab(self.queue, "Queue")
        for part in (self.side, self.side.tabBar()):
            part.setAccessibleName("Clips or queue")
        self.side.tabBar().setDrawBase(False)
        for panel in (self.gallery, self.queue, self.side):
            panel.setProperty("role", "panel")
            panel.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setHandleWidth(1)
        self.splitter.setChildrenCollapsible(False)
        for place, (panel, stretch) in enumerate(
            ((self.compose, 0), (self.stage, 1), (self.side, 0))
        ):
            self.splitter.addWidget(panel)
            self.splitter.setStretchFactor(place, stretch)
        self.setCentralWidget(self.splitter)
        self.setAcceptDrops(True)

    def _connect(self) -> None:
        inform = self.announcements.inform
        panels = (self.compose, self.stage, self.gallery, self.menus)
        for part in (*panels, self.help, self.opening):
            part.message.connect(inform)
        self.compose.submit.connect(self._submit)
        self.compose.edited.connect(self._change)
        self.compose.replaced.connect(self.undo_stack.push)
        for prompt in (self.compose.prompt, self.compose.negative):
            prompt.handed_on.connect(self.opening.receive)
        self.compose.model_chosen.connect(self.runner.prepare)
        self.queue.edit.connect(self.compose.edit)
        self.queue.open_clip.connect(self.stage.open_clip)
        self.queue.history_action.triggered.connect(self._show_queue)
        self.stage.strip.cancel.connect(self.queue.cancel_current)
        self.tally.done.connect(self.announcements.report_done)
        self.announcements.resumed.connect(self.queue.resume_jobs)
        self.announcements.show_job.connect(self._show_job)
        self.announcements.show_log.connect(self.tools.show_log)
        self.announcements.report.connect(self.help.report)
        self.menus.queue.addAction(self.side_by_side.grid_action)
        self.menus.queue.addMenu(self.when_done.menu)
        self.side_by_side.submit.connect(self._submit)
        several = SeveralPictures(self.compose, self.undo_stack, self.notices, self)
        self.opening.several.connect(several.offer)
        self.when_done.changed.connect(self.queue.set_then)
        self.stage.use_frame.connect(self.compose.use_picture)
        self.stage.player.playhead.moved.connect(self.compose.pictures.follow_playhead)
        self.stage.inspector.use_settings.connect(self.compose.apply_settings)
        self.stage.inspector.use_prompt.connect(self.compose.prompt.set_text)
        self.stage.inspector.use_seed.connect(self.compose.seed.keep)
        self.stage.player.export_asked.connect(self.exports.ask)
        self.gallery.export_asked.connect(self.exports.ask)
        self.gallery.discarded.connect(self.trashing.discard)
        self.side_by_side.takes.rejected.connect(self.trashing.discard)
        self.gallery.open_clip.connect(self.stage.open_clip)
        player = self.stage.player
        player.viewed.connect(lambda: self.gallery.set_in_view(player.path))
        self.gallery.compare.connect(self.stage.open_compare)
        self.gallery.use_settings.connect(self.compose.apply_settings)
        self.gallery.use_as_start.connect(self.compose.set_start_image)
        self.gallery.extend_clip.connect(self.compose.extend)
        self.gallery.make_variations.connect(
            lambda settings: self._submit(variations(settings, VARIATIONS))
        )
        self.menus.open_chosen.connect(self.opening.ask)
        self.menus.paste_chosen.connect(self.opening.paste)
        self.menus.back_chosen.connect(self.leave_compare)
        self.menus.side_chosen.connect(self.show_side)
        self.menus.settings_chosen.connect(
            lambda: self.tools.show_settings(self.compose.to_begin_with)
        )
        self.tools.settings_wanted.connect(self.menus.settings_chosen)
        self.tools.told.connect(self.notices.show_notice)
        self.tools.model_chosen.connect(self.compose.picker.set_name)
        for part in (self.stage, self.gallery, self.tools, self.opening, self.exports):
            part.warning.connect(self.announcements.warn)
        self.runner.saved.connect(self.compose.replan)
        self.choices.arrived.connect(self.compose.replan)
        self.fetching.failed.connect(partial(self.announcements.report_download, self.fetching))
        self.database.jobs_changed.connect(self._show_queue_length)
        self.clips_folder.found.connect(self.announcements.report_found)

    def show_side(self, panel: GalleryPanel | QueuePanel) -> None:
        """Bring the clips or the queue to the front."""
        self.menus.side_panel.setChecked(True)
        self.side.setCurrentWidget(panel)
        panel.view.setFocus()

    def _show_queue(self) -> None:
        self.menus.side_panel.setChecked(True)
        self.side.setCurrentWidget(self.queue)

    def _show_job(self, number: int) -> None:
        self.show_side(self.queue)
        self.queue.select(number)

    def leave_compare(self) -> None:
        if not self.stage.alone:
            self.stage.close_compare()

    def _submit(self, jobs: list[Job]) -> None:
        idle = self.runner.current is None
        if self.queue.add(jobs) and idle:
            self.stage.follow()
        self.compose.save()
        self.fetching.want(jobs)
        self.way_in.advise(jobs)
        if any(self.choices.lacks(job.settings) for job in jobs):
            self.side.setCurrentWidget(self.queue)
        if self.runner.paused:
            self.announcements.report_paused()

    def _change(self, job: Job, settings: dict[str, Any]) -> None:
        """Give a job of the queue other settings.

        It may have started, or left the queue, while the user was editing.
        """
        now = self.database.job(job.id)
        if now is None or now.state in (State.RUNNING, State.DONE):
            running = now is not None and now.state is State.RUNNING
            what = "is being made already" if running else "is no longer in the queue"
            self.compose.take_back(settings)
            self.announcements.warn(
                f"That clip {what}, so it was not changed: "
                "press Generate to make another with these settings."
            )
        else:
            self.undo_stack.push(EditJob(self.database, now, settings))

    def _show_queue_length(self) -> None:
        count = len(self.queue.model.jobs)
        text = f"Queue · {count}" if count else "Queue"
        self.side.setTabText(self.side.indexOf(self.queue), text)

    # --- dropping ---------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self.opening.takes(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.opening.receive(event.mimeData())

    # --- start and quit ---------------------------------------------------------------------------

    def show_in_front(self) -> None:
        """Show the window, minimized or behind others."""
        show_in_front(self)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Save the window's state and end the worker; ask first if something is under way."""
        kept = self._keep_state()
        if not kept and not self.quitting.confirmed:
            self.announcements.report_unkept(self.quit_now)
        if not self.quitting.may_close() or not (kept or self.quitting.confirmed):
            event.ignore()
            return
        self.runner.write_owed()
        self.clips_folder.stop()
        self.welcome.stop()
        self.client.shutdown()
        self.tools.shutdown()
        self.exports.job.shutdown()
        self.side_by_side.takes.exporter.shutdown()
        self.stage.player.close()
        self.stage.compare.close()
        super().closeEvent(event)

    def _keep_state(self) -> bool:
        """Keep the fields and the window's size for the next start; whether it could be done."""
        self.compose.save()
        compose = self.menus.compose_panel.isChecked()
        self.window_layout.keep([compose, self.side_fold.wanted, self.stage.info.isChecked()])
        return self.preferences.save()

    def _works(self) -> list[Work]:
        """What quitting would end."""
        return [
            Work(
                lambda: self.runner.current is not None,
                "a clip is being made",
                "You can resume it when mlxvid starts again, and the queue is kept.",
            ),
            Work(
                lambda: self.exports.job.running or self.side_by_side.takes.exporting,
                "a clip is being exported",
                "The export will be lost.",
            ),
            Work(
                lambda: self.tools.busy,
                "a model is being fetched",
                "It goes on when you ask for it again.",
            ),
            Work(
                lambda: self.database.is_unkept,
                "the library can't be written",
                "Changes of the queue and the gallery will be lost; the clips' files stay.",
            ),
        ]

    def _under_way(self) -> list[str]:
        return [work.what for work in self.quitting.under_way()]

    def quit_now(self) -> None:
        """Close without asking."""
        self.quitting.quit()
