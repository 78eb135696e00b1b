"""The windows beside the main one: the model manager, the log and the settings.

Each is made when it is first opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtWidgets import QDialog, QMenu, QVBoxLayout, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.downloads import ModelJobs
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.dialogs.log import LogBook, LogView
from mlxvid.gui.dialogs.preferences import PreferencesDialog
from mlxvid.gui.dialogs.reporting import Diagnostics
from mlxvid.gui.models.panel import ModelsPanel
from mlxvid.gui.widgets.actions import add_action
from mlxvid.gui.widgets.front import show_in_front
from mlxvid.gui.widgets.notices import Notice


class ToolWindows(QObject):
    """Add entries to `menu`, and relay the signals of the windows that they open.

    model_chosen: the name of the model to use, one of the choices. told: a notice about models,
    whose own window is closed. settings_wanted: the settings are to be opened. warning: a sentence
    about something that is wrong.
    """

    model_chosen = Signal(str)
    told = Signal(object)
    settings_wanted = Signal()
    warning = Signal(str)

    def __init__(
        self,
        window: QWidget,
        menu: QMenu,
        database: Database,
        choices: Choices,
        preferences: Preferences,
        jobs: ModelJobs,
    ):
        super().__init__(window)
        self._jobs = jobs
        self._window = window
        self._choices = choices
        self._preferences = preferences
        self.book = LogBook(self)
        self.diagnostics = Diagnostics(
            preferences, lambda: list(self.book.lines), database.every_prompt, self
        )
        self.models: ModelsPanel | None = None
        self._dialog: QDialog | None = None
        self._log: LogView | None = None
        self._settings: PreferencesDialog | None = None
        # The worker may report the machine after the model manager is opened.
        choices.modelReset.connect(self._update_machine)
        menu.addSeparator()
        add_action(menu, "Models", "Ctrl+Shift+M", self.show_models, window)
        add_action(menu, "Log", "Ctrl+Shift+L", self.show_log, window)

    @property
    def busy(self) -> bool:
        """Whether a download or an import is under way."""
        return self._jobs.busy

    def show_models(self) -> None:
        """Open the model manager, or bring it to the front."""
        if self._dialog is None:
            panel = self.models = ModelsPanel(self._preferences, self._choices.machine, self._jobs)
            panel.use_model.connect(self._use)
            panel.told.connect(self._tell_of_models)
            panel.settings_wanted.connect(self._show_model_settings)
            panel.changed.connect(self._choices.refresh)
            self._dialog = QDialog(self._window)
            self._dialog.setWindowTitle("Models")
            layout = QVBoxLayout(self._dialog)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(panel)
            self._dialog.resize(QSize(960, 640).boundedTo(panel.screen().availableSize()))
        show_in_front(self._dialog)

    def show_model(self, name: str) -> None:
        """Open the model manager on one of its models."""
        self.show_models()
        panel = self.models
        assert panel is not None
        panel.select(name)
        if panel.list.find(name) is None:  # it has not looked yet
            once = Qt.ConnectionType.SingleShotConnection
            panel.list.modelReset.connect(lambda: panel.select(name), once)

    def _tell_of_models(self, notice: Notice) -> None:
        """Say it in this window too where the models' own is closed."""
        if self._dialog is None or not self._dialog.isVisible():
            self.told.emit(notice)

    def show_log(self) -> None:
        """Open the log, or bring it to the front."""
        if self._log is None:
            self._log = LogView(self.book, self.diagnostics, self._window)
        show_in_front(self._log)

    def show_settings(self, current: Callable[[], dict[str, Any]]) -> None:
        """Open the settings, or bring them to the front; current: see the dialog."""
        if self._settings is None:
            self._settings = PreferencesDialog(
                self._preferences, self._choices, current, self._window
            )
        show_in_front(self._settings)

    def _show_model_settings(self) -> None:
        self.settings_wanted.emit()
        if self._settings is not None:
            self._settings.pages.setCurrentWidget(self._settings.models)

    def _update_machine(self) -> None:
        if self.models is not None:
            self.models.manager.set_machine(self._choices.machine)

    def _use(self, name: str) -> None:
        try:
            if self._choices.find(name) is None:  # from the hub's cache, and not in the catalog
                self._choices.add_folder(Path(name))
        except MlxvidError as error:
            self.warning.emit(shown(error))
            return
        self.model_chosen.emit(name)
        if self._dialog is not None:
            self._dialog.close()

    def shutdown(self) -> None:
        """Stop downloads when the window closes; they can be resumed."""
        if self.models is not None:
            self.models.shutdown()
        self._jobs.shutdown()
        self.book.close()
