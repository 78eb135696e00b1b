"""Signals that come while a command's modules are still imported, before its `main`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_COMMANDS = {"mlxvid.generate", "mlxvid.plan", "mlxvid.convert", "mlxvid.hub"}
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


def end_quietly() -> None:
    """Have them end the process at once and without a traceback: nothing is begun yet.

    Only where Python itself is about to run one of our commands (``python -m``), whose `main` has
    handlers of its own.
    """
    finding = sys.argv[:1] == ["-m"]  # what it is until the module is found
    if finding and not _COMMANDS.isdisjoint(sys.orig_argv):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in _DEFAULTS:
                signal.signal(number, _end)


def _end(number: int, frame: Any) -> None:
    os._exit(128 + number)
