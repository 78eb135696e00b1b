"""What tests of the gallery do with it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect
from PySide6.QtWidgets import QLabel

from mlxvid.gui.gallery.delegate import GalleryDelegate

WAIT = 10_000
"""Milliseconds that decoding a clip may take."""


def listed(panel) -> list[str]:
    """The titles, in the order of the grid."""
    return [panel.model.index(row).data() for row in range(panel.model.rowCount())]


def select(panel, *numbers: int) -> None:
    """Select clips, with the keyboard in the grid."""
    panel.view.setFocus()
    panel.view.clearSelection()
    for number in numbers:
        index = panel.model.index_of(number)
        panel.view.selectionModel().select(index, panel.view.selectionModel().SelectionFlag.Select)
        panel.view.selectionModel().setCurrentIndex(
            index, panel.view.selectionModel().SelectionFlag.NoUpdate
        )


def tile(panel, number: int) -> QRect:
    """Where a clip is in the grid."""
    return panel.view.visualRect(panel.model.index_of(number))


def point_at(qtbot, panel, number: int) -> None:
    """Move the mouse to a tile: from elsewhere, since no movement is no event."""
    for place in (QPoint(1, 1), tile(panel, number).center()):
        qtbot.mouseMove(panel.view.viewport(), place)


def count_text(panel) -> str:
    """What the panel says of how many clips there are."""
    return panel.findChild(QLabel, "clip-count").text()


def delegate_of(panel) -> GalleryDelegate:
    """What paints the tiles."""
    return panel.view.itemDelegate()


def has_still(panel, number: int) -> bool:
    """Whether the first frame of a clip is decoded."""
    return number in panel.thumbnails.cached_stills()
