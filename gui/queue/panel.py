"""The queue panel: jobs that run, wait, or were interrupted; and the history beside them."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QUndoStack
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QMenu,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.fetching import Fetching
from mlxvid.gui.core.jobs import Job, State, grouped
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.actions import action_button, panel_action
from mlxvid.gui.widgets.icons import icon

from .commands import AddJobs, CancelJob, PauseJobs, PlaceJobs, RemoveJobs, ResumeJobs
from .delegate import QueueDelegate
from .history import HistoryView
from .list_model import QueueModel
from .pictures import Pictures
from .summary import QueueSummary


class QueuePanel(QWidget):
    """The list of jobs, and the actions on them.

    edit: a job whose settings the user wants to change. open_clip: the id of a clip that was made.
    Every change goes through `undo_stack`, except pausing and resuming the queue.
    """

    edit = Signal(object)
    open_clip = Signal(int)

    def __init__(
        self,
        database: Database,
        runner: Runner,
        undo_stack: QUndoStack,
        fetching: Fetching | None = None,
        parent: QWidget | None = None,
    ):
        super().__init__(parent)
        self._database = database
        self._runner = runner
        self._fetching = fetching
        self._undo_stack = undo_stack
        pictures = Pictures(self)
        self.model = QueueModel(database, pictures, fetching, self)
        self.history = HistoryView(database, runner, undo_stack, pictures)
        self.history.edit.connect(self.edit)
        self.history.open_clip.connect(self.open_clip)
        self.view = QListView(self)
        self.view.setModel(self.model)
        delegate = QueueDelegate(self.view)
        self.view.setItemDelegate(delegate)
        self.view.setAccessibleName("Queue")
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.view.setDropIndicatorShown(True)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._make_actions()
        self._lay_out()
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.doubleClicked.connect(self.edit_action.trigger)
        self.view.selectionModel().selectionChanged.connect(self._update)
        self.model.dropped.connect(self._place)
        self.model.modelAboutToBeReset.connect(self._note_selection)
        self.model.modelReset.connect(self._restore_selection)
        self.model.dataChanged.connect(self._update)
        delegate.buttons.pressed.connect(self._press)
        runner.progressed.connect(self.model.set_progress)
        runner.previewed.connect(lambda frames, _: pictures.show_preview(runner.current, frames))
        runner.changed.connect(self._update)
        self._kept: list[int] = []
        self._update()

    # --- actions ----------------------------------------------------------------------------------

    def _make_actions(self) -> None:
        action = partial(panel_action, self)
        self.resume_action = action(
            "Resume",
            "resume",
            ["Ctrl+R"],
            self.resume,
            "Make it again, from its checkpoint if one was kept",
        )
        self.next_action = action(
            "Run Next", "next", ["Ctrl+Shift+Up"], self.run_next, "Run it before the others"
        )
        self.edit_action = action(
            "Edit…",
            "edit",
            [Qt.Key.Key_Return, Qt.Key.Key_Enter],
            self.edit_chosen,
            "Change its settings",
        )
        self.duplicate_action = action(
            "Duplicate", "copy", ["Ctrl+D"], self.duplicate, "Add the same again, with another seed"
        )
        self.remove_action = action(
            "Remove",
            "trash",
            [Qt.Key.Key_Delete, Qt.Key.Key_Backspace],
            self.remove,
            "Remove it from the queue",
        )
        self.up_action = action(
            "Move Up", "up", ["Alt+Up"], lambda: self._shift(-1), "Run it earlier"
        )
        self.down_action = action(
            "Move Down", "down", ["Alt+Down"], lambda: self._shift(1), "Run it later"
        )
        self.hold_action = action(
            "Pause", "pause", ["P"], self.hold, "Set it aside until you resume it"
        )
        self.cancel_action = action(
            "Cancel",
            "close",
            [Qt.Key.Key_Delete, Qt.Key.Key_Backspace],
            self.cancel_current,
            "Stop it; the history has Resume",
        )
        self.history_action = action(
            "History", "clock", [], self._show_page, "What was made, failed or was cancelled"
        )
        self.history_action.setCheckable(True)
        self.pause_action = action(
            "Pause Queue",
            "pause",
            [],
            self._toggle_pause,
            "Begin no other clip; the running one goes on",
        )
        self.pause_action.setCheckable(True)
        self.actions_on_jobs = [
            self.resume_action,
            self.hold_action,
            self.cancel_action,
            self.next_action,
            self.up_action,
            self.down_action,
        ]
        self.actions_on_jobs += [self.edit_action, self.duplicate_action, self.remove_action]

    def chosen(self) -> list[Job]:
        """The selected jobs, in the queue's order."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedIndexes())
        return [job for job in map(self.model.at, rows) if job is not None]

    def add(self, jobs: list[Job]) -> bool:
        """Put new jobs at the end, several as the takes of one group; whether it has them."""
        text = "Add Clip to Queue" if len(jobs) == 1 else "Add Clips to Queue"
        command = AddJobs(self._database, grouped(jobs), text)
        self._undo_stack.push(command)
        return command.added

    def resume(self) -> None:
        """Let the chosen jobs that were interrupted wait again, and go on with the downloads that
        the others wait for.
        """
        chosen = self.chosen()
        self.resume_jobs([job for job in chosen if job.state is State.INTERRUPTED])
        if self._fetching is not None:
            self._fetching.want(job for job in chosen if self.model.rests(job))

    def resume_jobs(self, jobs: list[Job]) -> None:
        """Let jobs that ended early wait again."""
        if jobs:
            self._undo_stack.push(ResumeJobs(self._database, self._runner, jobs))

    def hold(self) -> None:
        """Set the chosen jobs aside that wait or run."""
        jobs = [job for job in self.chosen() if job.state is not State.INTERRUPTED]
        if jobs:
            self._undo_stack.push(PauseJobs(self._database, self._runner, jobs))

    def cancel_current(self) -> None:
        """Cancel the job that runs."""
        if self._runner.current is not None and not self._runner.cancelling:
            self._undo_stack.push(CancelJob(self._database, self._runner, self._runner.current))

    def run_next(self) -> None:
        """Put the chosen jobs before all others; those that were interrupted wait again."""
        jobs = [job for job in self.chosen() if job.state is not State.RUNNING]
        ids = [job.number for job in jobs]
        interrupted = [job for job in jobs if job.state is State.INTERRUPTED]
        self._undo_stack.beginMacro("Run Next")
        self._undo_stack.push(PlaceJobs(self._database, ids, 0))
        if interrupted:
            self._undo_stack.push(ResumeJobs(self._database, self._runner, interrupted))
        self._undo_stack.endMacro()

    def edit_chosen(self) -> None:
        if self.edit_action.isEnabled():
            self.edit.emit(self.chosen()[0])

    def edit_job(self, number: int) -> None:
        """Edit a job that does not run, in the queue or in the history."""
        self.select(number)
        job = self._database.job(number)
        if job is not None and job.state not in (State.RUNNING, State.DONE):
            self.edit.emit(job)

    def set_then(self, words: str) -> None:
        """Say what follows when the queue is done, "" for nothing."""
        self._summary.then = words
        self._update()

    def duplicate(self) -> None:
        """Add the same jobs at the end, each with the next seed that the queue has not, to make
        another clip.
        """
        taken = [job.settings for job in self.model.jobs]
        copies = []
        for job in self.chosen():
            settings = dict(job.settings)
            while settings in taken:
                settings["seed"] = int(settings.get("seed", 0)) + 1
            taken.append(settings)
            copies.append(Job(settings))
        self._undo_stack.push(AddJobs(self._database, copies, "Duplicate Clip in Queue"))

    def remove(self) -> None:
        if self.remove_action.isEnabled():
            self._undo_stack.push(RemoveJobs(self._database, self.chosen()))

    def _place(self, ids: list[int], row: int) -> None:
        self._undo_stack.push(PlaceJobs(self._database, ids, row))

    def _shift(self, step: int) -> None:
        ids = [job.number for job in self.chosen()]
        rows = sorted(self.model.row_of(number) for number in ids)
        if rows and rows[0] + step >= 0 and rows[-1] + step < self.model.rowCount():
            self._place(ids, rows[0] - 1 if step < 0 else rows[-1] + 2)

    def _press(self, index: QModelIndex, name: str) -> None:
        """Do what a button in a row is for."""
        self.view.setCurrentIndex(index)
        deeds = {"pause": self.hold, "resume": self.resume, "remove": self.remove}
        deeds["cancel"] = self.cancel_current
        deeds[name]()

    def _toggle_pause(self) -> None:
        self._runner.pause(not self._runner.paused)

    # --- layout and state -------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self._summary = QueueSummary(self._database, self._runner, self._fetching)
        pause = action_button(self.pause_action)
        head = QHBoxLayout()
        head.setContentsMargins(16, 8, 8, 4)
        head.addWidget(self._summary, 1)
        self._heading = QLabel("History")
        self._heading.setProperty("role", "heading")
        head.addWidget(self._heading, 1)
        head.addWidget(action_button(self.history_action))
        head.addWidget(pause)
        empty = QLabel(
            "The queue is empty.\nClips that you generate while another\nis running wait here."
        )
        empty.setObjectName("queue_empty")
        empty.setProperty("role", "faint")
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout()
        self._pages.addWidget(self.view)
        self._pages.addWidget(empty)
        self._pages.addWidget(self.history)
        foot = QHBoxLayout()
        foot.setContentsMargins(12, 4, 8, 8)
        self._resume_button = action_button(self.resume_action, with_text=True)
        foot.addWidget(self._resume_button)
        foot.addStretch(1)
        for action in (
            self.next_action,
            self.edit_action,
            self.duplicate_action,
            self.remove_action,
        ):
            foot.addWidget(action_button(action))
        self._foot = QWidget()
        self._foot.setLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addLayout(self._pages, 1)
        layout.addWidget(self._foot)

    def _update(self, *_: object) -> None:
        """Update the actions and the summary."""
        jobs = self.model.jobs
        here = not self.history_action.isChecked()
        chosen = self.chosen() if here else []  # the history has actions with the same keys
        idle = [job for job in chosen if job.state is not State.RUNNING]
        interrupted = [job for job in idle if job.state is State.INTERRUPTED]
        resting = [job for job in idle if self.model.rests(job)]
        self.resume_action.setEnabled(bool(interrupted or resting))
        self.hold_action.setEnabled(len(interrupted) < len(chosen))
        self.cancel_action.setEnabled(bool(chosen) and not idle)
        self._resume_button.setVisible(self.resume_action.isEnabled())
        for action in (self.next_action, self.up_action, self.down_action, self.remove_action):
            action.setEnabled(bool(idle))
        self.edit_action.setEnabled(len(idle) == 1)
        self.duplicate_action.setEnabled(bool(chosen))
        self.pause_action.setChecked(self._runner.paused)
        self.pause_action.setIcon(icon("play" if self._runner.paused else "pause"))
        self.pause_action.setText("Resume Queue" if self._runner.paused else "Pause Queue")
        self._summary.show_jobs(jobs)
        self._summary.setVisible(here)
        self._heading.setVisible(not here)
        self._pages.setCurrentIndex(2 if not here else 0 if jobs else 1)
        self._foot.setVisible(here and bool(jobs))

    def _show_page(self) -> None:
        """Show the queue or the history."""
        self._update()
        (self.history.view if self.history_action.isChecked() else self.view).setFocus()

    def _show_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.addActions(self.actions_on_jobs)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.view.viewport().mapToGlobal(place))

    def _note_selection(self) -> None:
        self._kept = [job.number for job in self.chosen()]

    def _restore_selection(self) -> None:
        """Select the same jobs again after the model was reset."""
        selection = self.view.selectionModel()
        for number in self._kept:
            row = self.model.row_of(number)
            if row >= 0:
                selection.select(self.model.index(row), QItemSelectionModel.SelectionFlag.Select)
                selection.setCurrentIndex(
                    self.model.index(row), QItemSelectionModel.SelectionFlag.NoUpdate
                )
        self._update()

    def select(self, number: int) -> None:
        """Show one job, in the queue or in the history."""
        row = self.model.row_of(number)
        self.history_action.setChecked(row < 0 and self.history.model.row_of(number) >= 0)
        self.history.select(number)
        self._update()
        if row >= 0:
            self.view.setCurrentIndex(self.model.index(row))
