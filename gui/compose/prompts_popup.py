"""Saved and earlier prompts, to choose from with the mouse or by searching."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.core.saved_prompts import SavedPrompt, SavedPrompts
from mlxvid.gui.widgets.icons import icon

_WIDTH = 420
_HEIGHT = 380
_ENTRY = Qt.ItemDataRole.UserRole
_IN_LIST = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)


class PromptsPopup(QFrame):
    """A list with a search above, and below it a name to save the present prompt under.

    earlier: gives the prompts used before, the latest first. chosen: a :class:`SavedPrompt`.
    removed: one that was deleted.
    """

    chosen = Signal(object)
    removed = Signal(object)

    def __init__(self, saved: SavedPrompts, earlier: Callable[[], list[str]], parent: QWidget):
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("prompts")
        self.setAccessibleName("Prompts")
        self.setProperty("role", "popup")
        self._saved = saved
        self._earlier = earlier
        self._present = SavedPrompt("")
        self._search = QLineEdit()
        self._search.setObjectName("prompt_search")
        self._search.setPlaceholderText("Search prompts")
        self._search.setAccessibleName("Search prompts")
        self._search.setClearButtonEnabled(True)
        self._search.textChanged.connect(self._fill)
        self._search.returnPressed.connect(self._take_current)
        self._search.installEventFilter(self)
        self.list = QListWidget()
        self.list.setObjectName("prompt_list")
        self.list.setAccessibleName("Saved and earlier prompts")
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._offer)
        self.list.itemClicked.connect(self._take)
        self.list.itemActivated.connect(self._take)
        self.list.installEventFilter(self)
        self._name = QLineEdit()
        self._name.setObjectName("prompt_name")
        self._name.setPlaceholderText("Name for this prompt")
        self._name.setAccessibleName("Name for this prompt")
        self._name.textChanged.connect(self._follow_name)
        self._name.returnPressed.connect(self._save)
        self._button = QPushButton("Save")
        self._button.setObjectName("save_prompt")
        self._button.setToolTip("Keep the prompt and the negative prompt under this name")
        self._button.clicked.connect(self._save)
        below = QHBoxLayout()
        below.addWidget(self._name, 1)
        below.addWidget(self._button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(10, 10, 10, 10)
        layout.addWidget(self._search)
        layout.addWidget(self.list, 1)
        layout.addLayout(below)
        self.resize(_WIDTH, _HEIGHT)

    def show_at(self, place: QPoint, present: SavedPrompt) -> None:
        """Open below a place on the screen. present: what is in the fields, to be saved."""
        self._present = present
        self._search.clear()
        self._name.clear()
        self._name.setEnabled(bool(present.prompt))
        self._follow_name()
        self._fill()
        screen = self.screen().availableGeometry()
        place.setY(min(place.y(), screen.bottom() - self.height()))
        self.move(place)
        self.show()
        self._search.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The arrow keys go through the list while one types, and Delete removes from it."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if watched is self._search and event.key() in _IN_LIST:
                self.list.event(event)
                return True
            if watched is self.list and event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
                self._remove(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)

    def _fill(self) -> None:
        sought = self._search.text().casefold().split()
        earlier = [SavedPrompt(prompt) for prompt in self._earlier()]
        self.list.clear()
        for entry in (*self._saved.all(), *earlier):
            text = f"{entry.name} {entry.prompt}".casefold()
            if all(word in text for word in sought):
                self.list.addItem(_item(entry))
        self.list.setCurrentRow(0)

    def _take_current(self) -> None:
        self._take(self.list.currentItem())

    def _take(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.close()
            self.chosen.emit(item.data(_ENTRY))

    def _follow_name(self) -> None:
        name = self._name.text().strip()
        self._button.setEnabled(bool(name))
        self._button.setText("Replace" if name in self._saved.names() else "Save")

    def _save(self) -> None:
        name = self._name.text().strip()
        if name:
            self._saved.save(self._present._replace(name=name))
            self._name.clear()
            self._search.clear()
            self._fill()

    def _offer(self, place: QPoint) -> None:
        item = self.list.itemAt(place)
        if item is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Use", lambda: self._take(item))
        menu.addAction("Delete", lambda: self._remove(item))
        menu.popup(self.list.viewport().mapToGlobal(place))

    def _remove(self, item: QListWidgetItem | None) -> None:
        """Delete a prompt, and go to the next."""
        if item is None:
            return
        place = self.list.row(item)
        entry = item.data(_ENTRY)
        if entry.name:
            self._saved.remove(entry.name)
        self.removed.emit(entry)
        self._fill()
        self.list.setCurrentRow(min(place, self.list.count() - 1))


def _item(entry: SavedPrompt) -> QListWidgetItem:
    line = " ".join(entry.prompt.split())
    item = QListWidgetItem(f"{entry.name}: {line}" if entry.name else line)
    item.setIcon(icon("star" if entry.name else "history"))
    item.setToolTip(entry.prompt)
    item.setData(_ENTRY, entry)
    return item
