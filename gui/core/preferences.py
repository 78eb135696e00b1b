"""The user's preferences, in an ini file beside the library."""

from __future__ import annotations

import json
import os
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QByteArray, QObject, QSettings, QStandardPaths, Signal

from mlxvid.metal_errors import RELAXED

from .database_file import data_folder
from .file_names import USUAL
from .worker_client import SILENCE

CLIPS = "MLXVID_CLIPS"
# The variables that the library reads, here and in the processes that make clips and fetch models.
MODELS = "MLXVID_MODELS"
WORK = "MLXVID_CACHE"
RESERVE = "MLXVID_RESERVE"
# What a choice is kept as that one of them takes the place of.
_KEPT = {CLIPS: "clips_folder", MODELS: "models_folder", WORK: "work_folder"}

# How a switch is written.
_SWITCH = {True: "true", False: "false"}


class Appearance(str, Enum):
    """The colours of the window."""

    DARK = "dark"
    LIGHT = "light"
    SYSTEM = "system"


class Preferences(QObject):
    """Typed access to QSettings; invalid values are read as the defaults.

    environment_changed: something that a worker only learns when it begins.
    """

    appearance_changed = Signal()
    silence_changed = Signal(int)
    models_folder_changed = Signal()
    clips_folder_changed = Signal()
    memory_left_changed = Signal()
    environment_changed = Signal()

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
        return Path(os.environ.get(CLIPS) or chosen or Path(movies) / "mlxvid")

    @clips_folder.setter
    def clips_folder(self, folder: Path) -> None:
        os.environ.pop(CLIPS, None)  # the latest choice counts
        self._settings.setValue("clips_folder", str(folder))
        self.clips_folder_changed.emit()

    @property
    def file_names(self) -> str:
        """The pattern of clips' names."""
        return self._text("file_names", USUAL) or USUAL

    @file_names.setter
    def file_names(self, pattern: str) -> None:
        self._settings.setValue("file_names", pattern)

    @property
    def models_folder(self) -> Path | None:
        """Where downloads go: MLXVID_MODELS, the chosen folder, or None for the usual place."""
        return self._folder("models_folder", MODELS)

    @models_folder.setter
    def models_folder(self, folder: Path | None) -> None:
        self._set_variable("models_folder", MODELS, "" if folder is None else str(folder))
        self.models_folder_changed.emit()

    @property
    def work_folder(self) -> Path | None:
        """Where unfinished clips are: MLXVID_CACHE, the chosen folder, or None for the usual
        place.
        """
        return self._folder("work_folder", WORK)

    @work_folder.setter
    def work_folder(self, folder: Path | None) -> None:
        self._set_variable("work_folder", WORK, "" if folder is None else str(folder))

    @property
    def memory_left(self) -> int:
        """GiB of memory that clips leave to other programs; 0 leaves that to mlxvid."""
        return self._whole("memory_left", 0)

    @memory_left.setter
    def memory_left(self, gib: int) -> None:
        self._set_variable("memory_left", RESERVE, str(gib) if gib else "")
        self.memory_left_changed.emit()

    @property
    def patient_gpu(self) -> bool:
        """Whether macOS lets work on the GPU last longer before it ends it."""
        return self._text("patient_gpu", "") == "1"

    @patient_gpu.setter
    def patient_gpu(self, patient: bool) -> None:
        self._set_variable("patient_gpu", RELAXED, "1" if patient else "")

    def is_fixed(self, variable: str) -> bool:
        """Whether mlxvid was started with another folder than the one chosen, which it goes by."""
        return os.environ.get(variable, "") not in ("", self._text(_KEPT[variable], ""))

    def apply_environment(self) -> None:
        """Have this process, and those that it starts, go by the choices that the library reads in
        the environment.
        """
        if self.models_folder is not None:
            os.environ[MODELS] = str(self.models_folder)
        if self.work_folder is not None:
            os.environ[WORK] = str(self.work_folder)
        if self.patient_gpu:
            os.environ[RELAXED] = "1"
        if self.memory_left:
            os.environ.setdefault(RESERVE, str(self.memory_left))

    @property
    def notifies(self) -> bool:
        """Whether the end of a long run is told to someone who is in another app."""
        return self._switch("notifies", True)

    @notifies.setter
    def notifies(self, notifies: bool) -> None:
        self._settings.setValue("notifies", _SWITCH[notifies])

    @property
    def previews(self) -> bool:
        """Whether a clip is shown while it is made."""
        return self._switch("previews", True)

    @previews.setter
    def previews(self, previews: bool) -> None:
        self._settings.setValue("previews", _SWITCH[previews])

    @property
    def new_clip(self) -> dict[str, Any]:
        """The model and the settings that New Clip begins with; none for the last model's own."""
        return self.recall("new_clip", {})

    @new_clip.setter
    def new_clip(self, settings: dict[str, Any]) -> None:
        self.remember("new_clip", settings)

    @property
    def appearance(self) -> Appearance:
        chosen = self._text("appearance", Appearance.SYSTEM.value)
        return Appearance(chosen) if chosen in {a.value for a in Appearance} else Appearance.SYSTEM

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
        return self._switch("paused", False)

    @paused.setter
    def paused(self, paused: bool) -> None:
        self._settings.setValue("paused", _SWITCH[paused])

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

    def save(self) -> bool:
        """Write to the disk at once; whether it could be done."""
        # Another view of the same file: one that has failed once says so ever after.
        view = QSettings(self._settings.fileName(), QSettings.Format.IniFormat)
        view.sync()
        return view.status() == QSettings.Status.NoError

    def _folder(self, name: str, variable: str) -> Path | None:
        given = os.environ.get(variable) or self._text(name, "")
        return Path(given) if given else None

    def _set_variable(self, name: str, variable: str, value: str) -> None:
        """Choose what the library reads in a variable of the environment; "" for the usual."""
        self._settings.setValue(name, value)
        if value:
            os.environ[variable] = value
        else:
            os.environ.pop(variable, None)
        self.environment_changed.emit()

    def _switch(self, name: str, default: bool) -> bool:
        return self._text(name, _SWITCH[default]) == _SWITCH[True]

    def _text(self, name: str, default: str) -> str:
        return str(self._settings.value(name, default, str))

    def _whole(self, name: str, default: int) -> int:
        text = self._text(name, "")
        return int(text) if text.isascii() and text.isdigit() else default
