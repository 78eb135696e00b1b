"""TeaCache's constants of Wan 2.1, by ali-vilab/TeaCache: those for its time's embedding."""

from __future__ import annotations

from mlxvid.model.caching import LEAST_STEPS, Tea
from mlxvid.model.card import Card

T2V_1_3B = Tea((2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774), 0.05)
T2V_14B = Tea((-5784.54975374, 5449.50911966, -1811.16591783, 256.27178429, -13.02252404), 0.14)
I2V_480P = Tea((-302.331670, 223.948934, -52.5463970, 5.87348440, -0.201973289), 0.13)
I2V_720P = Tea((-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683), 0.2)


def constants(card: Card) -> Tea | None:
    """Those of a card's model; None of the one that goes from a first picture to a last one, and
    of distilled ones, which have too few steps.
    """
    if card.defaults.steps < LEAST_STEPS:
        return None
    if not card.needs:
        return {(12, 30): T2V_1_3B, (40, 40): T2V_14B}.get((card.heads, card.blocks))
    if card.needs != {"image"} or (card.heads, card.blocks) != (40, 40):
        return None
    return I2V_720P if card.defaults.width == 1280 else I2V_480P
