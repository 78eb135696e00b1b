"""What a report of a fault should carry: versions, device, settings and the last lines of the log;
and nobody's prompts unless told so.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, Signal, qVersion

from mlxvid import __version__
from mlxvid.gui.core.commands import tool_command
from mlxvid.gui.core.preferences import Preferences

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
    """Asks a process of its own what MLX runs on: the app itself never loads it."""

    known = Signal(str)

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        self.text = ""
        self._process: QProcess | None = None

    def ask(self) -> None:
        """`known` comes once, with lines to show; at once where it was asked before."""
        if self.text:
            self.known.emit(self.text)
        elif self._process is None:
            process = self._process = QProcess(self)
            process.finished.connect(self._read)
            process.errorOccurred.connect(self._read)
            command = [*tool_command("mlxvid.plan"), "--device", "--json"]
            process.start(command[0], command[1:])

    def _read(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            facts = json.loads(bytes(process.readAllStandardOutput().data()))
            self.text = _device_lines(facts)
        except (ValueError, LookupError, TypeError):
            words = bytes(process.readAllStandardError().data()).decode("utf-8", "replace").strip()
            self.text = f"device        unknown ({words.splitlines()[-1] if words else process.errorString()})"
        process.deleteLater()
        self.known.emit(self.text)


def _device_lines(facts: dict) -> str:
    machine = facts["machine"]
    rows = [
        (
            "machine",
            f"{machine['name']}, {machine['total'] / 2**30:.1f} GiB, of which a clip may take {machine['usable'] / 2**30:.1f}",
        ),
        ("device", f"{facts['device']} {facts['device_name']}".strip()),
        *(
            ("kernel", f"{kernel['name']} {'on' if kernel['on'] else 'off'}: {kernel['reason']}")
            for kernel in facts["kernels"]
        ),
    ]
    return "\n".join(f"{name:<14}{value}" for name, value in rows)


def versions() -> list[tuple[str, str]]:
    """(what, its version) of all that matters; no package is loaded for it."""
    system = f"macOS {platform.mac_ver()[0]}" if platform.mac_ver()[0] else platform.platform()
    own = [
        ("mlxvid", __version__),
        ("system", f"{system}, {platform.machine()}"),
        ("python", platform.python_version()),
        ("qt", qVersion()),
    ]
    return own + [(package, version_of(package)) for package in PACKAGES]


def version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def settings_of(preferences: Preferences) -> list[tuple[str, str]]:
    """The app's settings, but for what one typed."""
    return [
        ("appearance", preferences.appearance.value),
        ("clips in", str(preferences.clips_folder)),
        ("models in", ", ".join(preferences.model_folders) or "no folders of the user's"),
        ("queue", "paused" if preferences.paused else "running"),
        ("silence", f"{preferences.silence} s"),
    ]


def without_prompts(lines: Iterable[str], prompts: Sequence[str]) -> list[str]:
    """`lines` with each of the prompts hidden, whatever became of it: as it was typed, on one line,
    in JSON, as the name of a file.
    """
    forms: set[str] = set()
    for prompt in prompts:
        words = " ".join(prompt.split())
        name = re.sub(r"[^\w]+", "-", prompt.lower()).strip("-_")[:48].rstrip("-_")
        forms |= {prompt.strip(), words, json.dumps(words)[1:-1], name} - {""}
    if not forms:
        return list(lines)
    # The longest first, since one prompt may be the beginning of another; whole words, since one
    # may be as short as "a".
    hidden = re.compile(
        "|".join(
            rf"(?<!\w){re.escape(form)}(?!\w)" for form in sorted(forms, key=len, reverse=True)
        ),
        re.IGNORECASE,
    )
    return [hidden.sub(HIDDEN, line) for line in lines]


def report(
    device: str, preferences: Preferences, lines: Sequence[str], prompts: Sequence[str] | None
) -> str:
    """The whole report as text. prompts: to leave out of the log; None leaves it as it is. The home
    folder is called ~.
    """
    parts = [
        "\n".join(f"{name:<14}{value}" for name, value in versions()),
        device,
        "\n".join(f"{name:<14}{value}" for name, value in settings_of(preferences)),
        f"Last {LAST_LINES} lines of the log:",
        "\n".join(
            lines[-LAST_LINES:]
            if prompts is None
            else without_prompts(lines[-LAST_LINES:], prompts)
        ),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    home = str(Path.home())
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text
