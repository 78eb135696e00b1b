"""The models window."""

from __future__ import annotations

from mlxvid.catalog import CATALOG

from .studio import Studio, scene, wait


@scene()
def models(studio: Studio) -> None:
    """A model that is not on this machine."""
    studio.window.tools.show_models()
    panel = studio.window.tools.models
    wait(lambda: panel.chosen() is not None, "The models")
    panel.select(next(card.name for card in CATALOG.values() if card.places))
    studio.shoot("models", panel.window())
    panel.window().close()
