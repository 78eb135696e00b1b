"""Which models suit this machine: the weights with which they fit, and the one to begin with.

It is arithmetic from cards: nothing is loaded or read for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlxvid.errors import MlxvidError
from mlxvid.model.card import Card
from mlxvid.model.machine import GIB, Machine
from mlxvid.run.planning import plan

from .messages import shown

BITS = (None, 8, 4)
"""Weights to try, in this order: as they are, then quantized to so many bits."""

# Operations of a clip that somebody who begins will wait for: about an hour of a small Mac's GPU.
_PATIENCE = 1e16


@dataclass(frozen=True)
class Fit:
    """How a model fits in this machine's memory.

    usual: whether its usual clip does, with weights of so many `bits` (None: as they are). any:
    whether some clip does, with 4 bits. needed: bytes that the usual clip takes with these weights,
    or where nothing fits the smallest clip. usable: bytes that the machine has to give. error: why
    no plan can be made, "" where it can.
    """

    usual: bool
    any: bool = True
    bits: int | None = None
    needed: int = 0
    usable: int = 0
    error: str = ""

    @property
    def rank(self) -> int:
        """0 for a model that fits as it is, up to 4 for one that doesn't."""
        if self.usual:
            return BITS.index(self.bits)
        return len(BITS) if self.any else len(BITS) + 1

    @property
    def word(self) -> str:
        """The fit in a few words."""
        if self.usual:
            return f"Fits with {self.bits}-bit weights" if self.bits else "Fits"
        return "Fits with smaller clips" if self.any else "Won't fit in memory"

    @property
    def sentence(self) -> str:
        """The same in full, with numbers."""
        if self.error:
            return self.error
        needed = self.needed / GIB
        usable = self.usable / GIB
        if self.usual:
            return f"{self.word}: its usual clip takes about {needed:.1f} of {usable:.1f} GiB."
        if self.any:
            return (
                "Fits with 4-bit weights and smaller clips: "
                f"its usual clip takes about {needed:.0f} GiB."
            )
        return (
            f"Won't fit: it needs at least {needed:.0f} GiB, "
            f"and this machine has {usable:.0f} GiB for it."
        )


def fit_of(card: Card, machine: Machine) -> Fit:
    """How a model fits in the memory of a machine."""
    usable = machine.usable
    try:
        for bits in BITS:
            usual = plan(card, quantize=bits, machine=machine)
            if usual.fits:
                return Fit(True, bits=bits, needed=usual.peak_bytes, usable=usable)
        least = plan(card, frames=1, width=64, height=64, quantize=4, machine=machine)
    except MlxvidError as error:
        return Fit(False, any=False, usable=usable, error=shown(error))
    if least.fits:
        return Fit(False, bits=4, needed=usual.peak_bytes, usable=usable)
    return Fit(False, any=False, needed=least.peak_bytes, usable=usable)


def recommended(cards: Iterable[Card], machine: Machine) -> Card | None:
    """The model to begin with on a machine: one to download that makes clips of text.

    The largest whose usual clip fits with weights of 8 bits or more and takes no day; of several
    the one that takes least, and of these the latest. Licences that don't hold everywhere, and
    releases that have to be converted first, are for those who choose them. None where there is no
    such model.
    """
    best: tuple[int, float] | None = None
    chosen = None
    for card in cards:
        plain = card.places and not card.is_in_files and not card.family.terms
        if not plain or card.needs:
            continue
        work = _operations(card, machine)
        fit = fit_of(card, machine)
        if not fit.usual or fit.bits == 4 or work > _PATIENCE:
            continue
        score = (_denoiser_size(card), -work)
        if best is None or score >= best:
            best = score
            chosen = card
    return chosen


def _denoiser_size(card: Card) -> int:
    """Parameters of the network that the steps call, in tenths of a billion: releases of one size
    differ by less.
    """
    parts = card.family.parts
    sizes = [size for name, size in card.parameters.items() if parts[name].stage == "denoise"]
    return round(max(sizes, default=0) / 1e8)


def _operations(card: Card, machine: Machine) -> float:
    """Floating-point operations of its usual clip's steps."""
    stages = card.counted({})
    passes = sum(len(step) * stage.share for stage in stages for step in stage.steps)
    return passes * plan(card, machine=machine).operations["denoise"]
