"""TeaCache's constants of CogVideoX, by ali-vilab/TeaCache."""

from __future__ import annotations

from mlxvid.model.caching import Tea
from mlxvid.model.card import Card

COGVIDEOX_2B = Tea((-31.0658903, 25.4732368, -5.92380459, 1.75769064, -0.00361568434), 0.1)
COGVIDEOX_5B = Tea((-1538.80483, 843.202495, -134.363087, 7.97131516, -0.0523162339), 0.1)
COGVIDEOX_1_5 = Tea((250.210439, -165.061612, 35.7804877, -0.781551492, 0.0358559703), 0.1)
COGVIDEOX_1_5_I2V = Tea((122.842302, -104.088754, 26.2981677, -0.306009921, 0.0371213220), 0.1)


def constants(card: Card) -> Tea | None:
    """Those of a card's model, if it is as large as a release."""
    size = (card.heads, card.blocks)
    if size == (30, 30):
        return COGVIDEOX_2B
    if size != (48, 42):
        return None
    if card.geometry.patch[0] == 1:
        return COGVIDEOX_5B
    return COGVIDEOX_1_5_I2V if card.needs else COGVIDEOX_1_5
