"""Draft, standard and best of every model in the catalog."""

from __future__ import annotations

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.model.levels import BEST, DRAFT, STANDARD, levels
from mlxvid.run.planning import plan


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_a_level_costs_more_than_the_one_before(card):
    found = levels(card)
    costs = []
    for settings in found.values():
        size = {name: settings[name] for name in ("width", "height")}
        planned = plan(card, **size)
        assert (planned.width, planned.height) == tuple(size.values())
        costs.append(planned.tokens * settings["steps"])
    assert costs == sorted(set(costs))
    defaults = card.defaults
    standard = (defaults.width, defaults.height, defaults.steps)
    assert tuple(found[STANDARD][name] for name in ("width", "height", "steps")) == standard
    assert all(settings.keys() == found[DRAFT].keys() for settings in found.values())


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_distilled_models_have_their_own_steps_at_every_level(card):
    found = levels(card)
    distilled = card.defaults.steps <= 12
    assert (BEST in found) is not distilled
    if distilled:
        assert found[DRAFT]["steps"] == card.defaults.steps


def test_a_tiny_decoder_decodes_drafts_and_nothing_else():
    able = next(card for card in CATALOG.values() if "draft_decode" in card.takes)
    found = levels(able, tiny_decoder=True)
    assert found[DRAFT]["draft_decode"] is True
    assert found[STANDARD]["draft_decode"] is found[BEST]["draft_decode"] is None
    assert "draft_decode" not in levels(able)[DRAFT]
    assert "draft_decode" not in levels(CATALOG["mini"], tiny_decoder=True)[DRAFT]


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_a_familys_own_draft(card):
    preset = card.family.presets.get(DRAFT)
    found = levels(card)
    own = card.defaults.width * card.defaults.height
    if not preset or preset["width"] * preset["height"] >= own:
        assert "options" not in found[DRAFT]
        return
    assert all(found[DRAFT][side] == preset[side] for side in ("width", "height"))
    offered = {name: value for name, value in preset["options"].items() if card.offers(name)}
    assert found[DRAFT].get("options", {}) == offered
    assert found[STANDARD].get("options", {}) == dict.fromkeys(offered)
