"""Whether the window may close: what is under way is asked about first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMainWindow, QMessageBox


@dataclass(frozen=True)
class Work:
    """Something that quitting would end.

    what: it in words, as in "while a clip is being made". then: what becomes of it.
    """

    is_under_way: Callable[[], bool]
    what: str
    then: str


class Quitting(QObject):
    """confirmed: the user wants to quit, whatever is under way."""

    def __init__(self, window: QMainWindow, works: list[Work]):
        super().__init__(window)
        self._window = window
        self._works = works
        self._box: QMessageBox | None = None
        self.confirmed = False

    def under_way(self) -> list[Work]:
        """What quitting would end now."""
        return [work for work in self._works if work.is_under_way()]

    def may_close(self) -> bool:
        """Whether nothing is under way, or the user was asked; asks where it isn't so."""
        if self.confirmed:
            return True
        works = self.under_way()
        if works:
            self._ask(works)
        return not works

    def _ask(self, works: list[Work]) -> None:
        if self._box is not None:
            self._box.raise_()
            return
        question = f"Quit while {' and '.join(work.what for work in works)}?"
        box = QMessageBox(QMessageBox.Icon.NoIcon, "Quit mlxvid", question, parent=self._window)
        box.setInformativeText(" ".join(work.then for work in works))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        leave = box.addButton("Quit", QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(leave)
        box.setEscapeButton(box.addButton(QMessageBox.StandardButton.Cancel))
        box.accepted.connect(self.quit)
        box.finished.connect(self._forget)
        box.open()
        self._box = box

    def _forget(self) -> None:
        self._box = None

    def quit(self) -> None:
        """Close the window without asking."""
        self.confirmed = True
        self._window.close()
