"""The models that one can use here, as a Qt list model: all, or those of one use."""

from __future__ import annotations

from enum import Enum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from .survey import ModelRow, Use

ROW = Qt.ItemDataRole.UserRole
"""The role of a ModelRow."""


class Shown(Enum):
    """Which models are listed."""

    ALL = "All Models"
    HERE = "On This Computer"
    TEXT = "From Text"
    PICTURE = "From a Picture"
    CLIP = "From a Clip"

    def has(self, row: ModelRow) -> bool:
        """Whether a model is one of them."""
        if self is Shown.ALL:
            return True
        if self is Shown.HERE:
            return row.disk_bytes > 0
        return Use[self.name] in row.uses


class ModelList(QAbstractListModel):
    """The models as rows, those of the chosen use.

    renamed: the user gave one of their own models, by its name, another title.
    """

    renamed = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._all: list[ModelRow] = []
        self._rows: list[ModelRow] = []
        self._shown = Shown.ALL

    def set_rows(self, rows: list[ModelRow]) -> None:
        """Show another survey; if the models are the same, the selection is kept."""
        self._all = rows
        self._update()

    def set_shown(self, shown: Shown) -> None:
        """Show other ones of them."""
        self._shown = shown
        self._update()

    def _update(self) -> None:
        rows = [row for row in self._all if self._shown.has(row)]
        if [row.name for row in rows] != [row.name for row in self._rows]:
            self.beginResetModel()
            self._rows = rows
            self.endResetModel()
        elif rows:
            self._rows = rows
            self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))

    def find(self, name: str) -> ModelRow | None:
        """The row of a model, listed now or not."""
        return next((row for row in self._all if row.name == name), None)

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
        """All rows, listed now or not, in order."""
        return self._all

    # --- Qt's interface ---------------------------------------------------------------------------

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._rows)

    def flags(self, index: QModelIndex | QPersistentModelIndex) -> Qt.ItemFlag:
        flags = super().flags(index)
        own = index.isValid() and self._rows[index.row()].folder is not None
        return flags | Qt.ItemFlag.ItemIsEditable if own else flags

    def setData(
        self,
        index: QModelIndex | QPersistentModelIndex,
        value: Any,
        role: int = Qt.ItemDataRole.EditRole,
    ) -> bool:
        title = str(value).strip()
        row = self._rows[index.row()]
        if not title or title == row.title:
            return False
        self.renamed.emit(row.name, title)
        return True

    def data(
        self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if not index.isValid():
            return None
        row = self._rows[index.row()]
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return row.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            parts = [row.title, row.facts, row.note]
            return ", ".join([*parts, "recommended"] if row.recommended else parts)
        return None
