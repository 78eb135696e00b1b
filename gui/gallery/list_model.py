"""The clips of the library as a Qt list model: one row for each clip that is shown."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QDateTime,
    QLocale,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QUrl,
)

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database

from .arrangement import (
    Arrangement,
    Marks,
    Stack,
    day_text,
    key_of,
    matching,
    stacked,
    summary,
    title,
)

# Rows that come or go one by one; a view lays out all of its tiles after each.
FEW = 8
# Changed clips that are read one by one; of more, all are read at once.
MOST_SINGLE = 100

Index = QModelIndex | QPersistentModelIndex


class GalleryModel(QAbstractListModel):
    """Follows the database, and reads of it only what has changed.

    Rows that stay keep their places, and so the selection; where many come or go the model is
    reset, and the view keeps the selection.
    """

    ROW = Qt.ItemDataRole.UserRole
    """The role of a ClipRow."""
    MARKS = Qt.ItemDataRole.UserRole + 1
    """The role of a clip's Marks."""

    def __init__(self, database: Database, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._rows: list[ClipRow] = []  # those shown
        self._stacks: dict[int, Stack] = {}
        self._opened: set[str] = set()
        self._viewed: ClipRow | None = None
        self.arrangement = Arrangement()
        self._read_all()
        database.clips_changed.connect(self._follow)

    @property
    def filtered(self) -> bool:
        """Whether a filter is set, which may leave out clips."""
        return self.arrangement.filters

    @property
    def models(self) -> list[str]:
        """The models of all clips."""
        return sorted({row.model for row in self._all if row.model})

    @property
    def count(self) -> int:
        """How many clips are shown, with those that stand behind others."""
        hidden = [stack.count - 1 for stack in self._stacks.values() if not stack.opened]
        return len(self._rows) + sum(hidden)

    def arrange(self, **changes: Any) -> None:
        """Show clips as the changed fields of the arrangement say."""
        before = self.arrangement
        self.arrangement = replace(before, **changes)
        if self.arrangement.order is not before.order:
            self._all.sort(key=key_of(self.arrangement.order))
        if self.arrangement != before:
            self._show_matching()

    def set_search(self, text: str) -> None:
        """Show clips whose tiles have every word of it."""
        self.arrange(search=tuple(text.casefold().split()))

    def toggle_stack(self, index: QModelIndex) -> None:
        """Show the takes that a tile stands for, or hide them again."""
        if index.data(self.MARKS).stack is not None:
            self._opened ^= {index.data(self.ROW).group}
            self._show_matching()

    def with_hidden(self, rows: list[ClipRow]) -> list[ClipRow]:
        """Clips that are shown, with the takes that their tiles stand for."""
        numbers = {row.id for row in rows}
        closed = {number for number, stack in self._stacks.items() if not stack.opened}
        groups = {row.group for row in rows if row.id in closed}
        found = matching(self._all, self._words, self.arrangement)
        return [row for row in found if row.id in numbers or row.group in groups]

    def set_in_view(self, path: Path | None) -> None:
        """Mark the clip that is on the stage; None for none of the library's."""
        before = self._viewed
        self._viewed = next((row for row in self._all if row.path == path), None)
        for place, row in enumerate(self._rows):
            if self._is_viewed(row) or _stands_for(row, before, self._stacks):
                self.dataChanged.emit(self.index(place), self.index(place))

    def has_in_view(self, rows: list[ClipRow]) -> bool:
        """Whether the clip on the stage is one of these."""
        return self._viewed is not None and self._viewed.id in [row.id for row in rows]

    def _is_viewed(self, row: ClipRow) -> bool:
        return _stands_for(row, self._viewed, self._stacks)

    def _read_all(self) -> None:
        self._all = sorted(self._database.clips(), key=key_of(self.arrangement.order))
        self._words = {row.id: _words(row) for row in self._all}
        self._show_matching()

    def _follow(self, ids: list[int]) -> None:
        """Read what has changed."""
        if len(ids) > MOST_SINGLE:
            self._read_all()
            return
        changed = set(ids)
        self._all = [row for row in self._all if row.id not in changed]
        for number in changed:
            row = self._database.clip(number)
            self._words.pop(number, None)
            if row is not None:
                bisect.insort(self._all, row, key=key_of(self.arrangement.order))
                self._words[number] = _words(row)
        self._show_matching()

    def _show_matching(self) -> None:
        rows = matching(self._all, self._words, self.arrangement)
        before = self._stacks
        self._stacks = {}
        if self.arrangement.stacked:
            rows, self._stacks = stacked(rows, self._opened)
        self._show(rows)
        for number in {number for number, _ in before.items() ^ self._stacks.items()}:
            index = self.index_of(number)
            if index.isValid():
                self.dataChanged.emit(index, index)

    def _show(self, rows: list[ClipRow]) -> None:
        """Show these rows."""
        old = [row.id for row in self._rows]
        new = [row.id for row in rows]
        wanted = set(new)
        present = set(old)
        few = len(wanted ^ present) <= FEW
        if not few or _without(new, wanted - present) != _without(old, present - wanted):
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
            return
        gone = [place for place, row in enumerate(self._rows) if row.id not in wanted]
        for place in reversed(gone):
            self.beginRemoveRows(QModelIndex(), place, place)
            del self._rows[place]
            self.endRemoveRows()
        for place, row in enumerate(rows):
            if row.id not in present:
                self.beginInsertRows(QModelIndex(), place, place)
                self._rows.insert(place, row)
                self.endInsertRows()
            elif self._rows[place] is not row:
                self._rows[place] = row
                self.dataChanged.emit(self.index(place), self.index(place))

    def index_of(self, number: int) -> QModelIndex:
        """The index of a clip's id; an invalid one if the clip isn't shown."""
        for position, row in enumerate(self._rows):
            if row.id == number:
                return self.index(position)
        return QModelIndex()

    # --- what Qt asks for -------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == self.ROW:
            return row
        if role == self.MARKS:
            return Marks(self._stacks.get(row.id), self._day(index.row()), self._is_viewed(row))
        if role == Qt.ItemDataRole.DisplayRole:
            return title(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{title(row)}\n{summary(row)}\n{_moment(row)}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            suffix = ", favourite" if row.favourite else ""
            stack = self._stacks.get(row.id)
            takes = f", {stack.count} takes" if stack else ""
            viewed = ", in view" if self._is_viewed(row) else ""
            return f"{title(row)}, {summary(row)}{suffix}{takes}{viewed}"
        return None

    def _day(self, place: int) -> str:
        """The day of a row, "" where it is that of the row before."""
        if not self.arrangement.order.dated:
            return ""
        row = self._rows[place]
        day = date.fromtimestamp(row.created)
        if place and date.fromtimestamp(self._rows[place - 1].created) == day:
            return ""
        return day_text(row, date.today())

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.isValid():
            flags |= Qt.ItemFlag.ItemIsDragEnabled
        return flags

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """The files, for dropping them into a folder, another program, or this window."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(index.data(self.ROW).path)) for index in indexes])
        return data


def _without(numbers: list[int], few: set[int]) -> list[int]:
    left = list(numbers)
    for number in few:
        left.remove(number)
    return left


def _words(row: ClipRow) -> str:
    """What a search finds of a clip: what its tile shows."""
    day = day_text(row, date.today())
    return f"{title(row)} {summary(row)} {day}".casefold()


def _stands_for(row: ClipRow, other: ClipRow | None, stacks: dict[int, Stack]) -> bool:
    """Whether a row's tile is that of another clip, or of the closed stack that has it."""
    if other is None:
        return False
    stack = stacks.get(row.id)
    hides = stack is not None and not stack.opened and row.group == other.group
    return row.id == other.id or hides


def _moment(row: ClipRow) -> str:
    """When a clip was made, in the user's own way to write it."""
    moment = QDateTime.fromSecsSinceEpoch(int(row.created))
    return QLocale().toString(moment, QLocale.FormatType.ShortFormat)
