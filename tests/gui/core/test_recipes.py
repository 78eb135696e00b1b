"""Recipes say what a copy will be, and come back from the preferences as they were."""

from __future__ import annotations

import pytest

from mlxvid.gui.core.recipes import FORMATS, PRESETS, Recipe, packed, unpacked
from mlxvid.media.targets import FILES


def test_every_preset_comes_back():
    for recipe in PRESETS.values():
        assert unpacked(packed(recipe)) == recipe


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"form": "tape"}, {"form": "gif", "side": "big"}, {"form": "gif", "speed": 0}],
)
def test_what_is_no_recipe(value):
    assert unpacked(value) is None


def test_unknown_fields_are_left_out():
    assert unpacked({"form": "gif", "side": 480, "later": 1}) == Recipe("gif", 480)


def test_sizes_rates_and_lengths():
    recipe = Recipe("gif", side=480, fps=12.5, speed=2)
    assert recipe.size(832, 481) == (480, 278)
    assert recipe.size(320, 200) == (320, 200)
    assert recipe.rate(24) == 12.5
    assert recipe.seconds(48, 24) == 1
    assert Recipe(speed=0.5).rate(24) == 12
    original = Recipe("original", side=480, fps=12.5, speed=2)
    assert original.size(832, 481) == (832, 481)
    assert original.rate(24) == 24
    assert original.seconds(48, 24) == 2


def test_every_suffix_can_be_written():
    assert {form.suffix for form in FORMATS} - {""} <= set(FILES)
