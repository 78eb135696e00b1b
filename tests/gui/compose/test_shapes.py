"""The clip's shape after the first picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, QRect, QRectF, Qt
from PySide6.QtWidgets import QComboBox

from mlxvid.gui.compose.crop import CropView, kept_part
from mlxvid.gui.compose.fit_line import FitLine
from mlxvid.gui.compose.wells import PictureWell
from mlxvid.gui.core.job_requests import making_of
from tests.gui.cards import WITH_FIRST_PICTURE


@pytest.fixture
def tall(home):
    path = home / "tall.png"
    Image.fromarray(np.full((160, 90, 3), 90, np.uint8)).save(path)
    return path


def fit(panel) -> FitLine:
    return panel.findChild(FitLine, "fit_line")


def test_the_first_picture_gives_the_shape(panel, tall, until_read):
    panel.picker.set_name(WITH_FIRST_PICTURE)
    own = panel.size_box.value()
    panel.set_start_image(tall)
    until_read(panel)
    assert panel.size_box.value() == own[::-1]
    panel.pictures.findChild(PictureWell, "image").clear()
    assert panel.size_box.value() == own


def test_a_shape_that_was_chosen_stays_and_the_pictures_is_offered(panel, tall, qtbot):
    panel.picker.set_name(WITH_FIRST_PICTURE)
    shape = panel.findChild(QComboBox, "shape")
    shape.setCurrentIndex(shape.findText("Square 1:1"))
    shape.activated.emit(shape.currentIndex())
    chosen = panel.size_box.value()
    panel.set_start_image(tall)
    assert panel.size_box.value() == chosen
    qtbot.waitUntil(fit(panel).isVisible)
    assert "44 % is cut off" in fit(panel).text()
    fit(panel).linkActivated.emit("shape")
    width, height = panel.size_box.value()
    assert width / height == pytest.approx(9 / 16, rel=0.05)
    qtbot.waitUntil(fit(panel).isHidden)


def test_a_clips_own_size_stays_with_its_pictures(panel, tall, until_read):
    settings = {"prompt": "a", "model": "mini", "width": 96, "height": 96, "image": str(tall)}
    panel.apply_settings(settings)
    until_read(panel)
    assert panel.size_box.value() == (96, 96)


def test_the_part_that_is_kept_is_chosen(panel, tall, qtbot):
    panel.picker.set_name("mini")
    panel.set_start_image(tall)
    panel.size_box.set_value(96, 96)
    panel.size_box.changed.emit()
    qtbot.waitUntil(fit(panel).isVisible)
    assert "focus" not in panel.settings()
    fit(panel).linkActivated.emit("crop")
    view = panel.pictures.findChild(CropView)
    assert view.hasFocus() or view.isVisible()
    middle = QPoint(view.width() // 2, view.height() // 2)
    room = view.height() - view.width()  # of a square in a tall picture
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(view, middle - QPoint(0, room // 4))
    assert panel.settings()["focus"] == pytest.approx(0.25, abs=0.02)
    for _ in range(20):
        qtbot.keyClick(view, Qt.Key.Key_Down)
    assert panel.settings()["focus"] == 1
    settings = panel.settings()
    view.window().close()
    panel.clear()
    assert "focus" not in panel.settings()
    panel.apply_settings(settings)
    assert panel.settings()["focus"] == 1
    assert making_of(panel.settings())["focus"] == 1
    panel.set_start_image(tall)  # another one
    assert "focus" not in panel.settings()


@pytest.mark.parametrize(
    ("ratio", "focus", "kept"),
    [(1.0, 0.0, (0, 0, 90, 90)), (1.0, 1.0, (0, 70, 90, 90)), (0.25, 0.5, (25, 0, 40, 160))],
)
def test_what_is_kept(ratio, focus, kept):
    assert kept_part(QRect(0, 0, 90, 160), ratio, focus) == QRectF(*kept)
