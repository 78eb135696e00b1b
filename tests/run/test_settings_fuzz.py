"""Settings as nobody should give them: each ends in a request, or in an error of one line."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mlxvid
from mlxvid import models
from mlxvid.errors import MAX_MESSAGE, MlxvidError
from mlxvid.model.card import Card
from mlxvid.model.settings import SETTINGS, making
from mlxvid.run.complete import complete
from mlxvid.run.planning import plan
from mlxvid.run.repeat import repeatable

from . import throwaway

COUNT = 500


class Odd:
    """Something that prints itself in many lines."""

    def __repr__(self) -> str:
        return "odd\nthing" * 50


class Silent:
    def __repr__(self) -> str:
        raise ValueError("prints nothing")


def nested(depth: int) -> list:
    inside: list = []
    for _ in range(depth):
        inside = [inside]
    return inside


NUMBERS = [
    True, False, 0, -1, 1, 3, 1.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"),
    float("-inf"), 2**63 - 1, 2**63, 10**30, -(10**30), 10**400, 10**5000, 1j,
    np.float32(3), np.int64(7), np.uint8(255), np.float64("nan"), np.bool_(True), np.array(5),
]  # fmt: skip
TEXTS = [
    "", " ", "x", "1", "nan", "\n", "a\nb", "a\0b", "\ud800", "\u202e", "../x", "~nobody/x", "480p",
    "16:9", "euler", "full", "é" * 300, "9" * 5000, "x" * 100_000, b"", b"x", bytearray(b"x"),
]  # fmt: skip
CONTAINERS = [
    [], [1], [None], ["a", "a"], nested(100), nested(5000), (1, 2), set(), frozenset({1}), {},
    {"a": 1}, {"0": 5}, {0: "none.png"}, {-1: "x"}, {10**30: "x"}, {None: 1}, {1.5: "x"},
    {float("nan"): "x"}, {"": None}, range(3),
]  # fmt: skip
OBJECTS = [
    None, object(), len, int, Ellipsis, Odd(), Silent(), Image.new("RGB", (3, 2)),
    np.zeros((0, 0, 3), np.uint8), np.zeros((2, 2, 3), np.uint8), np.zeros((4, 8, 8, 3), np.uint8),
    np.full((8, 8, 3), np.nan, np.float32), np.array([1, 2]), np.zeros(3, object),
]  # fmt: skip
VALUES = [*NUMBERS, *TEXTS, *CONTAINERS, *OBJECTS]
FITTING = {
    "width": np.int64(64), "height": 64, "frames": np.uint8(17), "fps": np.float32(12), "steps": 4,
    "guidance": 3, "seed": 2**63 - 1, "negative_prompt": "grey", "keyframes": {}, "options": {},
}  # fmt: skip
NAMES = [*making(), "x", "\ud800", "a" * 1000, ""]


def odd_settings(chance: random.Random) -> dict[str, Any]:
    """A prompt and up to three settings that may be anything."""
    settings: dict[str, Any] = {"prompt": "a ball"}
    for _ in range(chance.choice([1, 1, 2, 3])):
        name = chance.choice(NAMES)
        value = chance.choice(VALUES)
        if name in FITTING and chance.random() < 0.6:
            value = FITTING[name]
        inside = chance.random() < 0.6
        if name == "options" and inside:
            value = {chance.choice([*models.options()]): value}
        elif name == "keyframes" and inside:
            value = {chance.choice([0, 3, "0", None, -1, 10**9, 1.0, True]): value}
        settings[name] = value
    return settings


def ends_well(make, *args: Any, **settings: Any) -> bool:
    """Whether it succeeds, or else ends in an error of ours, of one line."""
    try:
        made = make(*args, **settings)
    except MlxvidError as error:
        message = str(error)
        assert message.splitlines() == [message]
        assert 0 < len(message) <= MAX_MESSAGE + 1
        return False
    if made is not None and hasattr(made, "settings") and callable(made.settings):
        json.dumps(made.settings())
    return True


@pytest.fixture(scope="module")
def cards(tmp_path_factory) -> list[Card]:
    folder = tmp_path_factory.mktemp("throwaway")
    made = [throwaway.pipeline(kind, folder / kind).model.card for kind in throwaway.MODELS]
    return [*models.cards(), *made]


def test_every_settings_object_is_a_request_or_an_error(cards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chance = random.Random(17)
    ended = [0, 0]
    for _ in range(COUNT):
        settings = odd_settings(chance)
        card = chance.choice(cards)
        ended[ends_well(complete, card, settings)] += 1
    assert min(ended) > COUNT // 20


def test_every_setting_of_every_card_can_be_anything(cards, tmp_path, monkeypatch):
    """No pair of a setting and a kind of value is left to chance."""
    monkeypatch.chdir(tmp_path)
    families = {card.family.package: card for card in cards}
    for card in families.values():
        for name in making():
            for value in VALUES:
                ends_well(complete, card, {"prompt": "a ball", name: value})


def test_plans_of_anything(cards):
    chance = random.Random(18)
    names = ("frames", "width", "height", "fps", "guidance", "attention", "dtype", "quantize")
    for _ in range(COUNT):
        settings = {name: chance.choice(VALUES) for name in chance.sample(names, 2)}
        ends_well(plan, chance.choice(models.cards()), **settings)


def test_settings_in_a_file_can_be_anything_that_json_has():
    for name in SETTINGS:
        for value in VALUES:
            try:
                kept = json.loads(json.dumps({name: value}))
            except (TypeError, ValueError, RecursionError):
                continue
            ends_well(repeatable, kept, "clip.mp4")


@pytest.mark.parametrize("name", ["model", "revision", "loras", "quantize", "dtype"])
def test_loading_anything(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value in VALUES:
        given = [value, [value]] if name == "loras" else [value]
        for one in given:
            # A name with one "/" asks the hub.
            if not (isinstance(one, str) and one.count("/") == 1):
                ends_well(mlxvid.load, **{name: one})
