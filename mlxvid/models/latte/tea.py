"""TeaCache's constants of Latte 1, by ali-vilab/TeaCache."""

from __future__ import annotations

from mlxvid.model.caching import Tea
from mlxvid.model.card import Card

LATTE_1 = Tea((-2464.34137, 308.044764, 80.7447667, -4.11385132, 0.111001402), 0.1)


def constants(card: Card) -> Tea | None:
    """Those of a card's model, if it is as large as the release."""
    return LATTE_1 if (card.heads, card.blocks) == (16, 28) else None
