"""The models that one can choose from: the catalog's, and folders that the user has shown us; what
each can do, and whether it is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    Signal,
)

from mlxvid.catalog import CATALOG, Entry
from mlxvid.errors import MlxvidError
from mlxvid.hub.cache import cached
from mlxvid.model.facts import describe
from mlxvid.model.geometry import Defaults, Geometry
from mlxvid.model.memory import Machine
from mlxvid.plan import plan

from .machine import machine_without_mlx
from .preferences import Preferences

CHOICE = Qt.ItemDataRole.UserRole
NOTE = Qt.ItemDataRole.UserRole + 1
GIB, GB = 2**30, 1e9


@dataclass(frozen=True)
class Choice:
    """One model.

    name: what finds it, in the catalog or on the disk. needs: the pictures among its capabilities
    without which it makes nothing. samplers: known from the worker, empty before. obstacle: why it
    can't run on this machine, "" where it can.
    """

    name: str
    title: str
    defaults: Defaults
    capabilities: frozenset[str]
    geometry: Geometry
    attention_modes: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    licence: str = ""
    description: str = ""
    samplers: tuple[str, ...] = ()
    download_bytes: int = 0
    here: bool = True
    obstacle: str = ""

    @property
    def note(self) -> str:
        """What matters when choosing: why not, or what it costs to get, or that it is here."""
        if self.obstacle:
            return f"Won't fit: {self.obstacle}"
        place = "on disk" if self.here else f"{self.download_bytes / GB:.1f} GB to download"
        return f"{self.licence} · {place}" if self.licence else place

    def frames(self, count: int) -> int:
        """The number of frames nearest to `count` that it can make."""
        return self.geometry.round_frames(count)[0]


class Choices(QAbstractListModel):
    """The choices in the catalog's order, folders after them. `learned` tells that one is known
    better than before.
    """

    learned = Signal(str)

    def __init__(
        self,
        preferences: Preferences,
        machine: Machine | None = None,
        parent: QObject | None = None,
    ):
        super().__init__(parent)
        self._preferences = preferences
        self.machine = machine or machine_without_mlx()
        self._rows: list[Choice] = []
        self.refresh()

    def refresh(self) -> None:
        """Look again at what is on the disk; what was learned stays."""
        before = {choice.name: choice for choice in self._rows}
        entries = [entry for entry in CATALOG.values() if entry.ready] + _described(
            self._preferences.model_folders
        )
        rows = [_from_entry(entry, self.machine) for entry in entries]
        self.beginResetModel()
        self._rows = [
            replace(row, samplers=before[row.name].samplers) if row.name in before else row
            for row in rows
        ]
        self.endResetModel()

    def set_machine(self, machine: Machine) -> None:
        """The worker knows this machine better."""
        if machine != self.machine:
            self.machine = machine
            self.refresh()

    def find(self, name: str) -> Choice | None:
        return next((choice for choice in self._rows if choice.name == name), None)

    def row_of(self, name: str) -> int:
        """-1 where there is none."""
        return next((row for row, choice in enumerate(self._rows) if choice.name == name), -1)

    def at(self, row: int) -> Choice | None:
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def add_folder(self, folder: Path) -> str:
        """A model's folder to choose from, now and later; returns its name. Raises
        :class:`MlxvidError` where there is no model in it.
        """
        name = describe(folder.resolve()).name
        if name not in self._preferences.model_folders:
            self._preferences.model_folders = [*self._preferences.model_folders, name]
        self.refresh()
        return name

    def learn(self, name: str, loaded: dict[str, Any]) -> None:
        """Take over what only the worker knows of the model that was asked for as `name`: its
        samplers, and that it is here.
        """
        row = self.row_of(name)
        if row >= 0:
            self._rows[row] = replace(
                self._rows[row], samplers=tuple(loaded["samplers"]), here=True
            )
            self.dataChanged.emit(self.index(row), self.index(row))
            self.learned.emit(name)

    # --- what Qt asks -----------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        choice = self.at(index.row())
        if choice is None:
            return None
        answers: dict[int, Callable[[], Any]] = {
            Qt.ItemDataRole.DisplayRole: lambda: choice.title,
            Qt.ItemDataRole.ToolTipRole: lambda: choice.description or choice.name,
            Qt.ItemDataRole.AccessibleTextRole: lambda: f"{choice.title}, {choice.note}",
            CHOICE: lambda: choice,
            NOTE: lambda: choice.note,
        }
        return answers[role]() if role in answers else None

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        choice = self.at(index.row())
        return (
            Qt.ItemFlag.NoItemFlags if choice is None or choice.obstacle else super().flags(index)
        )


def _from_entry(entry: Entry, machine: Machine) -> Choice:
    return Choice(
        entry.name,
        entry.title,
        entry.defaults,
        entry.capabilities,
        entry.geometry,
        entry.attention_modes,
        needs=entry.needs,
        licence=entry.licence,
        description=entry.description,
        download_bytes=entry.download_bytes,
        here=entry.folder is not None
        or all(cached(*place) for place in ((entry.repo, entry.revision), *entry.parts.values())),
        obstacle=_obstacle(entry, machine),
    )


def _described(folders: list[str]) -> list[Entry]:
    """The models in folders; those that are gone, or broken by now, are left out."""
    found = []
    for folder in folders:
        try:
            found.append(describe(Path(folder)))
        except MlxvidError:
            continue
    return found


def _obstacle(entry: Entry, machine: Machine) -> str:
    """Why no clip of this model fits, whatever its size and quantized as far as can be."""
    try:
        smallest = plan(entry, frames=1, width=64, height=64, quantize=4, machine=machine)
    except MlxvidError as error:
        return str(error)
    if smallest.fits:
        return ""
    return f"needs {smallest.peak_bytes / GIB:.0f} GiB at least, this machine has {machine.usable / GIB:.0f} to give"
