"""What the user chose once and the app keeps: in an ini file beside the library, the same on every
system.
"""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QObject, QSettings, QStandardPaths, Signal

from .database_file import data_folder
from .worker_client import SILENCE


class Appearance(str, Enum):
    """What the user chose."""

    DARK = "dark"
    LIGHT = "light"
    SYSTEM = "system"


class Preferences(QObject):
    """Typed access to QSettings. Values that make no sense any more are the defaults again."""

    appearance_changed = Signal()
    silence_changed = Signal(int)

    def __init__(self, path: Path | None = None, parent: QObject | None = None):
        super().__init__(parent)
        self._settings = QSettings(
            str(path or data_folder() / "settings.ini"), QSettings.Format.IniFormat
        )

    @property
    def clips_folder(self) -> Path:
        """Where clips are saved: MLXVID_CLIPS, the folder chosen here, or "mlxvid" in the user's
        films.
        """
        films = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        chosen = self._settings.value("clips_folder", "", str)
        return Path(os.environ.get("MLXVID_CLIPS") or chosen or Path(films) / "mlxvid")

    @clips_folder.setter
    def clips_folder(self, folder: Path) -> None:
        self._settings.setValue("clips_folder", str(folder))

    @property
    def appearance(self) -> Appearance:
        chosen = self._settings.value("appearance", Appearance.DARK.value, str)
        return Appearance(chosen) if chosen in {a.value for a in Appearance} else Appearance.DARK

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self._settings.setValue("appearance", appearance.value)
        self.appearance_changed.emit()

    @property
    def silence(self) -> int:
        """After so many seconds without a word from the generator, ask whether to stop it."""
        seconds = self._whole("silence", SILENCE)
        return seconds if seconds > 0 else SILENCE

    @silence.setter
    def silence(self, seconds: int) -> None:
        self._settings.setValue("silence", seconds)
        self.silence_changed.emit(seconds)

    @property
    def paused(self) -> bool:
        """Whether the queue rests."""
        return self._settings.value("paused", "false", str) == "true"

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._settings.setValue("paused", "true" if paused else "false")

    @property
    def model_folders(self) -> list[str]:
        """Folders of models that the user has shown us."""
        return [folder for folder in self.recall("model_folders", []) if isinstance(folder, str)]

    @model_folders.setter
    def model_folders(self, folders: list[str]) -> None:
        self.remember("model_folders", folders)

    def recall(self, name: str, default: Any) -> Any:
        """A JSON value, if it is there and of the default's type."""
        try:
            value = json.loads(self._settings.value(name, "", str))
        except ValueError:
            return default
        return value if isinstance(value, type(default)) else default

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value."""
        self._settings.setValue(name, json.dumps(value))

    def bytes(self, name: str) -> QByteArray:
        """Such as a window's geometry; empty where there is none."""
        value = self._settings.value(name)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_bytes(self, name: str, value: QByteArray) -> None:
        self._settings.setValue(name, value)

    def save(self) -> None:
        """Write to the disk now, not when Qt finds the time."""
        self._settings.sync()

    def _whole(self, name: str, default: int) -> int:
        text = self._settings.value(name, "", str)
        return int(text) if text.isascii() and text.isdigit() else default
