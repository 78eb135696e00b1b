"""TeaCache's constants of HunyuanVideo, by ali-vilab/TeaCache."""

from __future__ import annotations

from mlxvid.model.caching import LEAST_STEPS, Tea
from mlxvid.model.card import Card

HUNYUANVIDEO = Tea((733.226126, -401.131952, 67.5869174, -3.14987800, 0.0961237896), 0.1)


def constants(card: Card) -> Tea | None:
    """Those of a card's model, if it is as large as the release and makes clips of text alone; its
    distilled one has too few steps.
    """
    is_large = (card.heads, card.blocks) == (24, 60)
    is_few = card.defaults.steps < LEAST_STEPS
    return HUNYUANVIDEO if is_large and not card.needs and not is_few else None
