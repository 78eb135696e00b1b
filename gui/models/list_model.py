"""Every model that one could use here: the catalog's, those in the hub's cache, and imported
folders; how much of each is on this disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

MODEL = Qt.ItemDataRole.UserRole
PROGRESS = Qt.ItemDataRole.UserRole + 1
GB = 1e9


class State(Enum):
    """Where a model is."""

    PACKAGED = "comes with mlxvid"
    HERE = "on this disk"
    PARTLY = "partly downloaded"
    ABSENT = "not downloaded"


@dataclass(frozen=True)
class Model:
    """One model. `name` finds it, for mlxvid.load too; `size` in bytes when whole (0: unknown),
    `taken` on this disk now.

    repo, revision: on the hub; folder: of one that was imported. fits: whether some clip of it fits
    in this machine's memory, and `fit` says it in words. makes: its usual clip, and what else it
    can begin with than words.
    """

    name: str
    title: str
    state: State
    size: int = 0
    taken: int = 0
    licence: str = ""
    description: str = ""
    repo: str | None = None
    revision: str | None = None
    folder: Path | None = None
    fits: bool = True
    fit: str = ""
    makes: str = ""

    @property
    def usable(self) -> bool:
        return self.state in (State.PACKAGED, State.HERE) and self.fits

    @property
    def note(self) -> str:
        """A line under its title."""
        if self.state is State.ABSENT and self.size:
            return f"{amount(self.size)} to download"
        if self.state is State.PARTLY and self.size:
            return f"{amount(self.taken)} of {amount(self.size)} downloaded"
        where = "imported" if self.folder else self.state.value
        return f"{where} · {amount(self.taken)}" if self.taken else where


def amount(size: int) -> str:
    """Bytes as people say them, in the units that a disk's maker and the hub count in."""
    if size >= GB:
        return f"{size / GB:.1f} GB"
    return f"{max(size / 1e6, 0.1):.1f} MB" if size < 1e7 else f"{size / 1e6:.0f} MB"


def survey(folders: Sequence[str], machine: Machine) -> list[Model]:
    """Look at the catalog, the hub's cache and the imported `folders`. Reads the disk: not for the
    GUI's thread.
    """
    known = {place.repository for card in CATALOG.values() for place in card.places}
    cached = [
        found
        for repo in hub.repositories()
        if repo not in known and (found := _cached(repo, machine))
    ]
    inside = {model.name for model in cached}
    imported = [
        found
        for folder in folders
        if folder not in inside and (found := _imported(Path(folder), machine))
    ]
    return [_known(card, machine) for card in CATALOG.values()] + cached + imported


def _known(card: Card, machine: Machine) -> Model:
    fits, words = fit(card, machine)
    model = Model(
        card.name,
        card.title,
        State.PACKAGED,
        card.download_bytes,
        0,
        card.licence,
        card.description,
        card.repository,
        card.revision,
        fits=fits,
        fit=words,
        makes=makes(card),
    )
    if card.repository is None:
        return replace(model, taken=_size(card.folder)) if card.folder else model
    taken = hub.size_on_disk(card.repository)
    found = hub.cached_revision(card.repository, card.revision)
    if found is not None and not found.missing:
        return replace(model, state=State.HERE, size=found.size, taken=taken)
    return replace(model, state=State.PARTLY if taken else State.ABSENT, taken=taken)


def _cached(repo: str, machine: Machine) -> Model | None:
    """What the cache has of a repository that the catalog doesn't know, where that is a model which
    mlxvid can run.
    """
    for snapshot in hub.cached_revisions(repo):
        try:
            card = card_of(snapshot.folder)
        except MlxvidError:
            continue
        fits, words = (True, "") if snapshot.missing else fit(card, machine)
        state = State.PARTLY if snapshot.missing else State.HERE
        return Model(
            str(snapshot.folder),
            repo,
            state,
            snapshot.size,
            hub.size_on_disk(repo),
            description="From the hub; not in mlxvid's catalog.",
            repo=repo,
            revision=snapshot.folder.name,
            fits=fits,
            fit=words,
            makes=makes(card),
        )
    return None


def _imported(folder: Path, machine: Machine) -> Model | None:
    try:
        card = card_of(folder)
        fits, words = fit(card, machine)
    except MlxvidError:
        return None
    size = _size(folder)
    return Model(
        str(folder),
        folder.name,
        State.HERE,
        size,
        size,
        description="Imported.",
        folder=folder,
        fits=fits,
        fit=words,
        makes=makes(card),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def makes(card: Card) -> str:
    """The clip that a model makes unless told otherwise, and from which pictures it can."""
    usual = card.defaults
    pictures = {"image": "a first picture", "last_image": "a last picture"}
    able = [words for name, words in pictures.items() if name in card.takes]
    begin = (
        f", from {' and '.join(words for name, words in pictures.items() if name in card.needs)}"
        if card.needs
        else ""
    )
    begin = begin or (f", also from {' and '.join(able)}" if able else "")
    return f"{usual.width}×{usual.height}, {usual.frames / usual.fps:.1f} s at {usual.fps:g} frames a second{begin}"


def fit(card: Card, machine: Machine) -> tuple[bool, str]:
    """Whether clips of this model fit in the machine's memory, and what has to be done for that, or
    what is lacking.
    """
    try:
        for bits, how in (
            (None, "Fits"),
            (8, "Fits with weights of 8 bits"),
            (4, "Fits with weights of 4 bits"),
        ):
            planned = plan(card, quantize=bits, machine=machine)
            if planned.fits:
                return (
                    True,
                    f"{how}: its usual clip takes about {planned.peak_bytes / GIB:.1f} of {machine.usable / GIB:.1f} GiB.",
                )
        least = plan(card, frames=1, width=64, height=64, quantize=4, machine=machine)
    except MlxvidError as error:
        return False, shown(error)
    if least.fits:
        return (
            True,
            f"Fits with weights of 4 bits and smaller clips: its usual one takes about {planned.peak_bytes / GIB:.0f} GiB.",
        )
    return (
        False,
        f"Won't fit: it needs {least.peak_bytes / GIB:.0f} GiB at least, and this machine has {machine.usable / GIB:.0f} to give.",
    )


class ModelsModel(QAbstractListModel):
    """The surveyed models as rows; `progress` of a job (an event of the commands', None for none)
    is asked of the jobs.
    """

    def __init__(self, progress: Callable[[str], dict[str, Any] | None]):
        super().__init__()
        self._progress = progress
        self._rows: list[Model] = []

    def set_models(self, models: list[Model]) -> None:
        """Show another survey; the rows that stay keep their places, and with them the selection."""
        if [model.name for model in models] != [model.name for model in self._rows]:
            self.beginResetModel()
            self._rows = models
            self.endResetModel()
        elif models:
            self._rows = models
            self.dataChanged.emit(self.index(0), self.index(len(models) - 1))

    def find(self, name: str) -> Model | None:
        return next((model for model in self._rows if model.name == name), None)

    def index_of(self, name: str) -> QModelIndex:
        row = next((row for row, model in enumerate(self._rows) if model.name == name), -1)
        return self.index(row)

    def touch(self, name: str) -> None:
        """The job of a row has got further."""
        index = self.index_of(name)
        if index.isValid():
            self.dataChanged.emit(index, index)

    @property
    def models(self) -> list[Model]:
        return self._rows

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if not index.isValid():
            return None
        model = self._rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return model.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{model.title}, {model.note}"
        return {MODEL: model, PROGRESS: self._progress(model.name)}.get(role)
