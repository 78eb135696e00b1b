"""Room for all text, in every size of the window and of the font."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QFont,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QToolButton,
    QWidget,
)

from mlxvid.gui.widgets.elided import ElidedLabel


def cut_off(window) -> list[str]:
    """Writing that has not the room it needs, and controls that reach beyond their parents."""
    found = []
    for label in window.findChildren(QLabel):
        if (
            label.isVisible()
            and label.text()
            and not label.wordWrap()
            and not isinstance(label, ElidedLabel)
        ):
            need = label.sizeHint()
            if label.width() < need.width() or label.height() < need.height():
                found.append(f"label {label.text()!r}")
    icons_only = Qt.ToolButtonStyle.ToolButtonIconOnly
    for button in window.findChildren(QAbstractButton):
        written = button.isVisible() and not (
            isinstance(button, QToolButton) and button.toolButtonStyle() == icons_only
        )
        if written and button.width() < button.fontMetrics().horizontalAdvance(
            button.text().replace("&", "")
        ):
            found.append(f"button {button.text()!r}")
    for field in window.findChildren(QComboBox):
        metrics = field.fontMetrics()
        if (
            field.isVisible()
            and field.width()
            < metrics.horizontalAdvance(field.currentText()) + metrics.height() + 12
        ):
            found.append(f"choice {field.currentText()!r}")
    for field in window.findChildren(QAbstractSpinBox):
        if (
            field.isVisible()
            and field.lineEdit().width() < field.fontMetrics().horizontalAdvance(field.text()) + 10
        ):
            found.append(f"number {field.text()!r}")
    for widget in window.compose.findChildren(QWidget):
        parent = widget.parentWidget()
        if (
            widget.isVisible()
            and not widget.isWindow()
            and (widget.x() < 0 or widget.geometry().right() > parent.width())
        ):
            found.append(f"{type(widget).__name__} beyond {type(parent).__name__}")
    return found


@pytest.fixture
def larger(qapp):
    """The writing at 125 %."""
    before = QApplication.font()
    font = QFont(before)
    font.setPointSizeF(before.pointSizeF() * 1.25)
    QApplication.setFont(font)
    yield
    QApplication.setFont(before)


def arrange(window, width, height, qtbot) -> None:
    window.compose.advanced.set_open(True)
    window.queue.pause_action.setChecked(True)
    window.announcements.report_paused()
    window.resize(width, height)
    qtbot.wait(120)
    assert (window.width(), window.height()) == (width, height), "the window can't be made so small"


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_nothing_is_cut_off_with_larger_writing(larger, open_window, qtbot, size):
    window = open_window()
    arrange(window, *size, qtbot)
    assert cut_off(window) == []


def test_nothing_is_cut_off_on_a_screen_at_125_percent(window, qtbot):
    arrange(window, 1152, 720, qtbot)  # what remains of 1440x900
    assert cut_off(window) == []


def test_nothing_is_cut_off_in_a_small_window(window, qtbot):
    arrange(window, 1100, 700, qtbot)
    assert cut_off(window) == []
