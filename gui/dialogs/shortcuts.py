"""Help > Keyboard Shortcuts: a sheet made from the menus, so that it has what they have."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QMenuBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.widgets.theme import set_role

COLUMNS = 3

Section = tuple[str, list[tuple[str, str]]]
"""A menu's title, and what its entries say and their keys."""


def sections_of(bar: QMenuBar) -> list[Section]:
    """What the menus have keys for, menu by menu."""
    found = []
    for action in bar.actions():
        menu = action.menu()
        if isinstance(menu, QMenu):
            rows = [(_plain(entry.text()), _keys(entry)) for entry in _entries(menu)]
            rows = [(text, keys) for text, keys in rows if keys]
            if rows:
                found.append((_plain(action.text()), rows))
    return found


def _entries(menu: QMenu) -> Iterator[QAction]:
    for action in menu.actions():
        inner = action.menu()
        if isinstance(inner, QMenu):
            yield from _entries(inner)
        else:
            yield action


def _plain(text: str) -> str:
    return text.replace("&", "").removesuffix("…")


def _keys(action: QAction) -> str:
    """The first of an entry's shortcuts, as the system writes it."""
    return action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)


class ShortcutsDialog(QDialog):
    """Columns of menus, read anew whenever it is shown."""

    def __init__(self, bar: QMenuBar, parent: QWidget | None = None):
        super().__init__(parent)
        self._bar = bar
        self.setWindowTitle("Keyboard Shortcuts")
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._area)

    def refresh(self) -> None:
        """Show what the menus have now."""
        sheet = QWidget()
        columns = QHBoxLayout(sheet)
        columns.setContentsMargins(20, 16, 20, 20)
        columns.setSpacing(40)
        for sections in in_columns(sections_of(self._bar), COLUMNS):
            column = QVBoxLayout()
            column.setSpacing(16)
            for section in sections:
                column.addLayout(_grid(*section))
            column.addStretch(1)
            columns.addLayout(column)
        self._area.setWidget(sheet)
        wanted = sheet.sizeHint()
        room = self.screen().availableSize() * 0.85
        edge = self._area.verticalScrollBar().sizeHint().width()
        self.resize(min(wanted.width() + edge, room.width()), min(wanted.height(), room.height()))


def in_columns(sections: list[Section], count: int) -> list[list[Section]]:
    """The sections in so many columns, in their order, all about as high."""

    def height(part: list[Section]) -> int:
        return sum(len(rows) + 2 for _, rows in part)

    def parted(cuts: tuple[int, ...]) -> list[list[Section]]:
        ends = (*cuts, len(sections))
        return [sections[begin:end] for begin, end in zip((0, *cuts), ends, strict=True)]

    ways = combinations_with_replacement(range(len(sections) + 1), count - 1)
    return min(map(parted, ways), key=lambda columns: sum(height(part) ** 2 for part in columns))


def _grid(title: str, rows: list[tuple[str, str]]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(24)
    grid.setVerticalSpacing(5)
    grid.setColumnStretch(0, 1)
    heading = QLabel(title)
    set_role(heading, "heading")
    grid.addWidget(heading, 0, 0, 1, 2)
    for place, (text, keys) in enumerate(rows, 1):
        written = QLabel(keys)
        set_role(written, "faint")
        written.setAccessibleName(f"{text}: {keys}")
        grid.addWidget(QLabel(text), place, 0)
        grid.addWidget(written, place, 1, Qt.AlignmentFlag.AlignRight)
    return grid
