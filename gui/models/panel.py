"""The model manager: models, what they need and use; download, verify, delete, import."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QListView,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.core.trash import move_to_trash
from mlxvid.gui.widgets.theme import faint_label
from mlxvid.model.machine import Machine

from .delegate import ModelsDelegate
from .details import ModelDetails
from .import_dialog import ImportDialog
from .list_model import FROM_HUB, ROW, ModelList, ModelRow, Presence, size_text, survey

# What a browser or a command shows of a model: its owner and name, and what may follow them.
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/\s?#]+/[^/\s?#]+)")


class ModelsPanel(QWidget):
    """The list of models, with the details of the selected one.

    use_model: the name of a model to make clips with. message: a sentence for the user. changed: a
    model was added or removed.
    """

    use_model = Signal(str)
    message = Signal(str)
    changed = Signal()

    def __init__(
        self,
        preferences: Preferences,
        machine: Machine,
        jobs: ModelJobs | None = None,
        parent: QWidget | None = None,
    ):
        """jobs: the window's, which outlive the panel; without them it has its own."""
        super().__init__(parent)
        self._preferences = preferences
        self.machine = machine
        self._tasks = Tasks(1, self)
        self._unlisted: dict[str, ModelRow] = {}  # started, and in no survey yet
        self._imports: dict[str, list[str]] = {}  # the arguments of each, to try it again
        self._surveyed = False
        self.jobs = jobs or ModelJobs(self)
        self.list = ModelList()
        self.view = QListView()
        self.view.setModel(self.list)
        self.view.setItemDelegate(ModelsDelegate(self.jobs, self.view))
        self.view.setAccessibleName("Models")
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.details = ModelDetails()
        self._lay_out()
        self._connect()
        self._show_chosen()
        self.refresh()

    def _lay_out(self) -> None:
        self._total = faint_label()
        self._total.setWordWrap(True)
        self._total.setAccessibleName("Disk used")
        from_hub = QPushButton("From the Hub…")
        from_hub.setToolTip("Download another model from Hugging Face by its name")
        from_hub.clicked.connect(self.ask_for_repository)
        import_ = QPushButton("Import…")
        import_.setToolTip("Convert an original checkpoint, or quantize a model")
        import_.clicked.connect(self.ask_to_import)
        buttons = QHBoxLayout()
        buttons.addWidget(from_hub)
        buttons.addWidget(import_)
        side = QWidget()
        side.setProperty("role", "panel")
        side.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        side.setFixedWidth(max(280, self.fontMetrics().averageCharWidth() * 42))
        column = QVBoxLayout(side)
        column.setContentsMargins(6, 8, 6, 12)
        column.setSpacing(8)
        column.addWidget(self.view, 1)
        foot = QVBoxLayout()
        foot.setContentsMargins(10, 0, 10, 0)
        foot.setSpacing(10)
        foot.addWidget(self._total)
        foot.addLayout(buttons)
        column.addLayout(foot)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(side)
        row.addWidget(self.details, 1)

    def _connect(self) -> None:
        self.view.selectionModel().currentChanged.connect(lambda *_: self._show_chosen())
        self.view.activated.connect(lambda index: self._use())
        for keys in ("Delete", "Ctrl+Backspace"):
            QShortcut(
                QKeySequence(keys),
                self.view,
                self.ask_to_delete,
                context=Qt.ShortcutContext.WidgetShortcut,
            )
        details = self.details
        details.use.clicked.connect(self._use)
        details.get.clicked.connect(self._get)
        details.pause.clicked.connect(self._stop)
        details.verify.clicked.connect(self._verify)
        details.remove.clicked.connect(self.ask_to_delete)
        self.jobs.changed.connect(self._follow)
        self.jobs.done.connect(self._done)
        self.jobs.failed.connect(self._failed)
        self.jobs.stopped.connect(lambda name: self.refresh())
        self._preferences.models_folder_changed.connect(self.refresh)

    # --- the list ---------------------------------------------------------------------------------

    def set_machine(self, machine: Machine) -> None:
        """Use what the worker reports of this machine."""
        if machine != self.machine:
            self.machine = machine
            self.refresh()

    def refresh(self) -> None:
        """Survey the disk again, in the background."""
        folders = self._preferences.model_folders
        machine = self.machine
        self._tasks.run(
            lambda task: survey(folders, machine),
            done=self._show_survey,
            failed=self._show_message,
        )

    def select(self, name: str) -> None:
        """Select a model by its name."""
        index = self.list.index_of(name)
        if index.isValid():
            self.view.setCurrentIndex(index)

    def chosen(self) -> ModelRow | None:
        """The selected model."""
        return self.view.currentIndex().data(ROW)

    def _show_survey(self, task: Task, rows: list[ModelRow]) -> None:
        known = {row.name for row in rows} | {row.repo for row in rows}
        self._unlisted = {name: row for name, row in self._unlisted.items() if name not in known}
        before = self.chosen()
        self.list.set_rows(rows + list(self._unlisted.values()))
        if before is not None:
            self._select_again(before)
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.list.index(0))
        self._show_chosen()
        self._show_total()
        if self._surveyed:
            self.changed.emit()
        self._surveyed = True

    def _select_again(self, before: ModelRow) -> None:
        """Select a model after a survey.

        One that was added by its name on the hub is listed under its folder once it is complete.
        """
        for row in self.list.rows:
            if row.name == before.name or before.repo and row.repo == before.repo:
                self.select(row.name)
                return

    def _show_message(self, task: Task, text: str) -> None:
        self.message.emit(text)

    def _show_total(self) -> None:
        packaged = Presence.PACKAGED
        used = sum(row.disk_bytes for row in self.list.rows if row.presence is not packaged)
        cache = hub.hub_cache_folder()
        folder = next(folder for folder in (cache, *cache.parents) if folder.exists())
        free = size_text(shutil.disk_usage(folder).free)
        own = f" in {cache}" if self._preferences.models_folder is not None else ""
        used_text = size_text(used) if used else "no space"
        self._total.setText(f"Models use {used_text}; {free} free{own}.")
        self._total.setToolTip(f"Downloads are kept in {cache}.")

    def _show_chosen(self) -> None:
        row = self.chosen()
        if row is None:
            self.details.show_model(None, None, "")
        else:
            error = self.jobs.failure(row.name)
            self.details.show_model(row, self.jobs.job(row.name), error)

    def _follow(self, name: str) -> None:
        self.list.touch(name)
        row = self.chosen()
        if row is not None and row.name == name:
            self._show_chosen()

    # --- actions ----------------------------------------------------------------------------------

    def _use(self) -> None:
        row = self.chosen()
        if row is not None and row.usable:
            self.use_model.emit(row.name)

    def _get(self) -> None:
        """Start a download or an import, or resume it."""
        row = self.chosen()
        if row is None:
            return
        if row.name in self._imports:
            self.jobs.convert(row.name, self._imports[row.name])
        elif row.repo is not None:
            self.jobs.download(row.name, *_place(row))

    def _stop(self) -> None:
        row = self.chosen()
        if row is not None:
            self.jobs.stop(row.name)

    def _verify(self) -> None:
        row = self.chosen()
        if row is not None and row.repo is not None:
            self.jobs.verify(row.name, *_place(row))

    def ask_for_repository(self) -> None:
        """Ask for a model that is not in the catalog, and download it."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle("From the Hub")
        dialog.setLabelText("The model's name on Hugging Face, as owner/name:")
        dialog.setOkButtonText("Download")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(lambda text: self.get_repository(text.strip()))
        dialog.open()

    def get_repository(self, repo: str) -> None:
        """Start to download a repository, by its name or its address, and list it."""
        repo = _repository(repo)
        listed = [row.name for row in self.list.rows if repo in (row.repo, row.name)]
        if not listed and repo.count("/") != 1:
            self.message.emit(f"{repo!r} is not a model's name on the hub: enter it as owner/name.")
            return
        if not listed:
            row = ModelRow(repo, repo, Presence.ABSENT, repo=repo, description=FROM_HUB)
            self._add_unlisted(row)
        self.select(listed[0] if listed else repo)
        self._get()

    def _add_unlisted(self, row: ModelRow) -> None:
        """List a model that no survey knows yet."""
        self._unlisted[row.name] = row
        self.list.set_rows([*self.list.rows, row])

    def ask_to_import(self) -> None:
        """Ask for a checkpoint, and import it."""
        dialog = ImportDialog({row.name for row in self.list.rows}, self)
        dialog.chosen.connect(self.import_checkpoint)
        dialog.open()

    def import_checkpoint(self, folder: Path, arguments: list[str]) -> None:
        """Start to convert into `folder`, and list it."""
        name = str(folder.resolve())
        self._imports[name] = arguments
        if self.list.find(name) is None:
            source = f"From {arguments[0]}."
            row = ModelRow(name, folder.name, Presence.ABSENT, description=source, folder=folder)
            self._add_unlisted(row)
        self.select(name)
        self._get()

    def ask_to_delete(self) -> None:
        """Delete the selected model, once that is confirmed."""
        row = self.chosen()
        if row is None or not row.disk_bytes or row.presence is Presence.PACKAGED:
            return
        if self.jobs.job(row.name) is not None:
            return
        question = f"Delete {row.title}?"
        box = QMessageBox(QMessageBox.Icon.NoIcon, "Delete Model", question, parent=self)
        how = "You can download it again." if row.repo else "Its folder is moved to the Trash."
        box.setInformativeText(f"It uses {size_text(row.disk_bytes)}. {how}")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        confirm = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        confirm.clicked.connect(lambda: self.delete(row))
        box.open()

    def delete(self, row: ModelRow) -> None:
        """Delete without asking, in the background."""
        self.jobs.forget(row.name)
        self._imports.pop(row.name, None)
        if row.folder is not None:
            folders = self._preferences.model_folders
            self._preferences.model_folders = [name for name in folders if name != row.name]
        work = partial(_delete, row)
        self._tasks.run(work, failed=self._show_message, ended=self._deleted)

    def _deleted(self, task: Task) -> None:
        self.refresh()

    # --- results ----------------------------------------------------------------------------------

    def _done(self, name: str, result: dict[str, Any]) -> None:
        row = self.list.find(name)
        title = row.title if row is not None else name
        if result["kind"] == "verify":
            self.message.emit(f"{title} is complete and valid.")
        elif result["kind"] == "convert":
            self._imports.pop(name, None)
            folders = self._preferences.model_folders
            if name not in folders:
                self._preferences.model_folders = [*folders, name]
            self.message.emit(f"{title} is imported.")
        else:
            self.message.emit(f"{title} is downloaded.")
        self.refresh()

    def _failed(self, name: str, sentence: str) -> None:
        self._follow(name)
        self.message.emit(sentence)
        self.refresh()

    def shutdown(self) -> None:
        """End all jobs; what was downloaded is kept."""
        self.jobs.shutdown()
        self._tasks.stop()


def _repository(text: str) -> str:
    """The owner/name in an address on the hub, or in any text without one the text."""
    found = _ADDRESS.match(text.strip())
    return found[1] if found else text.strip()


def _place(row: ModelRow) -> tuple[str | None, str | None]:
    """The repository and revision to fetch; of the catalog's models the command knows them all."""
    return (None, None) if row.name in CATALOG else (row.repo, row.revision)


def _delete(row: ModelRow, task: Task) -> None:
    """Remove a model from the hub's cache, or move its folder to the trash."""
    if row.repo is not None:
        hub.delete(row.repo)
    elif row.folder is not None:
        move_to_trash(row.folder)
