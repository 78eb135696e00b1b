"""The clips of the library as Qt sees them: one row each, newest first, filtered by words and
favourites.
"""

from __future__ import annotations

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
    """Rows follow the database; the rows that stay keep their places, so that a selection survives."""

    ROW = Qt.ItemDataRole.UserRole
    """The role of a ClipRow."""

    def __init__(self, database: Database, parent: QObject | None = None):
        super().__init__(parent)
        self._database = database
        self._rows: list[ClipRow] = []
        self._search, self._favourites = "", False
        database.clips_changed.connect(self.refresh)
        self.refresh()

    @property
    def filtered(self) -> bool:
        """Whether clips may be left out."""
        return bool(self._search.split()) or self._favourites

    def set_filter(self, search: str, favourites: bool) -> None:
        """Show clips whose prompts have every word of `search`; only favourites if asked for."""
        self._search, self._favourites = search, favourites
        self.refresh()

    def refresh(self) -> None:
        """Take over what has changed. Both lists are in the same order, so that gaps are all there
        is to look for.
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
        """The index of a clip's id; an invalid one where it isn't shown."""
        return next(
            (self.index(position) for position, row in enumerate(self._rows) if row.id == number),
            QModelIndex(),
        )

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
            return f"{title(row)}\n{facts(row)}"
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{title(row)}, {facts(row)}{', favourite' if row.favourite else ''}"
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        usual = super().flags(index)
        return usual | Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else usual

    def mimeData(self, indexes: list[QModelIndex]) -> QMimeData:
        """The files, for dropping them into a folder, another program, or this window."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(index.data(self.ROW).path)) for index in indexes])
        return data


def title(row: ClipRow) -> str:
    """The prompt on one line; the file's name for a clip without one."""
    return " ".join(row.prompt.split()) or row.path.name


def facts(row: ClipRow) -> str:
    """Seed, size and model, for a line under the title: what tells takes apart comes before what
    they share.
    """
    parts = [f"seed {row.settings['seed']}"] if "seed" in row.settings else []
    parts += [f"{row.width}×{row.height}", row.model.rstrip("/").rsplit("/", 1)[-1]]
    return DOT.join(part for part in parts if part)


def duration(row: ClipRow) -> str:
    """0:03, or 3.4 s where it is short."""
    seconds = row.frames / row.fps
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
