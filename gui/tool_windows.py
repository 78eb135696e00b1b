"""The windows beside the main one: the model manager and the log. Each is made when it is first
opened.
"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QMenu, QVBoxLayout, QWidget

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.database import Database
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.dialogs.log import LogBook, LogView
from mlxvid.gui.models.panel import ModelsPanel


class ToolWindows(QObject):
    """Adds its entries to `menu`, and hands on what these windows say.

    model_chosen: the name of one among the choices that is to be used. message: something to know.
    warning: something that is wrong.
    """

    model_chosen = Signal(str)
    message = Signal(str)
    warning = Signal(str)

    def __init__(
        self,
        window: QWidget,
        menu: QMenu,
        database: Database,
        choices: Choices,
        preferences: Preferences,
    ):
        super().__init__(window)
        self._window = window
        self._database = database
        self._choices = choices
        self._preferences = preferences
        self.book = LogBook(self)
        self.models: ModelsPanel | None = None
        self._dialog: QDialog | None = None
        self._log: LogView | None = None
        # What the machine has may be known after the model manager is opened.
        choices.modelReset.connect(self._tell_machine)
        menu.addSeparator()
        for text, keys, then in (
            ("Models", "Ctrl+Shift+M", self.show_models),
            ("Log", "Ctrl+Shift+L", self.show_log),
        ):
            action = QAction(text, window)
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _, then=then: then())
            menu.addAction(action)

    def show_models(self) -> None:
        """Open the model manager, or bring it to the front."""
        if self._dialog is None:
            panel = self.models = ModelsPanel(self._preferences, self._choices.machine)
            panel.use_model.connect(self._use)
            panel.message.connect(self.message)
            panel.changed.connect(self._choices.refresh)
            self._dialog = QDialog(self._window)
            self._dialog.setWindowTitle("Models")
            layout = QVBoxLayout(self._dialog)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(panel)
            self._dialog.resize(900, 560)
        self._raise(self._dialog)

    def show_log(self) -> None:
        """Open the log, or bring it to the front."""
        if self._log is None:
            self._log = LogView(self.book, self._preferences, self._prompts, self._window)
        self._raise(self._log)

    def _tell_machine(self) -> None:
        if self.models is not None:
            self.models.set_machine(self._choices.machine)

    def _prompts(self) -> list[str]:
        """Everything that was ever asked for, as far as the library knows."""
        database = self._database
        settings = [thing.settings for thing in (*database.jobs(), *database.clips())]
        said = [
            str(made.get(name) or "") for made in settings for name in ("prompt", "negative_prompt")
        ]
        return [*database.prompts(), *database.prompts(negative=True), *said]

    def _raise(self, dialog: QDialog) -> None:
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def _use(self, name: str) -> None:
        try:
            if self._choices.find(name) is None:  # from the hub's cache, and not in the catalog
                self._choices.add_folder(Path(name))
        except MlxvidError as error:
            self.warning.emit(shown(error))
            return
        self.model_chosen.emit(name)
        self._dialog.close()

    def shutdown(self) -> None:
        """When the window closes: downloads end, and go on another time."""
        if self.models is not None:
            self.models.shutdown()
        self.book.close()
