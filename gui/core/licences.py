"""Licences that have to be read and accepted before a model is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.catalog import CATALOG
from mlxvid.model.card import Card

from .preferences import Preferences

# Those that let anybody use a model for anything.
_OPEN = frozenset({"Apache-2.0", "MIT", "BSD-3-Clause", "CC0-1.0"})
_ACCEPTED = "accepted_licences"


@dataclass(frozen=True)
class Licence:
    """A licence with conditions. page: where it can be read."""

    name: str
    sentence: str
    page: str


def page_of(repository: str) -> str:
    """The address of a repository's page on the hub."""
    return f"https://huggingface.co/{repository}"


def licence_to_accept(card: Card | None, preferences: Preferences) -> Licence | None:
    """The licence that the user has to accept before a model is downloaded; None for none, or for
    one that was accepted.
    """
    if card is None or card.repository is None:
        return None
    name = card.licence
    terms = card.family.terms
    accepted = preferences.recall(_ACCEPTED, [])
    if name in accepted or not terms and (not name or name in _OPEN):
        return None
    sentence = "Its licence has conditions, on commercial use or others: read it before you go on."
    if terms:
        sentence = terms[:1].upper() + terms[1:]
    return Licence(name, sentence, page_of(card.repository))


def card_named(source: str) -> Card | None:
    """The catalog's model that a name, or a repository of the hub, is or becomes; or None."""
    wanted = source.strip().lower()
    for card in CATALOG.values():
        places = [place.repository for place in card.places]
        names = (card.name, *card.aliases, *places, *card.originals)
        if wanted in [name.lower() for name in names]:
            return card
    return None


def accept(licence: Licence, preferences: Preferences) -> None:
    """Remember that the user accepts a licence."""
    accepted = preferences.recall(_ACCEPTED, [])
    if licence.name not in accepted:
        preferences.remember(_ACCEPTED, [*accepted, licence.name])
