"""What few-step LoRAs are run with: taken from their names and metadata, and said."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mlxvid.catalog import DEFAULT_MODEL, card_of
from mlxvid.errors import MlxvidError, WeightsError
from mlxvid.model.card import AnyCard, Card
from mlxvid.model.recipe import Recipe
from mlxvid.weights.lora import Lora, find_lora, parse_lora
from mlxvid.weights.lora_title import title

log = logging.getLogger("mlxvid")


def names(lora: Lora) -> list[str]:
    """What a LoRA goes by: its repository, its files, and the title kept in those that are here."""
    found = [file.name for file in lora.files] or [lora.file or Path(lora.source).name]
    if not os.path.isabs(lora.source):
        found.append(lora.source)
    return found + (_title(lora, lora.files[0].stat().st_mtime_ns) if lora.files else [])


@lru_cache(maxsize=32)
def _title(lora: Lora, changed: int) -> list[str]:
    """A LoRA's title, read once of a file as long as it isn't changed: plans ask often."""
    try:
        return title(lora)
    except WeightsError:  # which reading it says better
        return []


def recipe_of(card: Card, loras: Sequence[Lora]) -> tuple[Lora, Recipe] | None:
    """The first few-step LoRA and what it is run with; None where there is none.

    A LoRA of scale 0 changes nothing, and a model that has none of the recipe's samplers was
    distilled itself.
    """
    for lora in loras:
        recipe = _recipe(card, lora)
        if recipe is not None and recipe.sampler in card.samplers:
            return lora, recipe
    return None


def _recipe(card: Card, lora: Lora) -> Recipe | None:
    known = card.family.recipe
    return known(names(lora)) if known is not None and lora.scale else None


def applied(card: AnyCard, loras: Sequence[Lora]) -> AnyCard:
    """The card with the recipe of the first few-step LoRA in place of its defaults. It is logged,
    as is what the licence of any of them doesn't allow.
    """
    for lora in loras:
        recipe = _recipe(card, lora)
        if recipe is not None and recipe.terms:
            log.warning("%s: %s.", names(lora)[0], recipe.terms)
    chosen = recipe_of(card, loras)
    if chosen is None:
        return card
    lora, recipe = chosen
    log.warning("%s was made for few steps: what isn't given is now %s.", names(lora)[0], recipe)
    return recipe.of(card)


def card_with(settings: Mapping[str, Any]) -> Card:
    """The card of the model among a clip's settings, as its LoRAs have it run.

    Nothing is downloaded for it: of a LoRA that isn't here its name tells, and what is wrong with
    one, loading it says. Raises :class:`MlxvidError` for models that are not here.
    """
    card = card_of(settings.get("model") or DEFAULT_MODEL)
    return with_loras(card, settings.get("loras") or ())


def with_loras(card: AnyCard, loras: Sequence[str]) -> AnyCard:
    """The card as LoRAs that are given as to :func:`mlxvid.load` have it run."""
    try:
        chosen = recipe_of(card, [here(lora) for lora in loras])
    except (MlxvidError, TypeError, AttributeError, OSError):  # loading it says what it is
        return card
    return chosen[1].of(card) if chosen else card


def here(text: str) -> Lora:
    """A LoRA as it is asked for, with its files unless it is on the hub.

    Raises :class:`SettingError` for what names none and :class:`ModelNotFoundError` for a file that
    isn't there.
    """
    lora = parse_lora(text)
    try:
        return find_lora(lora, _not_fetched)
    except _OnTheHub:
        return lora


class _OnTheHub(Exception):
    """A LoRA is in a repository, which isn't asked."""


def _not_fetched(repository: str, file: str | None) -> Path:
    raise _OnTheHub
