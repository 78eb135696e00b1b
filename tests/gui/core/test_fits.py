"""Which models fit in a machine's memory, and the one that is recommended."""

from __future__ import annotations

import dataclasses

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.fits import fit_of, recommended
from mlxvid.model.machine import GIB, Machine, mac
from tests.gui.cards import WITH_LORAS


@pytest.mark.parametrize(
    ("gib", "rank", "words"),
    [
        (256, 0, "Fits: "),
        (8, 0, "Fits: "),
        (5, 3, "4-bit weights"),
        (1, 4, "Won't fit"),
    ],
)
def test_whether_a_model_fits_in_memory(gib, rank, words):
    fit = fit_of(CATALOG[WITH_LORAS], Machine("Test", 2 * gib * GIB, gib * GIB, True))
    assert fit.rank == rank
    assert fit.any is (rank < 4)
    assert words in fit.sentence
    assert " GiB" in fit.sentence


@pytest.mark.parametrize("gb", [8, 16, 24, 36, 64, 128])
def test_what_is_recommended_fits_and_makes_clips_of_text(gb):
    machine = mac(gb * GIB)
    card = recommended(CATALOG.values(), machine)
    assert card is not None
    assert fit_of(card, machine).usual
    assert not card.needs
    assert not card.family.terms
    assert card.places and not card.is_in_files


def test_a_larger_mac_gets_a_larger_model():
    small = recommended(CATALOG.values(), mac(16 * GIB))
    large = recommended(CATALOG.values(), mac(64 * GIB))
    assert max(small.parameters.values()) < max(large.parameters.values())


def test_of_releases_alike_the_latest_is_recommended():
    card = recommended(CATALOG.values(), mac(16 * GIB))
    later = dataclasses.replace(card, name="later")
    assert recommended([card, later], mac(16 * GIB)) is later


def test_nothing_is_recommended_where_nothing_fits():
    assert recommended(CATALOG.values(), Machine("Small", 2 * GIB, GIB, False)) is None
