"""TeaCache's constants of Open-Sora 1.2, by ali-vilab/TeaCache."""

from __future__ import annotations

from mlxvid.model.caching import Tea
from mlxvid.model.card import Card

OPENSORA_1_2 = Tea((217.546007, -118.329252, 26.8662585, -0.0459364272, 0.0484426240), 0.1)


def constants(card: Card) -> Tea | None:
    """Those of a card's model, if it is as large as the release."""
    return OPENSORA_1_2 if (card.heads, card.blocks) == (16, 28) else None
