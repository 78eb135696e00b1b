"""The log of the app and its generator.

It is kept from the start, shown on request, and can be copied into a bug report.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.database_file import data_folder
from mlxvid.gui.core.session_log import FORMAT, LOGGER, last_lines, log_file
from mlxvid.gui.widgets.fields import check
from mlxvid.gui.widgets.theme import faint_label

from .diagnostics import LAST_LINES
from .page import show_in_files
from .reporting import Diagnostics

# Lines that are kept.
KEPT = 2000


class LogBook(QObject):
    """Keeps the last lines that mlxvid logs, from INFO up, from any thread.

    It begins with those of earlier sessions, which may tell how the last one ended.
    """

    added = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.file = log_file(data_folder())
        self.lines: deque[str] = deque(last_lines(self.file, KEPT), KEPT)
        self._handler = _Handler(self._keep)
        self._log = logging.getLogger(LOGGER)
        self._level = self._log.level
        self._log.addHandler(self._handler)
        self._log.setLevel(logging.INFO)

    def _keep(self, line: str) -> None:
        self.lines.append(line)
        self.added.emit(line)

    def close(self) -> None:
        """Stop listening."""
        self._log.removeHandler(self._handler)
        self._log.setLevel(self._level)


class _Handler(logging.Handler):
    def __init__(self, keep: Callable[[str], None]):
        super().__init__()
        self._keep = keep
        self.setFormatter(FORMAT)

    def emit(self, record: logging.LogRecord) -> None:
        self._keep(" ".join(self.format(record).splitlines()))


class LogView(QDialog):
    """The log in a window."""

    def __init__(self, book: LogBook, diagnostics: Diagnostics, parent: QWidget | None = None):
        super().__init__(parent)
        self._book = book
        self._diagnostics = diagnostics
        self.setWindowTitle("Log")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMaximumBlockCount(KEPT)
        self.text.setAccessibleName("Log")
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setPlaceholderText("The log is empty.")
        self.with_prompts = check("Include prompts", "If off, prompts are hidden in the copied log")
        self.copy = QPushButton("Copy Diagnostics")
        self.copy.setToolTip(
            f"Versions, device, settings and the last {LAST_LINES} lines, for a bug report"
        )
        self.copy.clicked.connect(self._ask)
        self._status = faint_label()
        files = QPushButton("Show File")
        files.setToolTip("The whole log, with those of earlier sessions")
        files.clicked.connect(self._show_file)
        close = QPushButton("Close")
        close.clicked.connect(self.close)
        row = QHBoxLayout()
        row.setSpacing(10)
        for widget in (self.copy, self.with_prompts, self._status):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(files)
        row.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 12, 12, 12)
        column.setSpacing(10)
        column.addWidget(self.text, 1)
        column.addLayout(row)
        self.resize(820, 480)
        self.text.setPlainText("\n".join(book.lines))
        self._to_end()
        book.added.connect(self.text.appendPlainText)
        diagnostics.copied.connect(self._note_copied)

    def _to_end(self) -> None:
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _ask(self) -> None:
        self.copy.setEnabled(False)
        self._status.setText("Querying the device…")
        self._diagnostics.copy(self.with_prompts.isChecked())

    def _note_copied(self) -> None:
        self.copy.setEnabled(True)
        self._status.setText("Copied.")

    def _show_file(self) -> None:
        show_in_files(self._book.file.parent)
