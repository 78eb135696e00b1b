"""TeaCache's constants of LTX-Video, by ali-vilab/TeaCache, fitted to its first release."""

from __future__ import annotations

from typing import Any

from mlxvid.model.caching import Tea

LTX_VIDEO = Tea((21.4700694, -12.8016453, 2.31279151, 0.792487521, 0.00969274326), 0.03)
# Of one size and one training; later ones were trained anew.
RELEASES = ("0.9.0", "0.9.1")


def constants(card: Any) -> Tea | None:
    """Those of an LTX card's model."""
    return LTX_VIDEO if card.recipe.release in RELEASES else None
