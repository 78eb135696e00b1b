"""Sizes, lengths, and what the chosen model decides."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox, QWidget

from mlxvid.catalog import CATALOG
from mlxvid.gui.compose.wells import PictureWell
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.widgets.fields import OWN
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.settings import SETTINGS
from tests.gui.cards import LARGEST, WITH_BOTH_PICTURES, WITH_FIRST_PICTURE, WITH_LORAS
from tests.gui.compose.conftest import complaints


def combo(panel, name) -> QComboBox:
    return panel.findChild(QComboBox, name)


def pick(panel, name, text) -> None:
    field = combo(panel, name)
    field.setCurrentIndex(field.findText(text))
    field.activated.emit(field.currentIndex())


def test_shape_and_resolution_give_sizes_that_the_model_can_make(panel):
    pick(panel, "shape", "Wide 16:9")
    assert panel.size_box.value() == (144, 80)
    pick(panel, "resolution", "256×144")
    assert panel.size_box.value() == (256, 144)
    pick(panel, "shape", "Tall 9:16")
    assert panel.size_box.value() == (144, 256)
    panel.findChild(QSpinBox, "width").setValue(100)
    assert panel.size_box.value() == (96, 256)
    assert (
        combo(panel, "shape").currentText() == "Custom"
        and combo(panel, "resolution").currentText() == "96×256"
    )
    panel.size_box.set_value(96, 96)
    assert (combo(panel, "shape").currentText(), combo(panel, "resolution").currentText()) == (
        "Square 1:1",
        "96×96 ★",
    )
    panel.size_box.set_value(320, 320)
    assert (combo(panel, "shape").currentText(), combo(panel, "resolution").currentText()) == (
        "Square 1:1",
        "320×320",
    )


def test_a_size_of_ones_own_is_typed(panel, qtbot):
    width = panel.findChild(QSpinBox, "width")
    assert not width.isVisible()
    pick(panel, "resolution", "Custom…")
    assert combo(panel, "resolution").currentText() == "96×96 ★"
    assert panel.advanced.open
    assert width.isVisible()


def test_the_model_s_own_shape_is_the_nearest_of_its_kind(panel):
    assert panel.picker.set_name(WITH_LORAS)
    assert (
        panel.size_box.value() == (832, 480) and combo(panel, "shape").currentText() == "Wide 16:9"
    )
    pick(panel, "shape", "Tall 9:16")
    assert panel.size_box.value() == (480, 832)


def test_seconds_and_frames_follow_each_other(panel):
    seconds = panel.findChild(QDoubleSpinBox, "seconds")
    assert seconds.value() == pytest.approx(33 / 16, abs=0.01)
    seconds.setValue(1.0)
    assert panel.settings()["frames"] == 17
    assert seconds.value() == pytest.approx(17 / 16, abs=0.01)
    panel.findChild(QSpinBox, "frames").setValue(40)
    assert panel.settings()["frames"] == 41
    assert seconds.value() == pytest.approx(41 / 16, abs=0.01)
    panel.advanced.fps.setValue(8)
    assert panel.settings()["frames"] == 41
    assert seconds.value() == pytest.approx(41 / 8, abs=0.01)


def test_the_wheel_scrolls_past_a_field_that_is_not_in_use(panel, qapp):
    panel.prompt.setFocus()
    field = panel.steps
    place = QPointF(5, 5)
    event = QWheelEvent(
        place,
        place,
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    qapp.sendEvent(field, event)
    assert field.value() == 20


def test_what_the_model_can_not_do_is_not_shown(panel):
    loras = panel.findChild(QWidget, "loras_row")
    panel.advanced.set_open(True)
    assert panel.findChild(QWidget, "negative_prompt_row").isVisible()
    assert panel.pictures.isVisible()
    assert not loras.isVisible()
    assert panel.picker.set_name(WITH_LORAS)
    assert loras.isVisible()
    assert not panel.findChild(PictureWell, "image").isVisible()
    panel.advanced.set_open(True)
    assert combo(panel, "preset").isVisible()
    assert not combo(panel, "attention").isVisible()
    assert panel.negative.placeholderText() == OWN
    assert panel.negative.toolTip() == CATALOG[WITH_LORAS].defaults.negative_prompt
    assert panel.picker.set_name(WITH_FIRST_PICTURE)
    wells = [well for well in panel.pictures.findChildren(PictureWell) if well.isVisible()]
    assert [well.objectName() for well in wells] == ["image"]
    assert wells[0].accessibleName() == SETTINGS["image"].label


def test_samplers_are_the_model_s(panel, choices):
    panel.advanced.set_open(True)
    field = panel.advanced.sampler
    assert field.isVisible()
    assert tuple(field.itemData(row) for row in range(field.count())) == CATALOG["mini"].samplers
    field.setCurrentIndex(field.findData("heun"))
    choices.refresh()
    assert panel.settings()["sampler"] == "heun"


def test_a_loaded_model_is_here(panel, choices):
    assert not choices.find(WITH_LORAS).here
    panel.steps.setValue(7)
    choices.note_loaded(WITH_LORAS)
    assert choices.find(WITH_LORAS).here
    assert panel.settings()["steps"] == 7


def test_each_model_is_found_again_as_it_was_left(panel):
    panel.steps.setValue(9)
    panel.prompt.set_text("a fox")
    panel.picker.set_name(WITH_LORAS)
    own = CATALOG[WITH_LORAS].defaults
    settings = panel.settings()
    assert settings["steps"] == own.steps
    assert settings["frames"] == own.frames
    assert settings["guidance"] == own.guidance
    panel.picker.set_name("mini")
    settings = panel.settings()
    assert settings["steps"] == 9
    assert settings["width"] == 96
    assert settings["prompt"] == "a fox"


def test_a_picture_that_the_model_needs(panel, picture):
    panel.picker.set_name(WITH_BOTH_PICTURES)
    panel.prompt.set_text("she smiles")
    panel.generate()
    (message,) = complaints(panel)
    for name in CATALOG[WITH_BOTH_PICTURES].needs:
        assert SETTINGS[name].label.lower() in message
    assert panel.jobs == []
    panel.set_start_image(picture)
    panel.findChild(PictureWell, "last_image").set_path(picture)
    settings = panel.settings()
    assert settings["image"] == settings["last_image"] == str(picture)


def test_the_list_says_what_a_model_costs_and_why_it_can_not_be_had(preferences, qtbot, make_panel):
    small = Choices(preferences, Machine("Small", 8 * GIB, 6 * GIB, False))
    notes = {small.at(row).name: small.at(row).note for row in range(small.rowCount())}
    assert notes["mini"] == "Apache-2.0 · on disk"
    assert notes[LARGEST].startswith("Won't fit: ")
    assert "this machine has 6" in notes[LARGEST]
    size = CATALOG[WITH_LORAS].download_bytes / 1e9
    assert f"{size:.1f} GB to download" in notes[WITH_LORAS]
    row = small.row_of(LARGEST)
    assert not small.flags(small.index(row)) & Qt.ItemFlag.ItemIsEnabled
    panel = make_panel(small)
    assert not panel.picker.set_name(LARGEST)
    assert panel.picker.value().name == "mini"


def test_a_model_in_a_folder(panel, choices, preferences, tiny_folder, home):
    panel.picker.add_folder(home)
    assert "model_index.json" in complaints(panel)[0]
    panel.picker.add_folder(tiny_folder)
    choice = panel.picker.value()
    assert choice.name == str(tiny_folder)
    assert choice.title == tiny_folder.name
    assert panel.settings()["frames"] == 9
    assert Choices(preferences, choices.machine).find(str(tiny_folder)) is not None
