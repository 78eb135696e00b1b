"""The clips of the library as a Qt list model.

One row each, newest first, filtered by words and favourites.
"""

from __future__ import annotations

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

from mlxvid.gui.core.database import ClipRow, Database
from mlxvid.gui.widgets.elided import DOT

Index = QModelIndex | QPersistentModelIndex


class GalleryModel(QAbstractListModel):
    """Follows the database; rows that stay keep their places, and so the selection."""

    ROW = Qt.ItemDataRole.UserRole
    """The role of a ClipRow."""

    def __init__(self, database: Database, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._rows: list[ClipRow] = []
        self._search = ""
        self._favourites = False
        database.clips_changed.connect(self.refresh)
        self.refresh()

    @property
    def filtered(self) -> bool:
        """Whether a filter is set, which may leave out clips."""
        return bool(self._search.split()) or self._favourites

    def set_filter(self, search: str, favourites: bool) -> None:
        """Show clips whose prompts have every word of `search`, or only favourites of these."""
        self._search = search
        self._favourites = favourites
        self.refresh()

    def refresh(self) -> None:
        """Read the database again.

        Both lists have the same order, so rows are only ever inserted or removed.
        """
        rows = self._database.clips(self._search, self._favourites)
        wanted = {row.id for row in rows}
        for position in reversed(range(len(self._rows))):
            if self._rows[position].id not in wanted:
                self.beginRemoveRows(QModelIndex(), position, position)
                del self._rows[position]
                self.endRemoveRows()
        for position, row in enumerate(rows):
            if position == len(self._rows) or self._rows[position].id != row.id:
                self.beginInsertRows(QModelIndex(), position, position)
                self._rows.insert(position, row)
                self.endInsertRows()
            elif self._rows[position] != row:
                self._rows[position] = row
                self.dataChanged.emit(self.index(position), self.index(position))

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
