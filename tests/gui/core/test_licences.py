"""Licences with conditions are asked for once."""

from __future__ import annotations

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.fetching import why_not
from mlxvid.gui.core.licences import accept, card_named, licence_to_accept
from mlxvid.gui.core.preferences import Preferences


def test_open_licences_are_not_asked_about(preferences):
    is_open = [card for card in CATALOG.values() if card.licence == "Apache-2.0"]
    assert is_open
    assert not any(licence_to_accept(card, preferences) for card in is_open)


def test_what_a_licence_restricts_is_said_and_accepted_once(preferences, machine):
    card = next(card for card in CATALOG.values() if card.family.terms)
    licence = licence_to_accept(card, preferences)
    assert licence.name == card.licence
    assert card.family.terms[1:] in licence.sentence
    assert card.repository in licence.page
    assert "licence" in why_not(Choices(preferences, machine).find(card.name))
    accept(licence, preferences)
    preferences.save()
    assert licence_to_accept(card, Preferences()) is None
    assert "licence" not in why_not(Choices(preferences, machine).find(card.name))


def test_a_release_is_known_by_all_its_names():
    card = next(card for card in CATALOG.values() if card.originals)
    for name in (card.name, card.repository, card.originals[0].upper()):
        assert card_named(name) is not None
    assert card_named("/some/folder") is None


def test_other_conditions_are_asked_about_too(preferences):
    others = [
        card
        for card in CATALOG.values()
        if card.places and card.licence != "Apache-2.0" and not card.family.terms
    ]
    for card in others:
        assert "conditions" in licence_to_accept(card, preferences).sentence
