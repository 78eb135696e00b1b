"""Which clips the gallery shows, in what order, and which takes stand for others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from typing import Any

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.widgets.elided import DOT


class Order(str, Enum):
    """The order of the tiles; clips that are equal in it are newest first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    MODEL = "model"
    LENGTH = "length"
    FAVOURITES = "favourites"

    @property
    def dated(self) -> bool:
        """Whether clips of one day are together."""
        return self in (Order.NEWEST, Order.OLDEST)


@dataclass(frozen=True)
class Arrangement:
    """What the user has chosen.

    search: words that a tile must have. model: the only one to show, "" for all. stacked: whether
    the takes of one group stand in one tile.
    """

    search: tuple[str, ...] = ()
    favourites: bool = False
    model: str = ""
    order: Order = Order.NEWEST
    stacked: bool = True

    @property
    def filters(self) -> bool:
        """Whether it may leave out clips."""
        return bool(self.search or self.favourites or self.model)


@dataclass(frozen=True)
class Stack:
    """The takes of which a tile is the first: how many, and whether the others are shown."""

    count: int
    opened: bool


@dataclass(frozen=True)
class Marks:
    """What a tile says besides its clip.

    stack: None for a clip that stands for itself. day: on which clips were made, "" but for the
    first of each day. in_view: whether the clip, or a take that the tile hides, is on the stage.
    """

    stack: Stack | None
    day: str
    in_view: bool


def key_of(order: Order) -> Callable[[ClipRow], Any]:
    """What clips are sorted by."""
    return _KEYS[order]


def matching(
    rows: Iterable[ClipRow], words: dict[int, str], arrangement: Arrangement
) -> list[ClipRow]:
    """The clips that are shown, in the order of `rows`; `words` are what a search finds of each."""
    found = list(rows)
    if arrangement.favourites:
        found = [row for row in found if row.favourite]
    if arrangement.model:
        found = [row for row in found if row.model == arrangement.model]
    for word in arrangement.search:
        found = [row for row in found if word in words[row.id]]
    return found


def stacked(rows: list[ClipRow], opened: Collection[str]) -> tuple[list[ClipRow], dict[int, Stack]]:
    """The clips with the takes of one group behind the first of them, and the stacks by its id.

    Of a group that is not `opened`, the first alone is shown.
    """
    groups = [row.group for row in rows if row.group]
    if not groups:
        return rows, {}
    counts = Counter(groups)
    members: dict[str, list[ClipRow]] = {}
    for row in rows:
        if counts[row.group] > 1:
            members.setdefault(row.group, []).append(row)
    shown = []
    stacks = {}
    for row in rows:
        takes = members.get(row.group)
        if takes is None:
            shown.append(row)
        elif takes[0] is row:
            is_open = row.group in opened
            stacks[row.id] = Stack(len(takes), is_open)
            shown += takes if is_open else takes[:1]
    return shown, stacks


def title(row: ClipRow) -> str:
    """The prompt on one line; the file's name for a clip without one."""
    return " ".join(row.prompt.split()) or row.path.name


def model_name(model: str) -> str:
    """A model's name without the folder that it is in."""
    return model.rstrip("/").rsplit("/", 1)[-1]


def summary(row: ClipRow) -> str:
    """Seed, size and model, for a line under the title.

    What tells variations apart comes before what they share.
    """
    parts = []
    if "seed" in row.settings:
        parts.append(f"seed {row.settings['seed']}")
    parts.append(f"{row.width}×{row.height}")
    parts.append(model_name(row.model))
    return DOT.join(part for part in parts if part)


def length_text(row: ClipRow) -> str:
    """The clip's length: 3.4 s, or 1:15 from a minute on."""
    seconds = row.frames / row.fps
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def day_text(row: ClipRow, today: date) -> str:
    """The day on which a clip was made: Today, Yesterday, 3 May, or 3 May 2024."""
    day = date.fromtimestamp(row.created)
    if day == today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    text = f"{day.day} {day:%b}"
    return text if day.year == today.year else f"{text} {day.year}"


def _by(first: Callable[[ClipRow], Any]) -> Callable[[ClipRow], Any]:
    return lambda row: (first(row), -row.created, -row.id)


_KEYS: dict[Order, Callable[[ClipRow], Any]] = {
    Order.NEWEST: lambda row: (-row.created, -row.id),
    Order.OLDEST: lambda row: (row.created, row.id),
    Order.NAME: _by(lambda row: title(row).casefold()),
    Order.MODEL: _by(lambda row: model_name(row.model).casefold()),
    Order.LENGTH: _by(lambda row: -row.frames / row.fps),
    Order.FAVOURITES: _by(lambda row: not row.favourite),
}
