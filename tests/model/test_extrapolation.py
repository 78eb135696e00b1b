"""Clips longer than the training's: when a frequency is lowered, and what is said."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.errors import SettingError
from mlxvid.model.geometry import Geometry
from mlxvid.models import cards
from mlxvid.run.complete import complete

LONG = [card for card in cards() if card.extrapolation]


@pytest.mark.parametrize("card", LONG, ids=lambda card: card.name)
def test_clips_of_the_trained_length_stay_as_they_are(card):
    known = card.extrapolation
    trained = card.geometry.latent_frames(card.defaults.frames)
    assert trained < known.period < known.longest <= 2 * trained + 2
    for frames in (1, trained, known.period):
        assert card.lowered(True, frames) is None
    assert card.lowered(True, known.longest) == (known.index, known.longest)
    assert card.lowered(False, known.longest) is None


def test_the_models_that_take_it_are_those_that_know_how():
    for card in cards():
        assert ("length_extrapolation" in card.takes) == (card.extrapolation is not None)
    assert {card.name for card in LONG} == {
        "hunyuanvideo",
        "fasthunyuan",
        "hunyuanvideo-i2v",
        "hunyuanvideo-i2v-33ch",
        "cogvideox-5b",
    }


@pytest.mark.parametrize(
    ("name", "frames", "asked", "told"),
    [
        ("hunyuanvideo", 129, None, None),
        ("hunyuanvideo", 197, None, None),
        ("hunyuanvideo", 197, True, ["197", "length_extrapolation"]),
        ("hunyuanvideo", 201, None, ["197", "length_extrapolation"]),
        ("hunyuanvideo", 201, False, None),
        ("hunyuanvideo", 261, True, None),
        ("hunyuanvideo", 265, True, ["261"]),
        ("cogvideox-5b", 73, True, ["77", "length_extrapolation"]),
        ("cogvideox-5b", 97, True, None),
        ("cogvideox-5b", 105, True, ["97"]),
    ],
)
def test_what_is_said(name, frames, asked, told, caplog):
    card = CATALOG[name]
    card = dataclasses.replace(card, geometry=Geometry(4, 8, 16))  # without lines of its own
    with caplog.at_level(logging.WARNING, "mlxvid"):
        request = complete(
            card, {"prompt": "a ball", "frames": frames, "length_extrapolation": asked}
        )
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (told is not None)
    assert all(fact in said[0] for fact in told or [])
    assert request.length_extrapolation is bool(asked)
    assert request.settings().get("length_extrapolation") is asked


def test_only_some_models_take_it():
    for card, given in ((CATALOG["mini"], True), (CATALOG["hunyuanvideo"], 1)):
        with pytest.raises(SettingError, match="`length_extrapolation`"):
            complete(card, {"prompt": "a ball", "length_extrapolation": given})
