"""How the processes beside the app are started: its worker, and mlxvid's commands."""

from __future__ import annotations

import sys


def worker_command() -> list[str]:
    """How the worker is started: by this Python, or by the app bundle's own executable, which
    `mlxvid.gui.__main__` turns into one.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--worker"]
    return [sys.executable, "-m", "mlxvid.generate", "--worker"]


def tool_command(module: str) -> list[str]:
    """How one of mlxvid's commands is started: by this Python, or in an app bundle by its own
    executable.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, "--run", module]
    return [sys.executable, "-m", module]
