"""The table of settings: what each takes, what it refuses, and what its refusals say."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest

from mlxvid import models
from mlxvid.errors import SettingError
from mlxvid.model.settings import (
    MAX_SEED,
    MAX_TEXT,
    SETTINGS,
    Setting,
    check_json,
    check_known,
    flag,
    label,
    loading,
    making,
)

ALL = {**SETTINGS, **models.options()}
# A value of each kind, as JSON has it.
JSON = {
    "text": "a ball",
    "whole": 7,
    "number": 2.5,
    "choice": "euler",
    "switch": True,
    "picture": "first.png",
    "clip": "clip.mp4",
    "keyframes": {"16": "middle.png"},
    "loras": ["style.safetensors"],
    "options": {"camera": "pan"},
}
NUMBERS = [name for name, setting in ALL.items() if setting.kind in ("whole", "number")]


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_every_setting_can_be_shown_in_every_door(name):
    setting = ALL[name]
    assert setting.name == name
    assert setting.label
    assert setting.label[0].isupper()
    assert setting.help
    assert not setting.help.endswith(".")
    assert "`" not in setting.help
    if setting.kind in ("whole", "number"):
        assert setting.low is not None
        assert setting.high is not None


def test_labels_and_flags_are_told_apart():
    assert len({setting.label for setting in ALL.values()}) == len(ALL)
    assert len({setting.dashed for setting in ALL.values()}) == len(ALL)


def test_what_loads_and_what_makes_are_the_whole_table():
    assert {**making(), **loading()}.keys() == SETTINGS.keys()
    assert not making().keys() & loading().keys()
    assert set(loading()) == {"model", "revision", "loras", "quantize", "dtype"}


def test_the_flag_and_the_label_of_a_name():
    options = {"camera": Setting("camera", "text", "Camera motion", "how it moves", "options")}
    assert flag("negative_prompt", options) == "--negative-prompt"
    assert flag("loras", options) == "--lora"
    assert flag("camera", options) == "--camera"
    assert flag("no_setting", options) == "--no-setting"
    assert label("fps", options) == "Frames a second"
    assert label("camera", options) == "Camera motion"
    assert label("no_setting", options) == "no setting"


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_json_of_the_right_type_is_taken(name):
    check_json({name: JSON[SETTINGS[name].kind]}, "The settings")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("value", [True, None, 1.5, 5, "5", [], {}], ids=repr)
def test_json_of_another_type_is_refused_by_name(name, value):
    kind = SETTINGS[name].kind
    is_right = type(value) in {
        "number": (int, float),
        "choice": (str, int),
    }.get(kind, (type(JSON[kind]),))
    if is_right:
        check_json({name: value}, "The settings")
        return
    with pytest.raises(SettingError) as caught:
        check_json({name: value}, "The settings in odd.mp4")
    assert caught.value.setting == name
    assert "The settings in odd.mp4" in str(caught.value)


def test_what_json_gave_is_quoted_but_not_at_length():
    with pytest.raises(SettingError, match=r'\["a ball"\]') as caught:
        check_json({"prompt": ["a ball"]}, "The settings")
    with pytest.raises(SettingError) as caught:
        check_json({"prompt": ["x" * 10_000]}, "The settings")
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("group", ["how", "options"])
def test_a_switch_is_true_or_false(group):
    switch = Setting("clean", "switch", "Clean", "whether it is cleaned", group)
    for value in (True, False):
        assert switch.checked(value) is value
        switch.check_json(value, "The settings")
    for value in (1, 0, "true", None, [True], float("nan")):
        with pytest.raises(SettingError, match="`clean`.*true or false"):
            switch.checked(value)
        with pytest.raises(SettingError, match="`clean`"):
            switch.check_json(value, "The settings")


# --- ranges --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_up_to_both_ends_of_its_range(name):
    setting = ALL[name]
    kind = int if setting.kind == "whole" else float
    for end in (setting.low, setting.high):
        value = setting.checked(end)
        assert value == end
        assert type(value) is kind


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_beyond_its_range_is_refused_with_the_range(name):
    setting = ALL[name]
    step = 1 if setting.kind == "whole" else 1e-3
    most = "2^63 - 1" if setting.high == MAX_SEED else f"{setting.high:g}"
    for beyond in (setting.low - step, setting.high + step):
        with pytest.raises(SettingError) as caught:
            setting.checked(beyond)
        assert caught.value.setting == name
        assert f"from {setting.low:g} to {most}" in str(caught.value)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [True, "5", None, float("nan"), [5], 1j], ids=repr)
def test_what_is_no_number_is_refused(name, value):
    with pytest.raises(SettingError) as caught:
        ALL[name].checked(value)
    assert caught.value.setting == name
    assert "number" in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", NUMBERS)
def test_numpys_numbers_are_numbers(name):
    setting = ALL[name]
    scalar = np.int64 if setting.kind == "whole" else np.float32
    low = int(setting.low) + 1
    value = setting.checked(scalar(low))
    assert value == low
    assert type(value) in (int, float)


def test_half_a_step_is_no_step():
    for value in (1.5, 2.0):
        with pytest.raises(SettingError, match="whole number of steps"):
            SETTINGS["steps"].checked(value)


# --- choices and texts ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n, setting in ALL.items() if setting.choices])
def test_only_the_choices_are_taken_and_a_refusal_lists_them(name):
    setting = ALL[name]
    for choice in setting.choices:
        assert setting.checked(choice) == choice
    with pytest.raises(SettingError) as caught:
        setting.checked("sideways")
    assert caught.value.setting == name
    for fact in (*map(str, setting.choices), "'sideways'"):
        assert fact in str(caught.value)


def test_a_choice_of_the_models_is_left_to_them():
    assert SETTINGS["sampler"].checked("of some model") == "of some model"


CAMERA = Setting("camera", "text", "Camera motion", "how the camera moves", "options")


def test_an_options_text_is_short_and_printable():
    assert CAMERA.checked(" pan left ") == "pan left"
    assert CAMERA.checked("x" * MAX_TEXT) == "x" * MAX_TEXT
    for value in ("", "  ", "a\nb", "\ud800", "x" * (MAX_TEXT + 1), 5, None, ["pan"]):
        with pytest.raises(SettingError) as caught:
            CAMERA.checked(value)
        assert caught.value.setting == "camera"
        assert str(MAX_TEXT) in str(caught.value)


def test_a_refused_value_is_cut_where_it_is_long():
    for setting in (CAMERA, SETTINGS["steps"], SETTINGS["fps"], SETTINGS["dtype"]):
        with pytest.raises(SettingError) as caught:
            setting.checked("x" * 100_000)
        assert len(str(caught.value)) < 200


# --- names ---------------------------------------------------------------------------------------


def test_known_names_pass():
    check_known(making(), making())
    check_known([], {})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("stesp", "steps"), ("negative", "negative_prompt"), ("keyframe", "keyframes")],
)
def test_an_unknown_name_suggests_the_nearest(name, nearest):
    with pytest.raises(SettingError) as caught:
        check_known(["prompt", name], making())
    assert repr(name) in str(caught.value)
    assert caught.value.setting == nearest  # what the command line and the window can point at


def test_an_unknown_name_like_none_lists_what_there_is():
    with pytest.raises(SettingError) as caught:
        check_known(["mood"], making())
    said = str(caught.value)
    assert "'mood'" in said
    assert "did you mean" not in said
    for known in making():
        assert known in said


def test_what_loads_is_not_known_to_what_makes():
    with pytest.raises(SettingError, match="'quantize'"):
        check_known(["quantize"], making())


def test_settings_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SETTINGS["steps"].high = 5


# --- frame rates ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "fps"),
    [
        ("24000/1001", 24000 / 1001),
        ("25/2", 12.5),
        (Fraction(30000, 1001), 30000 / 1001),
        (23.976, 24000 / 1001),
        (29.97, 30000 / 1001),
        (24, 24.0),
        (23.5, 23.5),
    ],
)
def test_a_frame_rate_may_be_a_fraction(given, fps):
    assert SETTINGS["fps"].checked(given) == fps
    assert json.loads(json.dumps(SETTINGS["fps"].checked(given))) == fps


@pytest.mark.parametrize(
    "given", ["24/0", "/24", "1/2/3", "-24/1", "24,0", "9" * 5000 + "/1", "x", 10**400]
)
def test_what_is_no_frame_rate_is_refused(given):
    with pytest.raises(SettingError, match="`fps`.*fraction"):
        SETTINGS["fps"].checked(given)
    if isinstance(given, str):
        with pytest.raises(SettingError, match="`fps`"):
            check_json({"fps": given}, "The settings")
