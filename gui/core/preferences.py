"""The user's preferences, in an ini file beside the library."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QObject, QSettings, QStandardPaths, Signal

from .database_file import data_folder
from .worker_client import SILENCE

# The variable that the library reads, here and in the processes that make clips and fetch models.
MODELS = "MLXVID_MODELS"


class Appearance(str, Enum):
    """The colours of the window."""

    DARK = "dark"
    LIGHT = "light"
    SYSTEM = "system"


class Preferences(QObject):
    """Typed access to QSettings; invalid values are read as the defaults."""

    appearance_changed = Signal()
    silence_changed = Signal(int)
    models_folder_changed = Signal()
    clips_folder_changed = Signal()

    def __init__(self, path: Path | None = None, parent: QObject | None = None):
        super().__init__(parent)
        self._settings = QSettings(
            str(path or data_folder() / "settings.ini"), QSettings.Format.IniFormat
        )

    @property
    def clips_folder(self) -> Path:
        """Where clips are saved: MLXVID_CLIPS, the chosen folder, or one in the user's movies."""
        movies = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.MoviesLocation)
        chosen = self._text("clips_folder", "")
        return Path(os.environ.get("MLXVID_CLIPS") or chosen or Path(movies) / "mlxvid")

    @clips_folder.setter
    def clips_folder(self, folder: Path) -> None:
        self._settings.setValue("clips_folder", str(folder))
        self.clips_folder_changed.emit()

    @property
    def models_folder(self) -> Path | None:
        """Where downloads go: MLXVID_MODELS, the chosen folder, or None for the usual place."""
        given = os.environ.get(MODELS) or self._text("models_folder", "")
        return Path(given) if given else None

    @models_folder.setter
    def models_folder(self, folder: Path | None) -> None:
        self._settings.setValue("models_folder", "" if folder is None else str(folder))
        os.environ[MODELS] = "" if folder is None else str(folder)
        self.models_folder_changed.emit()

    def apply_models_folder(self) -> None:
        """Have this process, and those that it starts, keep models in the chosen folder."""
        if self.models_folder is not None:
            os.environ[MODELS] = str(self.models_folder)

    @property
    def appearance(self) -> Appearance:
        chosen = self._text("appearance", Appearance.DARK.value)
        return Appearance(chosen) if chosen in {a.value for a in Appearance} else Appearance.DARK

    @appearance.setter
    def appearance(self, appearance: Appearance) -> None:
        self._settings.setValue("appearance", appearance.value)
        self.appearance_changed.emit()

    @property
    def silence(self) -> int:
        """Seconds without an event from the generator after which to ask whether to stop it."""
        seconds = self._whole("silence", SILENCE)
        return seconds if seconds > 0 else SILENCE

    @silence.setter
    def silence(self, seconds: int) -> None:
        self._settings.setValue("silence", seconds)
        self.silence_changed.emit(seconds)

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self._text("paused", "false") == "true"

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._settings.setValue("paused", "true" if paused else "false")

    @property
    def model_folders(self) -> list[str]:
        """Folders of models that the user has added."""
        return [folder for folder in self.recall("model_folders", []) if isinstance(folder, str)]

    @model_folders.setter
    def model_folders(self, folders: list[str]) -> None:
        self.remember("model_folders", folders)

    def recall(self, name: str, default: Any) -> Any:
        """A JSON value; the default where there is none of its type."""
        try:
            value = json.loads(self._text(name, ""))
        except ValueError:
            return default
        return value if isinstance(value, type(default)) else default

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value."""
        self._settings.setValue(name, json.dumps(value))

    def bytes(self, name: str) -> QByteArray:
        """Bytes, such as a window's geometry; empty where there are none."""
        value = self._settings.value(name)
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_bytes(self, name: str, value: QByteArray) -> None:
        self._settings.setValue(name, value)

    def save(self) -> None:
        """Write to the disk at once."""
        self._settings.sync()

    def _text(self, name: str, default: str) -> str:
        return str(self._settings.value(name, default, str))

    def _whole(self, name: str, default: int) -> int:
        text = self._text(name, "")
        return int(text) if text.isascii() and text.isdigit() else default
