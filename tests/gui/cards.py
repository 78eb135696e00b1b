"""Models of the catalog by what they take, so that tests name none of them."""

from __future__ import annotations

from mlxvid.catalog import CATALOG


def _first(takes: str, needs: frozenset[str] = frozenset()) -> str:
    """The name of the first model that takes a setting and needs exactly these pictures."""
    return next(
        card.name for card in CATALOG.values() if takes in card.takes and card.needs == needs
    )


WITH_LORAS = _first("loras")
WITH_FIRST_PICTURE = _first("image", frozenset({"image"}))
WITH_BOTH_PICTURES = _first("image", frozenset({"image", "last_image"}))
WITH_CLIPS = _first("extend")
LARGEST = max(CATALOG.values(), key=lambda card: sum(card.parameters.values())).name
