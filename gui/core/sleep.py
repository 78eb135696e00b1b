"""Sending a Mac to sleep."""

from __future__ import annotations

import sys

from PySide6.QtCore import QProcess

# Whether this machine can be asked to.
CAN_SLEEP = sys.platform == "darwin"


def sleep_now() -> bool:
    """Ask the system to sleep at once; whether it took the request."""
    return bool(QProcess.startDetached("/usr/bin/pmset", ["sleepnow"])[0])
