"""What tests of the player and of the comparison check alike."""

from __future__ import annotations

from itertools import pairwise

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QAbstractButton, QLabel, QWidget

WAIT = 10_000
"""Milliseconds that decoding a clip may take."""


def check_reachable_and_whole(view: QWidget) -> None:
    """Every control has a name, takes the focus, and shows all of its text."""
    controls = [button for button in view.findChildren(QAbstractButton) if button.isVisible()]
    assert len(controls) > 5
    for control in controls:
        assert control.accessibleName() and control.focusPolicy() & Qt.FocusPolicy.TabFocus
        least = control.minimumSizeHint()
        assert control.width() >= least.width(), control.accessibleName()
        assert control.height() >= least.height()
        place = control.geometry().translated(control.parentWidget().mapTo(view, QPoint()))
        assert view.rect().contains(place)
    for label in view.findChildren(QLabel):
        if label.isVisible() and label.accessibleName() == "Position":
            assert label.width() >= label.fontMetrics().horizontalAdvance(label.text())
    boxes = sorted((control.mapTo(view, QPoint()).x(), control.width()) for control in controls)
    for (x, width), (next_x, _) in pairwise(boxes):
        assert x + width <= next_x, "controls overlap"
