"""Fields of a form.

They have names for screen readers and labels above, and ignore a wheel that scrolls past.
"""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QVBoxLayout,
    QWidget,
)

from .icons import icon
from .theme import faint_label

Field = TypeVar("Field", bound=QWidget)
SpinBox = TypeVar("SpinBox", bound=QAbstractSpinBox)

# What a field shows that leaves the choice to the model.
OWN = "Model default"
# Pixels above and below the text of a field, together, and beside that of a choice: its arrow's.
_AROUND = 12
_BESIDE = 50


class _WheelGuard(QObject):
    """Lets the wheel change a field only while it has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_wheel = event.type() == QEvent.Type.Wheel
        if is_wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class _Choice(QComboBox):
    """A combo box with the app's own arrow: a style sheet can only take one from a file."""

    def minimumSizeHint(self) -> QSize:
        """The size of the longest option and the arrow.

        Long options, such as names, get room for a dozen letters, and for what stands for the
        model's own.
        """
        metrics = self.fontMetrics()
        widths = [metrics.horizontalAdvance(self.itemText(row)) for row in range(self.count())]
        most = max(12 * metrics.averageCharWidth() + _AROUND, metrics.horizontalAdvance(OWN))
        text = min(max(widths, default=0), most)
        return QSize(text + _BESIDE, field_height(self))

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        side = self.fontMetrics().height()
        place = QRect(self.width() - side - 6, (self.height() - side) // 2, side, side)
        icon("down").paint(QPainter(self), place)


class _Check(QCheckBox):
    """A check box with the app's own tick, for the same reason."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self.isChecked():
            option = QStyleOptionButton()
            self.initStyleOption(option)
            indicator = QStyle.SubElement.SE_CheckBoxIndicator
            place = self.style().subElementRect(indicator, option, self)
            icon("check", QPalette.ColorRole.HighlightedText).paint(QPainter(self), place)


class _Decimal(QDoubleSpinBox):
    """A number without trailing zeros."""

    def textFromValue(self, value: float) -> str:
        text = super().textFromValue(value)
        point = self.locale().decimalPoint()
        return text.rstrip("0").removesuffix(point) if point in text else text


def guarded(field: Field) -> Field:
    """Make a field ignore the wheel unless it is in use, and fill the width."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_WheelGuard(field))
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    field.setFixedHeight(field_height(field))
    return field


def field_height(widget: QWidget) -> int:
    """The height of all fields, so that they line up."""
    return widget.fontMetrics().height() + _AROUND


def whole(name: str, low: int, high: int, hint: str = "") -> QSpinBox:
    """A field for a whole number; it reports when typing is done, not at every digit."""
    field = QSpinBox()
    field.setRange(low, high)
    return _number(field, name, hint)


def decimal(
    name: str, low: float, high: float, places: int, step: float, hint: str = ""
) -> QDoubleSpinBox:
    """A field for a number with `places` decimals."""
    field = _Decimal()
    field.setDecimals(places)
    field.setRange(low, high)
    field.setSingleStep(step)
    return _number(field, name, hint)


def _number(field: SpinBox, name: str, hint: str) -> SpinBox:
    field.setKeyboardTracking(False)
    field.setAccessibleName(name)
    field.setToolTip(hint)
    field.lineEdit().setTextMargins(4, 0, 4, 0)
    return guarded(field)


def choice(name: str, options: list[tuple[str, object]], hint: str = "") -> QComboBox:
    """A field with a choice among pairs of text and value."""
    field = _Choice()
    for text, value in options:
        field.addItem(text, value)
    field.setAccessibleName(name)
    field.setToolTip(hint)
    field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return guarded(field)


def check(text: str, hint: str = "") -> QCheckBox:
    """A check box with its text beside it."""
    box = _Check(text)
    box.setToolTip(hint)
    return box


def pick(field: QComboBox, value: object) -> None:
    """Choose the option of that value, if there is one."""
    for row in range(field.count()):
        if field.itemData(row) == value:
            field.setCurrentIndex(row)
            return


def labelled(text: str, field: QWidget, *beside: QWidget) -> QWidget:
    """A field with its label above, and other things at the end of the label's line."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    label = faint_label(text)
    label.setBuddy(field)
    top = QHBoxLayout()
    top.setSpacing(2)
    top.addWidget(label, 1)
    for thing in beside:
        top.addWidget(thing)
    layout.addLayout(top)
    layout.addWidget(field)
    return box


def with_button(field: QWidget, button: QWidget) -> QWidget:
    """A field and the button that belongs to it, in a row."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    layout.addWidget(field, 1)
    layout.addWidget(button)
    for widget in (field, button):
        widget.setFixedHeight(field_height(widget))
    return row


def line() -> QFrame:
    """A thin line between two parts."""
    frame = QFrame()
    frame.setProperty("role", "line")
    frame.setFixedHeight(1)
    return frame


def two_columns(owner: QWidget) -> QGridLayout:
    """A grid of two columns of the same width, in which a choice is not cut off."""
    grid = QGridLayout(owner)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(8)
    least = owner.fontMetrics().horizontalAdvance(OWN) + _BESIDE
    for column in range(2):
        grid.setColumnStretch(column, 1)
        grid.setColumnMinimumWidth(column, least)
    return grid
