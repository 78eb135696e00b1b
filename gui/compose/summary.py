"""What is folded away, in a line."""

from __future__ import annotations

from typing import Any

from mlxvid.model.card import Card

_DOT = " · "


def summary(settings: dict[str, Any], card: Card, keeps_seed: bool) -> str:
    """The settings that are folded away; the rare ones only where they aren't the model's own."""
    parts = [
        f"{settings['steps']} steps",
        f"guidance {settings['guidance']:g}",
        f"{settings['fps']:g} fps",
    ]
    if keeps_seed:
        parts.append(f"seed {settings['seed']}")
    loras = len(settings.get("loras", ()))
    if loras:
        parts.append("1 LoRA" if loras == 1 else f"{loras} LoRAs")
    if settings.get("sampler", card.defaults.sampler) != card.defaults.sampler:
        parts.append(str(settings["sampler"]))
    if settings.get("quantize"):
        parts.append(f"{settings['quantize']} bits")
    if settings.get("draft_decode"):
        parts.append("draft decoder")
    return _DOT.join(parts)
