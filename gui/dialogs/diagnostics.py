"""The diagnostics for a bug report: versions, device, settings and the end of the log.

Prompts are left out unless the user includes them.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QProcess, Signal, qVersion

from mlxvid import __version__
from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.preferences import Preferences
from mlxvid.media.prompt_names import named_after

PACKAGES = (
    "mlx",
    "PySide6-Essentials",
    "av",
    "numpy",
    "huggingface_hub",
    "hf-xet",
    "sentencepiece",
    "tokenizers",
    "pillow",
)
LAST_LINES = 200
HIDDEN = "<prompt>"


class Device(QObject):
    """Asks another process how the machine is, since the app itself never loads MLX."""

    known = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.text = ""
        self._process: QProcess | None = None

    def ask(self) -> None:
        """Emit `known` once, with lines to show; at once if they are known already."""
        if self.text:
            self.known.emit(self.text)
        elif self._process is None:
            process = self._process = QProcess(self)
            process.finished.connect(self._read)
            process.errorOccurred.connect(self._read)
            command = [*tool_command("mlxvid.doctor"), "--json"]
            process.start(command[0], command[1:])

    def _read(self, *_: object) -> None:
        process = self._process
        self._process = None
        if process is None:
            return
        try:
            found = json.loads(bytes(process.readAllStandardOutput().data()))
            self.text = _device_lines(found)
        except (ValueError, LookupError, TypeError):
            printed = bytes(process.readAllStandardError().data()).decode("utf-8", "replace")
            lines = printed.strip().splitlines()
            why = lines[-1] if lines else process.errorString()
            self.text = _table([("device", f"unknown ({why})")])
        process.deleteLater()
        self.known.emit(self.text)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values as lines with the values in a column."""
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def _device_lines(report: dict[str, Any]) -> str:
    """What `mlxvid.doctor --json` reports, as lines."""
    rows: list[tuple[str, str]] = []
    for finding in report["findings"]:
        rows.append((finding["name"], finding["value"]))
        if finding["advice"]:
            rows.append(("", f"-> {finding['advice']}"))
    return _table(rows)


def versions() -> list[tuple[str, str]]:
    """Names and versions of all that matters; no package is loaded for it."""
    system = f"macOS {platform.mac_ver()[0]}" if platform.mac_ver()[0] else platform.platform()
    own = [
        ("mlxvid", __version__),
        ("system", f"{system}, {platform.machine()}"),
        ("python", platform.python_version()),
        ("qt", qVersion()),
    ]
    return own + [(package, version_of(package)) for package in PACKAGES]


def version_of(package: str) -> str:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def settings_of(preferences: Preferences) -> list[tuple[str, str]]:
    """The app's settings, without prompts."""
    return [
        ("appearance", preferences.appearance.value),
        ("clips in", str(preferences.clips_folder)),
        ("names", preferences.file_names),
        ("models in", ", ".join(preferences.model_folders) or "no folders added"),
        ("memory left", f"{preferences.memory_left} GiB" if preferences.memory_left else "usual"),
        ("queue", "paused" if preferences.paused else "running"),
        ("silence", f"{preferences.silence} s"),
    ]


def _forms(prompt: str) -> set[str]:
    """What becomes of a prompt in a log."""
    words = " ".join(prompt.split())
    # A name without a letter of the prompt hides nothing.
    name = named_after(prompt)
    return {prompt.strip(), words, json.dumps(words)[1:-1], name} - {"", named_after("")}


def without_prompts(lines: Iterable[str], prompts: Sequence[str]) -> list[str]:
    """Replace prompts in lines of the log.

    Each is hidden as it was typed, on one line, in JSON, and as the name of a file.
    """
    lines = list(lines)
    text = "\n".join(lines).lower()
    # Of thousands only those that are there: a pattern of all would take minutes.
    forms = {form for prompt in prompts for form in _forms(prompt) if form.lower() in text}
    if not forms:
        return lines
    # The longest first, since a prompt may be the beginning of another; whole words, since a prompt
    # may be as short as "a".
    longest_first = sorted(forms, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in longest_first)
    hidden = re.compile(pattern, re.IGNORECASE)
    return [hidden.sub(HIDDEN, line) for line in lines]


def report(
    device: str,
    settings: Iterable[tuple[str, str]],
    lines: Sequence[str],
    prompts: Sequence[str] | None,
) -> str:
    """The whole report as text; the home folder is written as ~.

    settings: see :func:`settings_of`. prompts: to hide in the log; None hides none.
    """
    last: Sequence[str] = lines[-LAST_LINES:]
    if prompts is not None:
        last = without_prompts(last, prompts)
    parts = [
        _table(versions()),
        device,
        _table(settings),
        f"Last {LAST_LINES} lines of the log:",
        "\n".join(last),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    home = str(Path.home())
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text
