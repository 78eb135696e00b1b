"""The choice of a model, each with its download size or why it can't run here."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QWidget,
)

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.choices import NOTE, Choice, Choices
from mlxvid.gui.core.messages import shown
from mlxvid.gui.widgets.fields import choice as choice_field
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import colours, small_font
from mlxvid.model.settings import SETTINGS

_MARGIN = 6


class ModelPicker(QWidget):
    """A list of models with a line under each name.

    changed: another is chosen, or the chosen one was downloaded. message: why a folder can't be
    added.
    """

    changed = Signal(object)
    message = Signal(str)

    def __init__(self, choices: Choices):
        super().__init__()
        self._choices = choices
        self._name = ""
        self._field: QComboBox = choice_field(SETTINGS["model"].label, [])
        self._field.setObjectName("model")
        self._field.setModel(choices)
        self._field.setItemDelegate(_Delegate(self._field))
        self._field.setMaxVisibleItems(8)
        self._field.activated.connect(lambda row: self._take(choices.at(row)))
        add = QToolButton()
        add.setIcon(icon("folder"))
        add.setAccessibleName("Add a model's folder")
        add.setToolTip("For a model that is in none of the usual places")
        add.clicked.connect(self._ask_for_folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._field, 1)
        layout.addWidget(add)
        self.setFocusProxy(self._field)
        choices.modelReset.connect(self._restore)
        choices.arrived.connect(self._follow)
        self._restore()

    def value(self) -> Choice:
        """The chosen model."""
        found = self._choices.find(self._name) or self._choices.at(0)
        assert found is not None  # the catalog is never empty
        return found

    def set_name(self, name: str) -> bool:
        """Choose the model of that name.

        Returns False, and nothing changes, where there is none or it can't run here.
        """
        found = self._choices.find(name)
        if found is None or found.obstacle:
            return False
        self._take(found)
        return True

    def _take(self, choice: Choice | None) -> None:
        if choice is not None:
            self._name = choice.name
            self._field.setCurrentIndex(self._choices.row_of(choice.name))
            self._field.setToolTip(f"{choice.card.description}\n{choice.note}")
            self.changed.emit(choice)

    def _restore(self) -> None:
        """Choose the same model again after the list was reset, if it is still there."""
        self._take(self.value())

    def _follow(self, name: str) -> None:
        if name == self._name:
            self.changed.emit(self.value())

    def _ask_for_folder(self) -> None:
        dialog = QFileDialog(self, "Add a Model's Folder")
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda chosen: self.add_folder(Path(chosen)))
        dialog.open()

    def add_folder(self, folder: Path) -> None:
        """Choose the model in a folder; where there is none, emit `message`."""
        try:
            self.set_name(self._choices.add_folder(folder))
        except MlxvidError as error:
            self.message.emit(shown(error))


class _Delegate(QStyledItemDelegate):
    """Two lines: the name, and what matters about it."""

    def sizeHint(
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QSize:
        small = QFontMetrics(small_font(option.font))
        width = small.horizontalAdvance(index.data(NOTE) or "") + 4 * _MARGIN
        return QSize(width, option.fontMetrics.height() + small.height() + 2 * _MARGIN)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        look = colours(option.palette)
        able = bool(index.flags() & Qt.ItemFlag.ItemIsEnabled)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.hover))
            painter.drawRoundedRect(option.rect.adjusted(1, 1, -1, -1), 4, 4)
        area = option.rect.adjusted(_MARGIN + 2, _MARGIN, -_MARGIN, -_MARGIN)
        painter.setFont(option.font)
        painter.setPen(QColor(look.text if able else look.faint))
        painter.drawText(area, Qt.AlignmentFlag.AlignTop, index.data())
        painter.setFont(small_font(option.font))
        painter.setPen(QColor(look.faint if able else look.warning))
        note = painter.fontMetrics().elidedText(
            index.data(NOTE), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, Qt.AlignmentFlag.AlignBottom, note)
        painter.restore()
