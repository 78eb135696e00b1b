"""The models that one can use here, as a Qt list model, and the survey that finds them.

They are the catalog's, those in the hub's cache, and imported folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from mlxvid import hub
from mlxvid.catalog import CATALOG
from mlxvid.errors import MlxvidError
from mlxvid.gui.core.messages import shown
from mlxvid.model.card import Card
from mlxvid.model.machine import GIB, Machine
from mlxvid.models import card_of
from mlxvid.run.planning import plan

ROW = Qt.ItemDataRole.UserRole
"""The role of a ModelRow."""

FROM_HUB = "From the hub; not in mlxvid's catalog."
# What a model can start from besides a prompt.
_PICTURES = {"image": "a first picture", "last_image": "a last picture"}
# Weights to try, in this order, until the usual clip fits: bits (None: as they are), in words.
_WEIGHTS = (
    (None, "Fits"),
    (8, "Fits with 8-bit weights"),
    (4, "Fits with 4-bit weights"),
)


class Presence(Enum):
    """How much of a model is on this disk."""

    PACKAGED = "comes with mlxvid"
    COMPLETE = "on this disk"
    PARTIAL = "partly downloaded"
    ABSENT = "not downloaded"


@dataclass(frozen=True)
class ModelRow:
    """What the list says of one model.

    name: finds it, for mlxvid.load too. total_bytes: of the complete model, 0 if unknown.
    disk_bytes: on this disk now. repo, revision: on the hub. folder: of an imported model. fits:
    whether some clip of it fits in this machine's memory; memory: the same in words. makes: its
    usual clip, and what it can start from besides a prompt.
    """

    name: str
    title: str
    presence: Presence
    total_bytes: int = 0
    disk_bytes: int = 0
    licence: str = ""
    description: str = ""
    repo: str | None = None
    revision: str | None = None
    folder: Path | None = None
    fits: bool = True
    memory: str = ""
    makes: str = ""

    @property
    def complete(self) -> bool:
        """Whether all of it is on this disk."""
        return self.presence in (Presence.PACKAGED, Presence.COMPLETE)

    @property
    def usable(self) -> bool:
        """Whether it can make clips on this machine."""
        return self.complete and self.fits

    @property
    def note(self) -> str:
        """The line under its title."""
        if self.presence is Presence.ABSENT and self.total_bytes:
            return f"{size_text(self.total_bytes)} to download"
        if self.presence is Presence.PARTIAL and self.total_bytes:
            return f"{size_text(self.disk_bytes)} of {size_text(self.total_bytes)} downloaded"
        where = "imported" if self.folder else self.presence.value
        return f"{where} · {size_text(self.disk_bytes)}" if self.disk_bytes else where


def size_text(size: int) -> str:
    """Bytes in MB or GB, the decimal units in which disks and the hub count."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    if size >= 1e7:
        return f"{size / 1e6:.0f} MB"
    return f"{max(size / 1e6, 0.1):.1f} MB"


def survey(folders: Sequence[str], machine: Machine) -> list[ModelRow]:
    """Find the models of the catalog, of the hub's cache and in the imported `folders`.

    It reads the disk, so it is not for the GUI's thread.
    """
    rows = [_catalog_row(card, machine) for card in CATALOG.values()]
    listed = {place.repository for card in CATALOG.values() for place in card.places}
    for repo in hub.repositories():
        row = None if repo in listed else _cached_row(repo, machine)
        if row is not None:
            rows.append(row)
    listed = {row.name for row in rows}
    for folder in folders:
        row = None if folder in listed else _imported_row(Path(folder), machine)
        if row is not None:
            rows.append(row)
    return rows


def _catalog_row(card: Card, machine: Machine) -> ModelRow:
    fits, memory = memory_fit(card, machine)
    row = ModelRow(
        card.name,
        card.title,
        Presence.PACKAGED,
        total_bytes=card.download_bytes,
        licence=card.licence,
        description=card.description,
        repo=card.repository,
        revision=card.revision,
        fits=fits,
        memory=memory,
        makes=usual_clip(card),
    )
    if not card.places:
        return replace(row, disk_bytes=_size(card.folder)) if card.folder else row
    disk_bytes = sum(hub.size_on_disk(place.repository) for place in card.places)
    cached = [hub.cached_revision(place.repository, place.revision) for place in card.places]
    complete = [found for found in cached if found is not None and not found.missing]
    if len(complete) == len(card.places):
        total = sum(found.size for found in complete)
        return replace(row, presence=Presence.COMPLETE, total_bytes=total, disk_bytes=disk_bytes)
    presence = Presence.PARTIAL if disk_bytes else Presence.ABSENT
    return replace(row, presence=presence, disk_bytes=disk_bytes)


