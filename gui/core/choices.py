"""The models that one can choose from: the catalog's, and those in folders that the user added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

from mlxvid import models
from mlxvid.catalog import CATALOG
from mlxvid.errors import MlxvidError
from mlxvid.hub.assembly import is_here
from mlxvid.hub.tiny import tiny_path
from mlxvid.model.card import Card
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.tiny import FOLDER
from mlxvid.run.planning import plan

from .licences import licence_to_accept
from .machine import machine_from, machine_without_mlx
from .messages import shown
from .own_models import OwnModels
from .preferences import Preferences

CHOICE = Qt.ItemDataRole.UserRole
NOTE = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True)
class Choice:
    """One model.

    here: whether its weights are on this machine. obstacle: why it can't run on this machine, ""
    where it can. has_terms: whether its licence is to be accepted before it is downloaded.
    """

    card: Card
    here: bool = True
    obstacle: str = ""
    has_terms: bool = False

    @property
    def name(self) -> str:
        """What finds it, in the catalog or on the disk."""
        return self.card.name

    @property
    def title(self) -> str:
        return self.card.title

    @property
    def note(self) -> str:
        """What matters when choosing: why not, or what it costs to get, or that it is here."""
        if self.obstacle:
            return f"Won't fit: {self.obstacle}"
        size = f"{self.card.download_size} to download"
        place = "on disk" if self.here else size
        return f"{self.card.licence} · {place}" if self.card.licence else place

    @property
    def has_tiny_decoder(self) -> bool:
        """Whether the tiny decoder of its family is on this machine."""
        tiny = self.card.family.tiny_decoder
        if tiny is None:
            return False
        own = self.card.folder is not None and (self.card.folder / FOLDER).is_dir()
        return own or tiny_path(tiny).is_file()

    def takes(self, name: str) -> bool:
        """Whether the model can be given the setting `name`, one that not every model has."""
        return name in self.card.takes


class Choices(QAbstractListModel):
    """The choices in the catalog's order, folders after them.

    arrived: the name of a model whose weights are on this machine now.
    """

    arrived = Signal(str)

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
        preferences.memory_left_changed.connect(self._measure)
        self.refresh()

    def _measure(self) -> None:
        """Count with what is left to other programs now, which the worker then knows better."""
        self.set_machine(machine_without_mlx())

    def refresh(self) -> None:
        """Look again at what is on the disk."""
        cards = [*CATALOG.values(), *_cards_in(OwnModels(self._preferences))]
        rows = [_choice(card, self.machine, self._preferences) for card in cards]
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def take_machine(self, event: dict[str, Any]) -> None:
        """Take the machine from a worker's `ready` event, if it is there."""
        machine = machine_from(event.get("machine"))
        if machine is not None:
            self.set_machine(machine)

    def set_machine(self, machine: Machine) -> None:
        """The worker knows this machine better."""
        if machine != self.machine:
            self.machine = machine
            self.refresh()

    def find(self, name: str) -> Choice | None:
        return next((choice for choice in self._rows if choice.name == name), None)

    def lacks(self, settings: Mapping[str, Any]) -> bool:
        """Whether a clip of these settings needs a model that is not on this machine."""
        choice = self.find(str(settings.get("model")))
        return choice is not None and not choice.here

    def row_of(self, name: str) -> int:
        """-1 where there is none."""
        return next((row for row, choice in enumerate(self._rows) if choice.name == name), -1)

    def at(self, row: int) -> Choice | None:
        return self._rows[row] if 0 <= row < len(self._rows) else None

    def add_folder(self, folder: Path) -> str:
        """Add a model's folder, for later starts too; returns the model's name.

        Raises :class:`MlxvidError` where there is no model in it.
        """
        name = models.card_of(folder.resolve()).name
        if name not in self._preferences.model_folders:
            self._preferences.model_folders = [*self._preferences.model_folders, name]
        self.refresh()
        return name

    def note_loaded(self, name: str) -> None:
        """Note that the worker has loaded a model, so that its weights are here."""
        row = self.row_of(name)
        if row >= 0 and not self._rows[row].here:
            self._rows[row] = replace(self._rows[row], here=True)
            self.dataChanged.emit(self.index(row), self.index(row))
            self.arrived.emit(name)

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
            Qt.ItemDataRole.ToolTipRole: lambda: choice.card.description or choice.name,
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


def _choice(card: Card, machine: Machine, preferences: Preferences) -> Choice:
    return Choice(
        card,
        here=is_here(card),
        obstacle=_obstacle(card, machine),
        has_terms=licence_to_accept(card, preferences) is not None,
    )


def _cards_in(own: OwnModels) -> list[Card]:
    """The cards of the user's own models, with the names that they have for them; those that are
    missing or broken by now are left out.
    """
    found = []
    for folder in own.folders:
        try:
            card = models.card_of(Path(folder))
        except MlxvidError:
            continue
        found.append(replace(card, title=own.title(Path(folder))))
    return found


def _obstacle(card: Card, machine: Machine) -> str:
    """Why no clip of this model fits, whatever its size and quantized as far as can be."""
    try:
        smallest = plan(card, frames=1, width=64, height=64, quantize=4, machine=machine)
    except MlxvidError as error:
        return shown(error)
    if smallest.fits:
        return ""
    needed = f"needs {smallest.peak_bytes / GIB:.0f} GiB at least"
    return f"{needed}, this machine has {machine.usable / GIB:.0f} to give"
