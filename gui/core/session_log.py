"""The log as a file, which outlives a crash, and whether the last session ended with one."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
from collections import deque
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from PySide6.QtCore import QObject, Signal

LOGGER = "mlxvid"
FORMAT = logging.Formatter("%(asctime)s  %(levelname)-8s %(message)s", "%Y-%m-%d %H:%M:%S")
FILE_NAME = "mlxvid.log"
# A file's bytes, and how many earlier ones are kept.
_BYTES = 1_000_000
_KEPT = 3
# There while the app runs: what is found at the start was left by a session that did not end well.
_MARK = "running"
# Where Python writes the stacks of a crash.
_CRASH = "crash.txt"

log = logging.getLogger("mlxvid.gui")


def log_file(data: Path) -> Path:
    """The log's file below the app's data folder."""
    return data / "log" / FILE_NAME


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log's file; nothing where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return list(deque((line.rstrip() for line in file), count))
    except OSError:
        return []


class SessionLog(QObject):
    """Writes what mlxvid logs, from INFO up, from the app's start to its end.

    crashed: the session before did not come to its end. failed: the app itself has made a mistake,
    in any thread, which is in the log. Where nothing can be written nothing is kept, and nothing
    else happens.
    """

    failed = Signal()
    _noted = Signal()  # from any thread

    def __init__(self, data: Path):
        super().__init__()
        self._noted.connect(self._tell)
        self._folder = log_file(data).parent
        self._mark = self._folder / _MARK
        self._handler: logging.Handler = logging.NullHandler()
        self._stacks: TextIO | None = None
        self.crashed = self._mark.exists()
        with suppress(OSError):
            self._open(log_file(data))
        logging.getLogger(LOGGER).addHandler(self._handler)
        logging.getLogger(LOGGER).setLevel(logging.INFO)
        if self.crashed:
            self._report_crash()
        self._watch()
        sys.excepthook = self._note_fault
        threading.excepthook = self._note_fault_of_thread

    def _open(self, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._handler = RotatingFileHandler(
            path, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8"
        )
        self._handler.setFormatter(FORMAT)
        self._mark.touch()

    def _report_crash(self) -> None:
        log.error("The last session ended unexpectedly.")
        for line in last_lines(self._folder / _CRASH, 200):
            log.error("%s", line)

    def _watch(self) -> None:
        """Have Python write the stack of the thread that crashes, if this process does."""
        with suppress(OSError):
            self._stacks = (self._folder / _CRASH).open("w", encoding="utf-8")
            # The stack of the thread that crashed alone: others go on meanwhile, and to read theirs
            # may itself crash (CPython's documentation, "faulthandler").
            faulthandler.enable(self._stacks, all_threads=False)

    def close(self) -> None:
        """Note that the session has come to its end."""
        faulthandler.disable()
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        logging.getLogger(LOGGER).removeHandler(self._handler)
        self._handler.close()
        if self._stacks is not None:
            self._stacks.close()
        with suppress(OSError):
            self._mark.unlink(missing_ok=True)

    def _note_fault(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        log.error("A fault of the app: %r", error, exc_info=(kind, error, traceback))
        sys.__excepthook__(kind, error, traceback)
        self._noted.emit()

    def _tell(self) -> None:
        """Tell of a fault in the window's thread."""
        self.failed.emit()

    def _note_fault_of_thread(self, fault: Any) -> None:
        self._note_fault(fault.exc_type, fault.exc_value, fault.exc_traceback)
