"""Settings > Models: the token of the hub, entered, tested and forgotten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QLineEdit, QWidget

from mlxvid.gui.core import hub_token
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.gui.widgets.theme import set_role, small

from .page import button, lay_out


class TokenRow(QWidget):
    """A field for a new token, and what can be done with the one that is kept.

    note: a line for below it, on how things are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.note = small(ElidedLabel())
        self.note.setObjectName("token-note")
        self._tasks = Tasks(1, self)
        self._is_set = False
        self.field = QLineEdit()
        self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self.field.setAccessibleName("Token of Hugging Face")
        self.field.textChanged.connect(lambda: self._show(self._is_set))
        self.field.returnPressed.connect(self._save)
        self.save = button("Save", "Test the token, and keep it", self._save)
        self.test = button("Test", "Ask the hub whose token it is", self._test)
        self.forget = button("Remove", "Forget the token, for other programs too", self._forget)
        self.page = button("Get One", "Open the page on which tokens are made", _open_page)
        for part in (self.save, self.test, self.forget, self.page):
            part.setToolTip(part.accessibleName())
        lay_out(self, self.field, self.save, self.test, self.forget, self.page)
        self._show(False)
        self._run(lambda task: hub_token.is_set(), self._look_done)

    # --- what the buttons do ----------------------------------------------------------------------

    def _save(self) -> None:
        token = self.field.text().strip()
        if token:
            self._say("Asking the hub…")
            self._run(lambda task: hub_token.take(token), self._taken)

    def _test(self) -> None:
        self._say("Asking the hub…")
        self._run(lambda task: hub_token.owner(), self._tested)

    def _forget(self) -> None:
        self._run(lambda task: hub_token.forget(), self._forgotten)

    def _run(self, work: Callable[[Task], Any], done: Callable[[Task, Any], None]) -> None:
        self._tasks.run(work, done=done, failed=self._failed)

    # --- what came of it --------------------------------------------------------------------------

    def _look_done(self, task: Task, is_set: bool) -> None:
        self._show(is_set)
        self._say("A token is set." if is_set else "Not set; models that ask for access need one.")

    def _taken(self, task: Task, name: str) -> None:
        self.field.clear()
        self._show(True)
        self._say(f"The token of {name} is set.")

    def _tested(self, task: Task, name: str) -> None:
        self._say(f"The hub knows this token: it is {name}'s.")

    def _forgotten(self, task: Task, result: None) -> None:
        self._show(False)
        self._say("The token is forgotten.")

    def _failed(self, task: Task, sentence: str) -> None:
        self._say(sentence, "warning")

    def _say(self, text: str, role: str = "faint") -> None:
        set_role(self.note, role)
        self.note.setText(text)

    def _show(self, is_set: bool) -> None:
        """Show what can be done now."""
        self._is_set = is_set
        given = hub_token.is_given()
        typed = bool(self.field.text().strip())
        dots = "••••••••" if is_set else "hf_…"
        self.field.setPlaceholderText("Given by whoever started mlxvid" if given else dots)
        self.field.setEnabled(not given)
        self.save.setEnabled(typed)
        self.test.setVisible(is_set)
        self.forget.setVisible(is_set and not given)
        self.page.setVisible(not is_set)

    def stop(self) -> None:
        """End the work."""
        self._tasks.stop()


def _open_page() -> None:
    QDesktopServices.openUrl(QUrl(hub_token.TOKENS_PAGE))
