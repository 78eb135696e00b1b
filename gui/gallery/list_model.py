"""The clips of the library as a Qt list model.

One row each, newest first, filtered by words and favourites.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QUrl,
)

from mlxvid.gui.core.clips_table import ClipRow
from mlxvid.gui.core.database import Database
from mlxvid.gui.widgets.elided import DOT

# Rows that come or go one by one; a view lays out all of its tiles after each.
FEW = 8

Index = QModelIndex | QPersistentModelIndex


class GalleryModel(QAbstractListModel):
    """Follows the database, and reads of it only what has changed.

    Rows that stay keep their places, and so the selection; where many come or go the model is
    reset, and the view keeps the selection.
    """

    ROW = Qt.ItemDataRole.UserRole
    """The role of a ClipRow."""

    def __init__(self, database: Database, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._rows: list[ClipRow] = []  # those shown
        self._search: list[str] = []
        self._favourites = False
        self._read_all()
        database.clips_changed.connect(self._follow)

    @property
    def filtered(self) -> bool:
        """Whether a filter is set, which may leave out clips."""
        return bool(self._search) or self._favourites

    def set_filter(self, search: str, favourites: bool) -> None:
        """Show clips whose tiles have every word of `search`, or only favourites of these."""
        self._search = search.casefold().split()
        self._favourites = favourites
        self._show_matching()

    def _read_all(self) -> None:
        self._all = self._database.clips()
        self._words = {row.id: _words(row) for row in self._all}
        self._show_matching()

    def _follow(self, ids: list[int]) -> None:
        """Read what has changed."""
        if len(ids) > FEW:
            self._read_all()
            return
        for number in ids:
            self._all = [row for row in self._all if row.id != number]
            row = self._database.clip(number)
            self._words.pop(number, None)
            if row is not None:
                bisect.insort(self._all, row, key=_order)
                self._words[number] = _words(row)
        self._show_matching()

    def _show_matching(self) -> None:
        matching = [row for row in self._all if self._matches(row)] if self.filtered else self._all
        self._show(list(matching))

    def _matches(self, row: ClipRow) -> bool:
        if self._favourites and not row.favourite:
            return False
        words = self._words[row.id]
        return all(word in words for word in self._search)

    def _show(self, rows: list[ClipRow]) -> None:
        """Show these rows, which have the order of those that are shown."""
        wanted = {row.id for row in rows}
        present = {row.id for row in self._rows}
        if len(wanted ^ present) > FEW:
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
        if role == Qt.ItemDataRole.DisplayRole:
            return title(row)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{title(row)}\n{summary(row)}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            suffix = ", favourite" if row.favourite else ""
            return f"{title(row)}, {summary(row)}{suffix}"
        return None

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


def _order(row: ClipRow) -> tuple[float, int]:
    return -row.created, -row.id


def _words(row: ClipRow) -> str:
    """What a search finds of a clip: what its tile shows."""
    return f"{title(row)} {summary(row)}".casefold()


def title(row: ClipRow) -> str:
    """The prompt on one line; the file's name for a clip without one."""
    return " ".join(row.prompt.split()) or row.path.name


def summary(row: ClipRow) -> str:
    """Seed, size and model, for a line under the title.

    What tells variations apart comes before what they share.
    """
    parts = []
    if "seed" in row.settings:
        parts.append(f"seed {row.settings['seed']}")
    parts.append(f"{row.width}×{row.height}")
    parts.append(row.model.rstrip("/").rsplit("/", 1)[-1])
    return DOT.join(part for part in parts if part)


def length_text(row: ClipRow) -> str:
    """The clip's length: 3.4 s, or 1:15 from a minute on."""
    seconds = row.frames / row.fps
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
