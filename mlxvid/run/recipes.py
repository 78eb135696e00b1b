"""What few-step LoRAs are run with: taken from their names and metadata, and said."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from mlxvid.model.card import AnyCard
from mlxvid.weights.lora import Lora
from mlxvid.weights.lora_file import title

log = logging.getLogger("mlxvid")


def names(lora: Lora) -> list[str]:
    """What a LoRA that was found goes by: its repository, its files, and the title kept in them."""
    found = [file.name for file in lora.files]
    if not os.path.isabs(lora.source):
        found.append(lora.source)
    return found + title(lora)


def applied(card: AnyCard, loras: Sequence[Lora]) -> AnyCard:
    """The card with the recipe of the first few-step LoRA in place of its defaults. It is logged,
    as is what the licence of any of them doesn't allow.

    A LoRA of scale 0 changes nothing, and a model that has none of the recipe's samplers was
    distilled itself.
    """
    if card.family.recipe is None:
        return card
    chosen = None
    for lora in loras:
        recipe = card.family.recipe(names(lora)) if lora.scale else None
        if recipe is None:
            continue
        if recipe.terms:
            log.warning("%s: %s.", lora.files[0].name, recipe.terms)
        if chosen is None and recipe.sampler in card.samplers:
            chosen = recipe
            log.warning(
                "%s was made for few steps: what isn't given is now %s.",
                lora.files[0].name,
                recipe,
            )
    return chosen.of(card) if chosen else card
