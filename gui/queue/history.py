"""The history: what became of the jobs that have left the queue, and making them again."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt, Signal
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
from mlxvid.gui.core.history_table import Past
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.widgets.actions import action_button, panel_action

from .commands import AddJobs, RemoveJobs, ResumeJobs
from .delegate import QueueDelegate
from .history_model import HistoryModel
from .pictures import Pictures


class HistoryView(QWidget):
    """The list, and the actions on it. edit: a job to be changed. open_clip: the id of a clip."""

    edit = Signal(object)
    open_clip = Signal(int)

    def __init__(
        self, database: Database, runner: Runner, undo_stack: QUndoStack, pictures: Pictures
    ):
        super().__init__()
        self._database = database
        self._runner = runner
        self._undo_stack = undo_stack
        self.model = HistoryModel(database, pictures, self)
        self.view = QListView()
        self.view.setModel(self.model)
        delegate = QueueDelegate(self.view)
        self.view.setItemDelegate(delegate)
        self.view.setAccessibleName("History")
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.open_action = panel_action(
            self, "Open", "play", ["Return", "Enter"], self._open, "Show the clip that was made"
        )
        self.again_action = panel_action(
            self,
            "Make Again",
            "add",
            ["Ctrl+D"],
            self.make_again,
            "Put it into the queue once more",
        )
        self.resume_action = panel_action(
            self, "Resume", "resume", ["Ctrl+R"], self.resume, "Go on from its checkpoint"
        )
        self.edit_action = panel_action(
            self,
            "Edit…",
            "edit",
            ["Ctrl+E"],
            self._edit,
            "Change its settings, and let it wait again",
        )
        self.remove_action = panel_action(
            self,
            "Remove",
            "trash",
            ["Del", "Backspace"],
            self._remove,
            "Remove it from the history",
        )
        self._lay_out()
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.view.doubleClicked.connect(self._open)
        self.view.selectionModel().selectionChanged.connect(self._update)
        self.model.modelReset.connect(self._update)
        delegate.buttons.pressed.connect(self._press)
        self._update()

    def _lay_out(self) -> None:
        empty = QLabel("Nothing has been made yet.")
        empty.setProperty("role", "faint")
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._pages = QStackedLayout()
        self._pages.addWidget(self.view)
        self._pages.addWidget(empty)
        foot = QHBoxLayout()
        foot.setContentsMargins(12, 4, 8, 8)
        foot.addWidget(action_button(self.again_action, with_text=True))
        foot.addStretch(1)
        for action in (self.open_action, self.resume_action, self.edit_action, self.remove_action):
            foot.addWidget(action_button(action))
        self._foot = QWidget()
        self._foot.setLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(self._pages, 1)
        layout.addWidget(self._foot)

    def chosen(self) -> list[Past]:
        """The selected rows, the latest first."""
        rows = sorted(index.row() for index in self.view.selectionModel().selectedIndexes())
        return [past for past in map(self.model.at, rows) if past is not None]

    def select(self, number: int) -> None:
        """Choose one job."""
        row = self.model.row_of(number)
        if row >= 0:
            self.view.setCurrentIndex(self.model.index(row))

    def make_again(self) -> None:
        """Put the chosen clips at the end of the queue, as they were asked for."""
        jobs = [Job(past.job.settings) for past in reversed(self.chosen())]
        if jobs:
            self._undo_stack.push(AddJobs(self._database, jobs, "Make Again"))

    def resume(self) -> None:
        """Let the chosen ones wait again that were not done."""
        if self._unfinished():
            self._undo_stack.push(ResumeJobs(self._database, self._runner, self._unfinished()))

    def _unfinished(self) -> list[Job]:
        return [past.job for past in self.chosen() if past.job.state is not State.DONE]

    def _open(self) -> None:
        for past in self.chosen()[:1]:
            if past.clip is not None:
                self.open_clip.emit(past.clip)

    def _edit(self) -> None:
        self.edit.emit(self.chosen()[0].job)

    def _remove(self) -> None:
        self._undo_stack.push(RemoveJobs(self._database, self._unfinished()))

    def _press(self, index: QModelIndex, name: str) -> None:
        self.view.setCurrentIndex(index)
        {"again": self.make_again, "resume": self.resume}[name]()

    def _update(self) -> None:
        chosen = self.chosen()
        unfinished = self._unfinished()
        self._pages.setCurrentIndex(0 if self.model.rowCount() else 1)
        self._foot.setVisible(self.model.rowCount() > 0)
        self.again_action.setEnabled(bool(chosen))
        self.open_action.setEnabled(len(chosen) == 1 and chosen[0].clip is not None)
        self.resume_action.setEnabled(bool(unfinished))
        self.remove_action.setEnabled(bool(unfinished))
        self.edit_action.setEnabled(len(chosen) == 1 and len(unfinished) == 1)

    def _show_menu(self, place: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addActions(self.actions())
        menu.popup(self.view.viewport().mapToGlobal(place))
