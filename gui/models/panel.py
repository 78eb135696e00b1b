"""The model manager: what there is, what is here, what it takes; download, check, delete, import."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

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
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.core.trash import move_to_trash
from mlxvid.gui.widgets.theme import faint_label
from mlxvid.model.machine import Machine

from .delegate import ModelsDelegate
from .details import ModelDetails
from .import_dialog import ImportDialog
from .jobs import ModelJobs
from .list_model import MODEL, Model, ModelsModel, State, amount, survey


class ModelsPanel(QWidget):
    """use_model: the name of a model to make clips with. message: a sentence for the user. changed:
    a model came, or went.
    """

    use_model = Signal(str)
    message = Signal(str)
    changed = Signal()

    def __init__(self, preferences: Preferences, machine: Machine, parent: QWidget | None = None):
        super().__init__(parent)
        self._preferences, self._machine = preferences, machine
        self._tasks = Tasks(1, self)
        self._begun: dict[str, Model] = {}  # downloads and imports of what no survey knows yet
        self._imports: dict[str, list[str]] = {}  # how each import was asked for, to go on with it
        self._complaints: dict[str, str] = {}
        self._surveyed_once = False
        self.jobs = ModelJobs(self)
        self.model = ModelsModel(self.jobs.progress)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(ModelsDelegate(self.jobs, self.view))
        self.view.setAccessibleName("Models")
        self.view.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.view.setMouseTracking(True)
        self.details = ModelDetails()
        self._lay_out()
        self._connect()
        self._show()
        self.refresh()

    def _lay_out(self) -> None:
        self._total = faint_label()
        self._total.setWordWrap(True)
        self._total.setAccessibleName("Disk used")
        get, bring = QPushButton("From the Hub…"), QPushButton("Import…")
        get.setToolTip("Download another model from Hugging Face by its name")
        bring.setToolTip("Convert an original checkpoint, or quantize a model")
        get.clicked.connect(self.ask_for_repository)
        bring.clicked.connect(self.ask_to_import)
        buttons = QHBoxLayout()
        buttons.addWidget(get)
        buttons.addWidget(bring)
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
        self.view.selectionModel().currentChanged.connect(lambda now, before: self._show())
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
        details.pause.clicked.connect(
            lambda: self._with_chosen(lambda model: self.jobs.stop(model.name))
        )
        details.check.clicked.connect(lambda: self._with_chosen(self._verify))
        details.remove.clicked.connect(self.ask_to_delete)
        self.jobs.changed.connect(self._follow)
        self.jobs.done.connect(self._done)
        self.jobs.failed.connect(self._failed)
        self.jobs.stopped.connect(lambda name: self.refresh())

    # --- what is here -----------------------------------------------------------------------------

    def set_machine(self, machine: Machine) -> None:
        """The worker knows this machine better."""
        if machine != self._machine:
            self._machine = machine
            self.refresh()

    def refresh(self) -> None:
        """Look at the disk again, away from this thread."""
        folders, machine = self._preferences.model_folders, self._machine
        self._tasks.run(lambda task: survey(folders, machine), done=self._take, failed=self._tell)

    def select(self, name: str) -> None:
        index = self.model.index_of(name)
        if index.isValid():
            self.view.setCurrentIndex(index)

    def chosen(self) -> Model | None:
        return self.view.currentIndex().data(MODEL)

    def _take(self, task: Task, models: list[Model]) -> None:
        names = {model.name for model in models} | {model.repo for model in models}
        self._begun = {name: model for name, model in self._begun.items() if name not in names}
        before = self.chosen()
        self.model.set_models(models + list(self._begun.values()))
        if (
            before is not None
        ):  # what was asked for by its name on the hub is found by its folder once it is here
            again = (
                model.name
                for model in self.model.models
                if model.name == before.name or before.repo and model.repo == before.repo
            )
            self.select(next(again, ""))
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.model.index(0))
        self._show()
        self._tell_total()
        if self._surveyed_once:
            self.changed.emit()
        self._surveyed_once = True

    def _tell(self, task: Task, text: str) -> None:
        self.message.emit(text)

    def _tell_total(self) -> None:
        taken = sum(model.taken for model in self.model.models if model.state is not State.PACKAGED)
        cache = hub.hub_cache_folder()
        there = next(folder for folder in (cache, *cache.parents) if folder.exists())
        self._total.setText(
            f"Models take {amount(taken) if taken else 'nothing'}; {amount(shutil.disk_usage(there).free)} are free."
        )
        self._total.setToolTip(f"Downloads are kept in {cache}.")

    def _show(self) -> None:
        model = self.chosen()
        self.details.show_model(
            model,
            self.jobs.job(model.name) if model else None,
            self._complaints.get(model.name, "") if model else "",
        )

    def _follow(self, name: str) -> None:
        self.model.touch(name)
        if (model := self.chosen()) is not None and model.name == name:
            self._show()

    def _with_chosen(self, then: Callable[[Model], None]) -> None:
        if (model := self.chosen()) is not None:
            then(model)

    # --- what can be done -------------------------------------------------------------------------

    def _use(self) -> None:
        if (model := self.chosen()) is not None and model.usable:
            self.use_model.emit(model.name)

    def _get(self) -> None:
        """Begin a download or an import, or go on with it."""
        model = self.chosen()
        if model is None:
            return
        self._complaints.pop(model.name, None)
        if model.name in self._imports:
            self.jobs.convert(model.name, self._imports[model.name])
        elif model.repo is not None:
            self.jobs.download(model.name, model.repo, model.revision)

    def _verify(self, model: Model) -> None:
        self._complaints.pop(model.name, None)
        if model.repo is not None:
            self.jobs.verify(model.name, model.repo, model.revision)

    def ask_for_repository(self) -> None:
        """Download what the catalog doesn't know."""
        dialog = QInputDialog(self)
        dialog.setWindowTitle("From the Hub")
        dialog.setLabelText("The name of a model on Hugging Face, as owner/name:")
        dialog.setOkButtonText("Download")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.textValueSelected.connect(lambda text: self.get_repository(text.strip()))
        dialog.open()

    def get_repository(self, repo: str) -> None:
        """Begin to download a repository, and show it among the models from now on."""
        known = next(
            (model for model in self.model.models if repo in (model.repo, model.name)), None
        )
        if known is None:
            if repo.count("/") != 1:
                self.message.emit(
                    f"{repo!r} is no name of a model on the hub: it has an owner, a stroke and a name."
                )
                return
            self._begun[repo] = Model(
                repo,
                repo,
                State.ABSENT,
                repo=repo,
                description="From the hub; not in mlxvid's catalog.",
            )
            self.model.set_models([*self.model.models, self._begun[repo]])
        self.select(known.name if known else repo)
        self._get()

    def ask_to_import(self) -> None:
        dialog = ImportDialog(self)
        dialog.chosen.connect(self.import_checkpoint)
        dialog.open()

    def import_checkpoint(self, folder: Path, arguments: list[str]) -> None:
        """Begin to convert into `folder`, and show it among the models from now on."""
        name = str(folder.resolve())
        self._imports[name] = arguments
        if self.model.find(name) is None:
            self._begun[name] = Model(
                name, folder.name, State.ABSENT, description=f"From {arguments[0]}.", folder=folder
            )
            self.model.set_models([*self.model.models, self._begun[name]])
        self.select(name)
        self._get()

    def ask_to_delete(self) -> None:
        """Delete, once that is confirmed."""
        model = self.chosen()
        if (
            model is None
            or not model.taken
            or model.state is State.PACKAGED
            or self.jobs.job(model.name)
        ):
            return
        box = QMessageBox(QMessageBox.Icon.NoIcon, "Delete", f"Delete {model.title}?", parent=self)
        how = "It can be downloaded again." if model.repo else "Its folder is moved to the trash."
        box.setInformativeText(f"It takes {amount(model.taken)}. {how}")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        sure = box.addButton("Delete", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(QMessageBox.StandardButton.Cancel))
        sure.clicked.connect(lambda: self.delete(model))
        box.open()

    def delete(self, model: Model) -> None:
        """Delete without asking, away from this thread."""
        self._complaints.pop(model.name, None)
        self._imports.pop(model.name, None)
        if model.folder is not None:
            self._preferences.model_folders = [
                name for name in self._preferences.model_folders if name != model.name
            ]
        work = (
            (lambda task: hub.delete(model.repo))
            if model.repo
            else (lambda task: move_to_trash(model.folder))
        )
        self._tasks.run(work, failed=self._tell, ended=self._deleted)

    def _deleted(self, task: Task) -> None:
        self.refresh()

    # --- what came of it --------------------------------------------------------------------------

    def _done(self, name: str, result: dict) -> None:
        title = (self.model.find(name) or Model(name, name, State.ABSENT)).title
        if result["kind"] == "verify":
            self.message.emit(f"{title} is whole and sound.")
        elif result["kind"] == "convert":
            self._imports.pop(name, None)
            if name not in self._preferences.model_folders:
                self._preferences.model_folders = [*self._preferences.model_folders, name]
            self.message.emit(f"{title} is imported.")
        else:
            self.message.emit(f"{title} is downloaded.")
        self.refresh()

    def _failed(self, name: str, sentence: str) -> None:
        self._complaints[name] = sentence
        self._follow(name)
        self.message.emit(sentence)
        self.refresh()

    def shutdown(self) -> None:
        """End what is going on; what was downloaded stays."""
        self.jobs.shutdown()
        self._tasks.stop()
