"""The clip's shape after the first picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtWidgets import QComboBox

from mlxvid.gui.compose.fit_line import FitLine
from mlxvid.gui.compose.wells import PictureWell
from tests.gui.cards import WITH_FIRST_PICTURE


@pytest.fixture
def tall(home):
    path = home / "tall.png"
    Image.fromarray(np.full((160, 90, 3), 90, np.uint8)).save(path)
    return path


def fit(panel) -> FitLine:
    return panel.findChild(FitLine, "fit_line")


def test_the_first_picture_gives_the_shape(panel, tall):
    panel.picker.set_name(WITH_FIRST_PICTURE)
    own = panel.size_box.value()
    panel.set_start_image(tall)
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


def test_a_clips_own_size_stays_with_its_pictures(panel, tall):
    settings = {"prompt": "a", "model": "mini", "width": 96, "height": 96, "image": str(tall)}
    panel.apply_settings(settings)
    assert panel.size_box.value() == (96, 96)
