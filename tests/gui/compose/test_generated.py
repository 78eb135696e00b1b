"""Fields made from the settings table, options of families, and presets."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget

from mlxvid.catalog import CATALOG
from mlxvid.gui.compose.wells import ClipWell, PictureWell
from mlxvid.gui.core.job_requests import loading_of, making_of
from mlxvid.model.settings import SETTINGS, Setting
from tests.gui.cards import WITH_LORAS
from tests.gui.clips import write_clip

WITH_OPTIONS = next(card for card in CATALOG.values() if card.family.options)
OPTIONS = {option.name: option for option in WITH_OPTIONS.family.options}
NUMBER = next(option for option in OPTIONS.values() if option.kind == "number")
TEXT = next(option for option in OPTIONS.values() if option.kind == "text")


@pytest.fixture
def add_setting(monkeypatch):
    """A function that adds a setting to the table."""

    def add(kind, group="how", **facts) -> Setting:
        setting = Setting(f"new_{kind}", kind, f"New {kind}", "what it does", group, **facts)
        monkeypatch.setitem(SETTINGS, setting.name, setting)
        return setting

    return add


def test_a_number_in_the_table_has_a_field(add_setting, make_panel):
    setting = add_setting("number", low=0, high=2, digits=2)
    panel = make_panel()
    panel.advanced.set_open(True)
    field = panel.findChild(QDoubleSpinBox, setting.name)
    assert field.isVisible()
    assert field.accessibleName() == setting.label
    assert field.toolTip().lower() == setting.help
    assert field.maximum() == 2
    assert setting.name not in panel.settings()
    field.setValue(0)
    assert making_of(panel.settings())[setting.name] == 0
    field.setValue(1.25)
    assert making_of(panel.settings())[setting.name] == 1.25


def test_a_switch_is_on_off_or_the_models_own(add_setting, make_panel):
    setting = add_setting("switch")
    panel = make_panel()
    combo = panel.findChild(QComboBox, setting.name)
    assert setting.name not in panel.settings()
    for text, value in (("On", True), ("Off", False)):
        combo.setCurrentIndex(combo.findText(text))
        assert making_of(panel.settings())[setting.name] is value
    panel.apply_settings({"prompt": "a ball", setting.name: True})
    assert combo.currentText() == "On"
    panel.apply_settings({"prompt": "a ball"})
    assert setting.name not in panel.settings()


def test_a_whole_number_a_text_and_a_choice(add_setting, make_panel):
    whole = add_setting("whole", low=1, high=9)
    text = add_setting("text")
    choice = add_setting("choice", "loading", choices=("slow", "fast"))
    panel = make_panel()
    names = {whole.name, text.name, choice.name}
    assert not names & panel.settings().keys()
    panel.findChild(QSpinBox, whole.name).setValue(3)
    panel.findChild(QLineEdit, text.name).setText(" words ")
    combo = panel.findChild(QComboBox, choice.name)
    combo.setCurrentIndex(combo.findData("fast"))
    settings = panel.settings()
    assert settings[whole.name] == 3
    assert settings[text.name] == "words"
    assert loading_of(settings)[choice.name] == "fast"
    panel.clear()
    assert not names & panel.settings().keys()
    panel.apply_settings(settings | {"prompt": "a ball"})
    again = panel.settings()
    assert {name: again[name] for name in names} == {name: settings[name] for name in names}


def test_a_picture_and_a_clip(add_setting, make_panel, picture, home, until_read):
    first = add_setting("picture")
    second = add_setting("clip")
    panel = make_panel()
    clip = write_clip(home / "clip.mp4")
    panel.findChild(PictureWell, first.name).set_path(picture)
    panel.findChild(ClipWell, second.name).set_path(clip)
    settings = panel.settings()
    assert settings[first.name] == str(picture)
    assert settings[second.name] == str(clip)
    panel.extend({**settings, "prompt": "a ball"}, picture, clip)
    assert not {first.name, second.name} & panel.settings().keys()
    panel.apply_settings({"prompt": "a ball", "model": "mini", first.name: str(home / "gone.png")})
    until_read(panel)
    assert "gone.png" in panel.complaints[panel.advanced].text()
    assert first.name not in panel.settings()


def test_only_models_that_take_a_setting_are_given_it(add_setting, make_panel):
    setting = add_setting("number", low=0, high=2, needs_support=True)
    panel = make_panel()
    panel.advanced.set_open(True)
    field = panel.findChild(QDoubleSpinBox, setting.name)
    field.setValue(1)
    assert not field.isVisible()
    assert setting.name not in panel.settings()


def test_what_does_nothing_alone_is_shown_with_the_other(add_setting, make_panel, qtbot):
    text = add_setting("text")
    number = add_setting("number", low=0, high=2, only_with=text.name)
    panel = make_panel()
    panel.advanced.set_open(True)
    field = panel.findChild(QDoubleSpinBox, number.name)
    line = panel.findChild(QLineEdit, text.name)
    assert not field.isVisible()
    qtbot.keyClicks(line, "9")
    assert field.isVisible()
    field.setValue(1)
    assert panel.settings()[number.name] == 1
    line.clear()
    line.textEdited.emit("")
    assert not field.isVisible() and number.name not in panel.settings()
    qtbot.keyClicks(line, "8")
    assert panel.settings()[number.name] == 1  # it is kept
    panel.apply_settings({"prompt": "a ball", text.name: "7", number.name: 0.5})
    assert field.isVisible() and field.value() == 0.5


def test_where_a_part_of_the_steps_begins_and_ends_is_one_row(panel):
    panel.advanced.set_open(True)
    choice = panel.findChild(QComboBox, "cache")
    choice.setCurrentIndex(choice.findText("EasyCache"))
    choice.activated.emit(choice.currentIndex())
    assert panel.findChild(QDoubleSpinBox, "cache_threshold").isVisible()
    choice.setCurrentIndex(choice.findData("off"))
    choice.activated.emit(choice.currentIndex())
    assert not panel.findChild(QDoubleSpinBox, "cache_threshold").isVisible()
    panel.apply_settings({"prompt": "a ball", "skip_layers": "1"})
    for begin, end in (("guidance_start", "guidance_stop"), ("skip_start", "skip_stop")):
        left, right = (panel.findChild(QDoubleSpinBox, name) for name in (begin, end))
        assert left.isVisible() and right.isVisible()
        assert left.mapTo(panel, QPoint()).y() == right.mapTo(panel, QPoint()).y()


def test_every_setting_has_a_field(panel):
    made = {"resolution", "aspect", "fps", "revision", "options", "loras", "focus"}
    for name in SETTINGS.keys() - made:
        assert panel.findChild(QWidget, name), name


def test_options_of_the_model_s_family(panel, qtbot):
    panel.advanced.set_open(True)
    number = panel.findChild(QDoubleSpinBox, NUMBER.name)
    text = panel.findChild(QLineEdit, TEXT.name)
    assert not number.isVisible()
    number.setValue(NUMBER.high)
    assert "options" not in panel.settings()  # this model takes none
    panel.picker.set_name(WITH_OPTIONS.name)
    assert number.isVisible()
    assert text.isVisible()
    assert "options" not in panel.settings()
    number.setValue(NUMBER.low)
    qtbot.keyClicks(text, "pan left ")
    assert panel.settings()["options"] == {NUMBER.name: NUMBER.low, TEXT.name: "pan left"}
    settings = {"prompt": "a ball", "model": WITH_OPTIONS.name, "options": {NUMBER.name: 0.5}}
    panel.apply_settings(settings)
    assert panel.settings()["options"] == {NUMBER.name: 0.5}


# A model for each set of options that models take.
OPTION_SETS = {
    frozenset(option.name for option in card.family.options if card.offers(option.name)): name
    for name, card in CATALOG.items()
}


@pytest.mark.parametrize("name", OPTION_SETS.values())
def test_a_model_s_options_are_shown_and_no_others(panel, name):
    panel.advanced.set_open(True)
    panel.picker.set_name(name)
    every = {option.name for card in CATALOG.values() for option in card.family.options}
    shown = {option for option in every if panel.findChild(QWidget, option).isVisible()}
    assert shown == {option for option in every if CATALOG[name].offers(option)}
    assert "options" not in panel.settings()  # untouched they are the model's own


def test_the_tab_key_goes_through_the_fields_in_their_order(panel):
    panel.advanced.set_open(True)
    panel.picker.set_name(WITH_OPTIONS.name)
    fields = [panel.findChild(QWidget, name) for name in OPTIONS]
    stops = []
    widget = panel.findChild(QWidget, "advanced_fold")
    while widget is not panel.advanced.force:
        widget = widget.nextInFocusChain()
        if widget in fields:
            stops.append(widget)
    assert stops == fields
    tops = [field.mapTo(panel, QPoint()).y() for field in fields]
    assert tops == sorted(tops)


def test_a_preset(panel):
    panel.picker.set_name(WITH_LORAS)
    panel.prompt.set_text("a fox")
    panel.loras.set_value(["fast.safetensors@1"])
    before = panel.settings()
    name, preset = next(iter(CATALOG[WITH_LORAS].family.presets.items()))
    field = panel.findChild(QComboBox, "preset")
    field.setCurrentIndex(field.findData(name))
    field.activated.emit(field.currentIndex())
    settings = panel.settings()
    assert preset.items() <= settings.items()
    for kept in ("prompt", "width", "loras"):
        assert settings[kept] == before[kept]