def _cached_row(repo: str, machine: Machine) -> ModelRow | None:
    """A model in the hub's cache that is not in the catalog; None if mlxvid can't run it."""
    for snapshot in hub.cached_revisions(repo):
        try:
            card = card_of(snapshot.folder)
        except MlxvidError:
            continue
        fits, memory = (True, "") if snapshot.missing else memory_fit(card, machine)
        return ModelRow(
            str(snapshot.folder),
            repo,
            Presence.PARTIAL if snapshot.missing else Presence.COMPLETE,
            total_bytes=snapshot.size,
            disk_bytes=hub.size_on_disk(repo),
            description=FROM_HUB,
            repo=repo,
            revision=snapshot.folder.name,
            fits=fits,
            memory=memory,
            makes=usual_clip(card),
        )
    return None


def _imported_row(folder: Path, machine: Machine) -> ModelRow | None:
    """A model in a folder; None if there is none that mlxvid can run."""
    try:
        card = card_of(folder)
        fits, memory = memory_fit(card, machine)
    except MlxvidError:
        return None
    size = _size(folder)
    return ModelRow(
        str(folder),
        folder.name,
        Presence.COMPLETE,
        total_bytes=size,
        disk_bytes=size,
        description="Imported.",
        folder=folder,
        fits=fits,
        memory=memory,
        makes=usual_clip(card),
    )


def _size(folder: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def usual_clip(card: Card) -> str:
    """The clip that a model makes by default, and the pictures that it needs or can start from."""
    usual = card.defaults
    needed = [words for name, words in _PICTURES.items() if name in card.needs]
    possible = [words for name, words in _PICTURES.items() if name in card.takes]
    pictures = ""
    if needed:
        pictures = f", from {' and '.join(needed)}"
    elif possible:
        pictures = f", also from {' and '.join(possible)}"
    seconds = usual.frames / usual.fps
    size = f"{usual.width}×{usual.height}"
    return f"{size}, {seconds:.1f} s at {usual.fps:g} frames a second{pictures}"


def memory_fit(card: Card, machine: Machine) -> tuple[bool, str]:
    """Whether clips of a model fit in the machine's memory, and a sentence on how, or why not."""
    usable = machine.usable / GIB
    try:
        for bits, words in _WEIGHTS:
            usual = plan(card, quantize=bits, machine=machine)
            peak = usual.peak_bytes / GIB
            if usual.fits:
                return True, f"{words}: its usual clip takes about {peak:.1f} of {usable:.1f} GiB."
        least = plan(card, frames=1, width=64, height=64, quantize=4, machine=machine)
    except MlxvidError as error:
        return False, shown(error)
    if least.fits:
        return True, (
            f"Fits with 4-bit weights and smaller clips: its usual clip takes about {peak:.0f} GiB."
        )
    return False, (
        f"Won't fit: it needs at least {least.peak_bytes / GIB:.0f} GiB, "
        f"and this machine has {usable:.0f} GiB for it."
    )


class ModelList(QAbstractListModel):
    """The models as rows."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[ModelRow] = []

    def set_rows(self, rows: list[ModelRow]) -> None:
        """Show another survey; if the models are the same, the selection is kept."""
        if [row.name for row in rows] != [row.name for row in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
        elif rows:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def find(self, name: str) -> ModelRow | None:
        """The row of a model."""
        return next((row for row in self._rows if row.name == name), None)

    def index_of(self, name: str) -> QModelIndex:
        """The index of a model; an invalid one if it isn't listed."""
        for position, row in enumerate(self._rows):
            if row.name == name:
                return self.index(position)
        return QModelIndex()

    def touch(self, name: str) -> None:
        """Redraw a model, since its job has made progress."""
        index = self.index_of(name)
        if index.isValid():
            self.dataChanged.emit(index, index)

    @property
    def rows(self) -> list[ModelRow]:
        """All rows, in order."""
        return self._rows

    # --- Qt's interface ---------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == ROW:
            return row
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row.title}, {row.note}"
        return None
