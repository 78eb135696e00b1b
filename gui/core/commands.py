"""The command lines of the app's processes: its worker, and mlxvid's commands."""

from __future__ import annotations

import sys


def worker_command() -> list[str]:
    """The worker's command line: this Python, or the app bundle's executable."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--worker"]
    return [sys.executable, "-m", "mlxvid.generate", "--worker"]


def tool_command(module: str) -> list[str]:
    """A module's command line: this Python, or the app bundle's executable."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--run", module]
    return [sys.executable, "-m", module]
