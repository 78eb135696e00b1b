"""The windows beside the main one: the model manager and the log. Each is made when it is first
opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QDialog, QVBoxLayout

from mlxvid.errors import MlxvidError

from .drops import told
from .log_view import LogBook, LogView
from .models_panel import ModelsPanel

if TYPE_CHECKING:
    from .window import Window


class Tools(QObject):
    """Adds its entries to the window's menus, and carries what these windows say to the main one."""

    def __init__(self, window: Window):
        super().__init__(window)
        self._window = window
        self.book = LogBook(self)
        self.models: ModelsPanel | None = None
        self._dialog: QDialog | None = None
        self._log: LogView | None = None
        window.choices.modelReset.connect(
            self._tell_machine
        )  # it may come after the model manager is opened
        menu = window.menus.window_menu
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
            window = self._window
            panel = self.models = ModelsPanel(window.preferences, window.choices.machine)
            panel.use_model.connect(self._use)
            panel.message.connect(window.announcements.tell)
            panel.changed.connect(window.choices.refresh)
            self._dialog = QDialog(window)
            self._dialog.setWindowTitle("Models")
            layout = QVBoxLayout(self._dialog)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(panel)
            self._dialog.resize(900, 560)
        self._raise(self._dialog)

    def show_log(self) -> None:
        """Open the log, or bring it to the front."""
        if self._log is None:
            window = self._window
            self._log = LogView(self.book, window.preferences, self._prompts, window)
        self._raise(self._log)

    def _tell_machine(self) -> None:
        if self.models is not None:
            self.models.set_machine(self._window.choices.machine)

    def _prompts(self) -> list[str]:
        """Everything that was ever asked for, as far as the library knows."""
        database = self._window.database
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
        choices, picker = self._window.choices, self._window.compose.picker
        try:
            if choices.find(name) is None:  # from the hub's cache, and not in the catalog
                choices.add_folder(Path(name))
        except MlxvidError as error:
            self._window.announcements.warn(told(error))
            return
        picker.set_name(name)
        self._dialog.close()

    def shutdown(self) -> None:
        """When the window closes: downloads end, and go on another time."""
        if self.models is not None:
            self.models.shutdown()
        self.book.close()
