"""The Help menu, and what it opens."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from mlxvid.gui.core.choices import Choices
from mlxvid.gui.dialogs.about import show_about
from mlxvid.gui.dialogs.prompting import PromptingDialog
from mlxvid.gui.dialogs.reporting import Diagnostics, report_address
from mlxvid.gui.dialogs.shortcuts import ShortcutsDialog
from mlxvid.gui.widgets.actions import add_action
from mlxvid.gui.widgets.front import show_in_front


class Help(QObject):
    """Fills the menu. message: a sentence for the user.

    model: gives the name of the model that the window's fields are for.
    """

    message = Signal(str)

    def __init__(
        self,
        window: QMainWindow,
        menu: QMenu,
        choices: Choices,
        model: Callable[[], str],
        diagnostics: Diagnostics,
    ):
        super().__init__(window)
        self._window = window
        self._choices = choices
        self._model = model
        self._diagnostics = diagnostics
        self._reporting = False
        self.prompting: PromptingDialog | None = None
        self.shortcuts: ShortcutsDialog | None = None
        diagnostics.copied.connect(self._open_report)
        contents = QKeySequence.StandardKey.HelpContents
        add_action(menu, "Writing Prompts", contents, self.show_prompts, window)
        add_action(menu, "Keyboard Shortcuts", "Ctrl+/", self.show_shortcuts, window)
        menu.addSeparator()
        add_action(menu, "Report a Problem…", None, self.report, window)
        menu.addSeparator()
        about = add_action(menu, "About mlxvid", None, self._show_about, window)
        about.setMenuRole(QAction.MenuRole.AboutRole)

    def show_prompts(self) -> None:
        """Open the guide to prompts at the model in use."""
        if self.prompting is None:
            self.prompting = PromptingDialog(self._choices, self._window)
        self.prompting.show_model(self._model())
        show_in_front(self.prompting)

    def show_shortcuts(self) -> None:
        """Open the sheet of shortcuts."""
        if self.shortcuts is None:
            self.shortcuts = ShortcutsDialog(self._window.menuBar(), self._window)
        self.shortcuts.refresh()
        show_in_front(self.shortcuts)

    def report(self) -> None:
        """Copy the diagnostics, and open where they are to be sent."""
        self._reporting = True
        self.message.emit("Gathering diagnostics…")
        self._diagnostics.copy()

    def _open_report(self) -> None:
        if self._reporting:
            self._reporting = False
            self.message.emit(
                "Diagnostics are on the clipboard, without your prompts: paste them in the report."
            )
            QDesktopServices.openUrl(report_address())

    def _show_about(self) -> None:
        show_about(self._choices.machine, self._window)
