"""The survey of models: the catalog's, those in the hub's cache, and the user's own folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from mlxvid import hub
from mlxvid.catalog import CATALOG, kind_of
from mlxvid.errors import MlxvidError
from mlxvid.gui.core.disks import Disks
from mlxvid.gui.core.fits import Fit, fit_of, recommended
from mlxvid.gui.core.own_models import Import, Known, OwnModel
from mlxvid.gui.core.variants import Variant, variants_of
from mlxvid.model.card import Card
from mlxvid.model.machine import Machine
from mlxvid.models import card_of

FROM_HUB = "From the hub; not in mlxvid's catalog."
# What a model can start from besides a prompt.
_PICTURES = {"image": "a first picture", "last_image": "a last picture"}


class Presence(Enum):
    """How much of a model is on this disk."""

    PACKAGED = "comes with mlxvid"
    COMPLETE = "on this disk"
    PARTIAL = "partly downloaded"
    ABSENT = "not downloaded"
    BEGUN = "not imported yet"


class Use(Enum):
    """What clips are made from."""

    TEXT = "Text"
    PICTURE = "Picture"
    CLIP = "Clip"


@dataclass(frozen=True)
class ModelRow:
    """What the list says of one model.

    name: finds it, for mlxvid.load too. total_bytes: of the complete model, 0 if unknown.
    disk_bytes: on this disk now. card: None of one that isn't here and not in the catalog. repo,
    revision: on the hub. folder: of one of the user's own models; made: mlxvid wrote that. kind:
    the release that it is like. variants: the ways to have it. begun: the import that makes it.
    """

    name: str
    title: str
    presence: Presence
    total_bytes: int = 0
    disk_bytes: int = 0
    card: Card | None = None
    description: str = ""
    repo: str | None = None
    revision: str | None = None
    folder: Path | None = None
    made: bool = False
    kind: str = ""
    fit: Fit | None = None
    recommended: bool = False
    variants: tuple[Variant, ...] = ()
    begun: Import | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it is on this disk."""
        return self.presence in (Presence.PACKAGED, Presence.COMPLETE)

    @property
    def fits(self) -> bool:
        """Whether some clip of it fits in this machine's memory."""
        return self.fit is None or self.fit.any

    @property
    def usable(self) -> bool:
        """Whether it can make clips on this machine."""
        return self.complete and self.fits and not self.in_files

    @property
    def in_files(self) -> bool:
        """Whether it is released as files of which a model has to be made first."""
        return self.folder is None and self.card is not None and self.card.is_in_files

    @property
    def makes(self) -> str:
        """Its usual clip, and what it can start from besides a prompt."""
        return usual_clip(self.card) if self.card is not None else ""

    @property
    def licence(self) -> str:
        return self.card.licence if self.card is not None else ""

    @property
    def uses(self) -> frozenset[Use]:
        """What it makes clips from."""
        if self.card is None:
            return frozenset()
        takes = self.card.takes
        uses = set() if self.card.needs else {Use.TEXT}
        if takes & {"image", "last_image"}:
            uses.add(Use.PICTURE)
        if takes & {"video", "extend"}:
            uses.add(Use.CLIP)
        return frozenset(uses)

    @property
    def size(self) -> str:
        """Its size on the disk, or of the download."""
        if self.presence is Presence.PARTIAL and self.total_bytes:
            return f"{size_text(self.disk_bytes)} of {size_text(self.total_bytes)}"
        size = self.disk_bytes or self.total_bytes
        return size_text(size) if size else ""

    @property
    def facts(self) -> str:
        """The line under its title: what it makes clips from, and its size."""
        uses = ", ".join(use.value.lower() for use in Use if use in self.uses)
        parts = [f"From {uses}" if uses else self.presence.value.capitalize(), self.size]
        return " · ".join(part for part in parts if part)

    @property
    def note(self) -> str:
        """The line below: how it fits, and its licence in a word."""
        licence = self.licence.partition(" (")[0].removesuffix(".txt")
        parts = [self.fit.word if self.fit else "", licence, "Yours" if self.folder else ""]
        return " · ".join(part for part in parts if part)


