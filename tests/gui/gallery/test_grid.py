"""Tiles fill the width, and grow with the font."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QFont

from mlxvid.gui.gallery.delegate import LEAST_WIDTH, GalleryDelegate
from mlxvid.gui.gallery.thumbnails import Thumbnails


@pytest.mark.parametrize("width", [150, 290, 360, 520, 960, 1440])
def test_tiles_fill_the_width(qtbot, ids, panel, database, width):
    for index in range(12):
        database.add_clip(f"/none/{index}.mp4", {"prompt": f"clip {index}"}, 8, 9, 48, 32)
    panel.resize(width, 480)
    panel.view.doItemsLayout()
    places = [
        panel.view.visualRect(panel.model.index(row)) for row in range(panel.model.rowCount())
    ]
    columns = len({place.left() for place in places})
    room = panel.view.viewport().width()
    assert columns == max(
        (panel.view.contentsRect().width() - panel.view.verticalScrollBar().sizeHint().width() - 2)
        // LEAST_WIDTH,
        1,
    )
    assert all(0 <= place.left() and place.right() < room for place in places)
    assert room - max(place.right() for place in places) < 40


def test_tiles_grow_with_the_writing(qapp):
    delegate = GalleryDelegate(Thumbnails())
    font = QFont(qapp.font())
    usual = delegate.cell_for(300, font)
    font.setPointSizeF(font.pointSizeF() * 1.25)
    assert (
        delegate.cell_for(300, font).height() > usual.height()
        and delegate.cell_for(300, font).width() == usual.width() == 150
    )
    assert (
        delegate.cell_for(260, font).width() == 130
    )  # two columns beside the stage of a small window
    assert delegate.cell_for(0, font).width() == 1  # a window that is being made is no excuse
    assert delegate.sizeHint(None, None) == delegate.cell == QSize(LEAST_WIDTH, LEAST_WIDTH)
