"""Diagnostics for a report: gathered by another process, and put on the clipboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, metadata

from PySide6.QtCore import QObject, QUrl, QUrlQuery, Signal
from PySide6.QtGui import QGuiApplication

from mlxvid import __version__
from mlxvid.gui.core.preferences import Preferences
from mlxvid.gui.core.tasks import Task, Tasks

from .diagnostics import Device, report, settings_of


class Diagnostics(QObject):
    """Copies a report to the clipboard. copied: it is there.

    lines: gives those of the log. prompts: gives those to hide in it.
    """

    copied = Signal()

    def __init__(
        self,
        preferences: Preferences,
        lines: Callable[[], Sequence[str]],
        prompts: Callable[[], Sequence[str]],
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._preferences = preferences
        self._lines = lines
        self._prompts = prompts
        self._with_prompts = False
        self._tasks = Tasks(1, self)
        self._device = Device(self)
        self._device.known.connect(self._copy)

    def copy(self, with_prompts: bool = False) -> None:
        """Copy it, which takes a second or two at first."""
        self._with_prompts = with_prompts
        self._device.ask()

    def _copy(self, device: str) -> None:
        hidden = None if self._with_prompts else self._prompts()
        settings = settings_of(self._preferences)
        lines = self._lines()
        self._tasks.run(lambda task: report(device, settings, lines, hidden), done=self._put)

    def _put(self, task: Task, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.copied.emit()


def report_address() -> QUrl:
    """Where problems are reported: the page that the package names, else a mail to be addressed."""
    try:
        links = metadata("mlxvid").get_all("Project-URL") or []
    except PackageNotFoundError:
        links = []
    for link in links:
        name, _, address = link.partition(", ")
        if name.lower() in ("issues", "bug tracker"):
            return QUrl(address)
    mail = QUrl("mailto:")
    query = QUrlQuery()
    query.addQueryItem("subject", f"A problem with mlxvid {__version__}")
    query.addQueryItem("body", "What I did, and what happened:\n\n\n(paste the diagnostics here)")
    mail.setQuery(query)
    return mail
