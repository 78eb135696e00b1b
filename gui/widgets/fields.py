"""Fields of a form: named for screen readers, with their label above, and deaf to a wheel that only
meant to scroll past.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QSizePolicy,
    QSpinBox,
    QStyle,
    QStyleOptionButton,
    QVBoxLayout,
    QWidget,
)

from .icons import icon
from .theme import faint_label

# What a field shows that leaves the choice to the model.
OWN = "Model's own"
# Pixels above and below the writing in a field, together.
_AROUND = 12


class _WheelGuard(QObject):
    """Lets the wheel change a field only while it has the focus."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            event.type() == QEvent.Type.Wheel
            and isinstance(watched, QWidget)
            and not watched.hasFocus()
        ):
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class _Choice(QComboBox):
    """A combo box with the app's own arrow: style sheets can only take one from a file."""

    def minimumSizeHint(self) -> QSize:
        """Room for the longest option and the arrow; of names that may be of any length, for a
        dozen letters.
        """
        metrics = self.fontMetrics()
        longest = max(
            (metrics.horizontalAdvance(self.itemText(row)) for row in range(self.count())),
            default=0,
        )
        return QSize(
            min(longest, 12 * metrics.averageCharWidth() + _AROUND) + metrics.height() + 20,
            field_height(self),
        )

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
            place = self.style().subElementRect(
                QStyle.SubElement.SE_CheckBoxIndicator, option, self
            )
            icon("check", QPalette.ColorRole.HighlightedText).paint(QPainter(self), place)


class _Decimal(QDoubleSpinBox):
    """A number without zeros that say nothing."""

    def textFromValue(self, value: float) -> str:
        text, point = super().textFromValue(value), self.locale().decimalPoint()
        return text.rstrip("0").removesuffix(point) if point in text else text


def guarded(field: QWidget) -> QWidget:
    """`field`, which the wheel leaves alone unless it is in use, and which takes the width that
    there is.
    """
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_WheelGuard(field))
    field.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    field.setFixedHeight(field_height(field))
    return field


def field_height(widget: QWidget) -> int:
    """As high as all fields are, so that they stand in line."""
    return widget.fontMetrics().height() + _AROUND


def whole(name: str, low: int, high: int, hint: str = "") -> QSpinBox:
    """A field for a whole number; it speaks when one is done typing, not at every digit."""
    field = QSpinBox()
    field.setRange(low, high)
    return _number(field, name, hint)


def decimal(
    name: str, low: float, high: float, places: int, step: float, hint: str = ""
) -> QDoubleSpinBox:
    """A field for a number with so many decimal places."""
    field = _Decimal()
    field.setDecimals(places)
    field.setRange(low, high)
    field.setSingleStep(step)
    return _number(field, name, hint)


def _number(field: QAbstractSpinBox, name: str, hint: str) -> QAbstractSpinBox:
    field.setKeyboardTracking(False)
    field.setAccessibleName(name)
    field.setToolTip(hint)
    field.lineEdit().setTextMargins(4, 0, 4, 0)
    return guarded(field)


def choice(name: str, options: list[tuple[str, object]], hint: str = "") -> QComboBox:
    """A field with a choice among (text, value)."""
    field = _Choice()
    for text, value in options:
        field.addItem(text, value)
    field.setAccessibleName(name)
    field.setToolTip(hint)
    field.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    return guarded(field)


def check(text: str, hint: str = "") -> QCheckBox:
    """A box to tick, with what it says beside it."""
    box = _Check(text)
    box.setToolTip(hint)
    return box


def pick(field: QComboBox, value: object) -> None:
    """Choose the option of that value, if there is one."""
    found = next((row for row in range(field.count()) if field.itemData(row) == value), -1)
    if found >= 0:
        field.setCurrentIndex(found)


def labelled(text: str, field: QWidget) -> QWidget:
    """A field with its label above."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    label = faint_label(text)
    label.setBuddy(field)
    layout.addWidget(label)
    layout.addWidget(field)
    return box


def line() -> QFrame:
    """A thin line between two parts."""
    frame = QFrame()
    frame.setProperty("role", "line")
    frame.setFixedHeight(1)
    return frame


def two_columns(owner: QWidget) -> QGridLayout:
    """A grid of two columns of the same width."""
    grid = QGridLayout(owner)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setHorizontalSpacing(10)
    grid.setVerticalSpacing(8)
    grid.setColumnStretch(0, 1)
    grid.setColumnStretch(1, 1)
    return grid
