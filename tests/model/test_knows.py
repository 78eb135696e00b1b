"""Words that a model was not trained with."""

from __future__ import annotations

import dataclasses

from mlxvid.catalog import CATALOG
from mlxvid.model.knows import Knows

KNOWS = Knows(words=["a", "red", "ball"], say="It draws a red ball.")


def test_strange_words_once_and_in_small_letters():
    assert KNOWS.strange("A Red, red dragon. A DRAGON") == ["dragon"]
    assert KNOWS.strange("ａ red ball.") == []


def test_advice_names_them_and_what_the_model_makes():
    card = dataclasses.replace(next(iter(CATALOG.values())), knows=KNOWS)
    assert card.advice("a red ball") is None
    assert card.advice("a red dragon") == "Not known to this model: dragon. It draws a red ball."


def test_a_model_that_takes_any_words_says_nothing():
    card = dataclasses.replace(next(iter(CATALOG.values())), knows=None)
    assert card.advice("a dragon") is None


def test_the_prompts_of_a_card_are_known_to_its_model():
    for card in CATALOG.values():
        assert [card.advice(prompt) for prompt in card.prompts] == [None] * len(card.prompts)
