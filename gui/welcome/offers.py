"""The models that are offered to a newcomer: what fits this machine, the best first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlxvid.gui.core.choices import Choice
from mlxvid.gui.core.fits import fit_of, recommended
from mlxvid.model.card import Card
from mlxvid.model.machine import Machine
from mlxvid.run.evaluations import passes_of
from mlxvid.run.guess import guessed_seconds
from mlxvid.run.planning import plan

MOST = 3
# Seconds that somebody who begins waits for a clip.
PATIENCE = 90 * 60
_STORED_BITS = {"float32": 32, "bfloat16": 16, "float16": 16}


@dataclass(frozen=True)
class Offer:
    """One model. bits: of its weights in memory, None for as they are stored; seconds: guessed for
    its usual clip.
    """

    name: str
    bits: int | None
    stored_bits: int
    seconds: float


def offers(choices: Iterable[Choice], machine: Machine) -> list[Offer]:
    """The model to begin with, then others, each of another family.

    Of these the largest whose clips somebody who begins will wait for, then the quickest.

    Those that make clips of text, whose usual clip fits in memory, and that are downloaded as they
    are, under a licence that holds everywhere. It takes a while.
    """
    cards = [choice.card for choice in choices]
    best = recommended(cards, machine)
    if best is None:
        return []
    plain = [card for card in cards if _is_plain(card) and card is not best]
    found = [offer for card in plain if (offer := _offer(card, machine)) is not None]
    known = {card.name: card for card in cards}
    chosen = [_offer(best, machine)]
    taken = {best.family.name}
    for offer in sorted(found, key=lambda offer: _order(offer, known[offer.name])):
        family = known[offer.name].family.name
        if family not in taken:
            taken.add(family)
            chosen.append(offer)
    return [offer for offer in chosen if offer is not None][:MOST]


def _order(offer: Offer, card: Card) -> tuple[bool, float]:
    if offer.seconds > PATIENCE:
        return True, offer.seconds
    return False, -sum(card.parameters.values())


def _is_plain(card: Card) -> bool:
    """Whether it is had by one download and makes clips of text, for anybody."""
    return bool(card.places) and not (card.is_in_files or card.needs or card.family.terms)


def _offer(card: Card, machine: Machine) -> Offer | None:
    fit = fit_of(card, machine)
    if not fit.usual:
        return None
    planned = plan(card, quantize=fit.bits, machine=machine)
    seconds = sum(guessed_seconds(planned, passes_of({"model": card.name})).values())
    return Offer(card.name, fit.bits, _STORED_BITS[card.dtype], seconds)
