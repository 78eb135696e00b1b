"""Narrow windows: the side panel folds, and comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest
from PySide6.QtCore import QRect
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication

from mlxvid.gui.side_fold import WIDE


def widen(window, qtbot, width: int) -> None:
    window.resize(width, 700)
    qtbot.waitUntil(lambda: window.width() == width)


def test_the_side_panel_folds_in_a_narrow_window_and_comes_back(window, qtbot):
    widen(window, qtbot, 1300)
    assert window.side.isVisible()
    widen(window, qtbot, WIDE - 1)
    assert not window.side.isVisible()
    assert not window.menus.side_panel.isChecked()
    widths = window.splitter.sizes()
    assert widths[0] >= window.compose.minimumSizeHint().width()
    widen(window, qtbot, 800)
    widen(window, qtbot, WIDE + 200)
    assert window.side.isVisible() and window.menus.side_panel.isChecked()


def test_what_the_user_chose_stays(window, qtbot):
    widen(window, qtbot, 1300)
    window.menus.side_panel.trigger()  # hidden by hand
    widen(window, qtbot, 900)
    widen(window, qtbot, 1300)
    assert not window.side.isVisible()
    window.menus.side_panel.trigger()
    widen(window, qtbot, 900)
    window.menus.side_panel.trigger()  # shown by hand in a narrow window
    assert window.side.isVisible()
    # Nothing is cut off: the window makes room.
    qtbot.waitUntil(lambda: window.side.geometry().right() < window.splitter.width())
    assert window.side.width() >= window.side.minimumSizeHint().width()
    widen(window, qtbot, 1300)
    assert window.side.isVisible()


def test_a_folded_panel_is_there_in_a_wider_window_of_the_next_session(open_window, qtbot):
    first = open_window()
    widen(first, qtbot, 1300)
    widen(first, qtbot, 900)
    first.close()
    second = open_window()
    widen(second, qtbot, 1300)
    assert second.side.isVisible()


def test_the_window_is_never_narrower_than_its_panels(window, qtbot):
    widen(window, qtbot, 1300)
    window.resize(300, 700)
    qtbot.wait(20)
    assert window.width() >= sum(
        panel.minimumSizeHint().width() for panel in (window.compose, window.stage)
    )


@pytest.mark.parametrize("pixels", [12, 13, 18])
def test_no_panel_lies_over_another_in_any_text_size(open_window, qtbot, pixels):
    before = QApplication.font()
    larger = QFont(before)
    larger.setPixelSize(pixels)
    QApplication.setFont(larger)
    try:
        window = open_window()
        for width in (1000, 1100, 1200, 1440):
            window.resize(width, 700)
            qtbot.wait(20)
            shown = [window.compose, window.stage, window.side]
            shown = [panel.geometry() for panel in shown if panel.isVisible()]
            assert len(shown) == 3 or width < 1100 or pixels == 18
            for left, right in pairwise([*shown, QRect(window.splitter.width(), 0, 0, 0)]):
                assert left.right() < right.left()
            assert window.splitter.width() <= window.width()
    finally:
        QApplication.setFont(before)
