"""Three levels of care with which a model makes a clip, after its card. No MLX here."""

from __future__ import annotations

from typing import Any

from mlxvid.errors import SettingError

from .card import Card

DRAFT = "draft"
STANDARD = "standard"
BEST = "best"

# Of the sides and of the steps: a draft is made in about a quarter of the time.
_DRAFT_SIDES = 2 / 3
_DRAFT_STEPS = 0.6
_BEST_STEPS = 1.5
# Models with so few steps by default were distilled for them; others make nothing better.
_DISTILLED_STEPS = 12


def levels(card: Card, tiny_decoder: bool = False) -> dict[str, dict[str, Any]]:
    """Settings by level, from the quickest on.

    Each has `width`, `height` and `steps`, and what else the levels of this card differ in, the
    family's options among them; None stands for the model's own. A distilled model has no better
    than its standard. The draft is the family's preset of that name where that is smaller than the
    model's own size. tiny_decoder: whether there is one on this machine, which then decodes drafts.
    """
    defaults = card.defaults
    own = {"width": defaults.width, "height": defaults.height, "steps": defaults.steps}
    draft = _draft(card)
    if tiny_decoder and "draft_decode" in card.takes:
        draft["draft_decode"] = True
    differing: dict[str, Any] = dict.fromkeys(draft)
    if "options" in draft:
        differing["options"] = dict.fromkeys(draft["options"])
    found = {DRAFT: draft, STANDARD: differing | own}
    if defaults.steps > _DISTILLED_STEPS:
        found[BEST] = differing | own | {"steps": round(_BEST_STEPS * defaults.steps)}
    return found


def _draft(card: Card) -> dict[str, Any]:
    defaults = card.defaults
    width, height = _draft_size(card)
    steps = defaults.steps
    if steps > _DISTILLED_STEPS:
        steps = round(_DRAFT_STEPS * steps)
    found: dict[str, Any] = {"width": width, "height": height, "steps": steps}
    preset = card.family.presets.get(DRAFT, {})
    pixels = preset.get("width", defaults.width) * preset.get("height", defaults.height)
    if pixels < defaults.width * defaults.height:
        found |= {name: value for name, value in preset.items() if name != "options"}
        options = preset.get("options", {})
        offered = {name: value for name, value in options.items() if card.offers(name)}
        if offered:
            found["options"] = offered
    return found


def _draft_size(card: Card) -> tuple[int, int]:
    """A smaller width and height; the model's own where it has no others."""
    own = (card.defaults.width, card.defaults.height)
    smaller = [round(_DRAFT_SIDES * side) for side in own]
    try:
        width, height, _ = card.geometry.round_size(*smaller)
    except SettingError:
        return own
    return width, height