def size_text(size: int) -> str:
    """Bytes in MB or GB, the decimal units in which disks and the hub count."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    if size >= 1e7:
        return f"{size / 1e6:.0f} MB"
    return f"{max(size / 1e6, 0.1):.1f} MB"


@dataclass(frozen=True)
class Survey:
    """The models, the best first, and the room that is left for more."""

    rows: list[ModelRow]
    disks: Disks


def survey(known: Known, machine: Machine) -> Survey:
    """Find the models of the catalog, of the hub's cache and the user's own.

    The recommended one comes first, then those that fit as they are, then those that fit with
    smaller weights or clips, at last those that don't. It reads the disk, so it is not for the
    GUI's thread.
    """
    disks = Disks.at(hub.hub_cache_folder(), known.place)
    rows = [_catalog_row(card, machine) for card in CATALOG.values()]
    listed = {place.repository for card in CATALOG.values() for place in card.places}
    for repo in hub.repositories():
        row = None if repo in listed else _cached_row(repo, machine)
        if row is not None:
            rows.append(row)
    listed = {row.name for row in rows}
    for own in known.models:
        row = None if str(own.folder) in listed else _own_row(own, machine)
        if row is not None:
            rows.append(row)
    rows = [replace(row, variants=_variants(row, disks, machine)) for row in rows]
    rows += [begun_row(Path(folder), begun) for folder, begun in known.begun.items()]
    best = recommended(CATALOG.values(), machine)
    if best is not None:
        rows = [replace(row, recommended=row.name == best.name) for row in rows]
    return Survey(in_order(rows), disks)


def in_order(rows: Sequence[ModelRow]) -> list[ModelRow]:
    """The rows, the best first; of equals those that are here, else as they come.

    What is being imported stands on top, where it is seen.
    """
    return sorted(rows, key=_rank)


def _rank(row: ModelRow) -> tuple[bool, bool, int, bool]:
    fit = row.fit.rank if row.fit else 0
    return row.begun is None, not row.recommended, fit, not row.disk_bytes


def begun_row(folder: Path, begun: Import) -> ModelRow:
    """A model whose import was begun."""
    unfinished = work_folder(folder)
    return ModelRow(
        str(folder),
        begun.title,
        Presence.BEGUN,
        disk_bytes=_size(unfinished),
        description=f"From {begun.arguments[0]}.",
        folder=folder,
        made=True,
        begun=begun,
    )


def work_folder(folder: Path) -> Path:
    """Where a conversion into `folder` keeps what it has finished."""
    return folder.with_name(f".converting-{folder.name}")


def _variants(row: ModelRow, disks: Disks, machine: Machine) -> tuple[Variant, ...]:
    """The ways to have a model of the catalog, or one that is complete."""
    if row.card is None or row.presence is Presence.PACKAGED:
        return ()
    if row.repo is not None and row.presence is Presence.PARTIAL and not row.card.places:
        return ()
    missing = 0 if row.complete else max(0, row.total_bytes - row.disk_bytes)
    try:
        return variants_of(row.card, missing, disks, machine)
    except MlxvidError:  # whose weights can't be read, which loading says
        return ()


def _catalog_row(card: Card, machine: Machine) -> ModelRow:
    row = ModelRow(
        card.name,
        card.title,
        Presence.PACKAGED,
        total_bytes=card.download_bytes,
        card=card,
        description=card.description,
        repo=card.repository,
        revision=card.revision,
        fit=fit_of(card, machine),
    )
    if not card.places:
        return replace(row, disk_bytes=_size(card.folder)) if card.folder else row
    disk_bytes = sum(hub.size_on_disk(place.repository) for place in card.places)
    cached = [hub.cached_revision(place.repository, place.revision) for place in card.places]
    complete = [found for found in cached if found is not None and not found.missing]
    if len(complete) == len(card.places) and not card.is_in_files:
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
        return ModelRow(
            str(snapshot.folder),
            repo,
            Presence.PARTIAL if snapshot.missing else Presence.COMPLETE,
            total_bytes=snapshot.size,
            disk_bytes=hub.size_on_disk(repo),
            card=card,
            description=FROM_HUB,
            repo=repo,
            revision=snapshot.folder.name,
            kind=kind_of(card),
            fit=None if snapshot.missing else fit_of(card, machine),
        )
    return None


def _own_row(own: OwnModel, machine: Machine) -> ModelRow | None:
    """A model in a folder; None if there is none that mlxvid can run."""
    folder = own.folder
    try:
        card = card_of(folder)
    except MlxvidError:
        return None
    size = _size(folder)
    return ModelRow(
        str(folder),
        own.title,
        Presence.COMPLETE,
        total_bytes=size,
        disk_bytes=size,
        card=card,
        description="Imported." if own.made else "A folder of yours.",
        folder=folder,
        made=own.made,
        kind=kind_of(card),
        fit=fit_of(card, machine),
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
