"""The ways to have a model, and what each needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.gui.core.disks import Disks
from mlxvid.gui.core.variants import variants_of
from mlxvid.model.machine import GIB, Machine
from mlxvid.models import card_of
from tests.gui.cards import LARGEST, WITH_LORAS

CARD = CATALOG[WITH_LORAS]
ROOMY = Disks(Path("/a"), Path("/b"), 10**12, 10**12, one=True)
MACHINE = Machine("Test", 200 * GIB, 160 * GIB, True)


def test_smaller_weights_take_less_of_everything():
    whole, eight, four = variants_of(CARD, CARD.download_bytes, ROOMY, MACHINE)
    assert (whole.bits, eight.bits, four.bits) == (None, 8, 4)
    assert whole.copy == 0 and whole.most == CARD.download_bytes
    assert CARD.download_bytes > eight.copy > four.copy > 0
    assert eight.most == CARD.download_bytes + eight.copy
    assert not (whole.problem or eight.problem or four.problem)


@pytest.mark.parametrize("one", [True, False])
def test_what_a_disk_lacks_is_told_before_anything_is_fetched(one):
    download = CARD.download_bytes
    disks = Disks(Path("/down"), Path("/copies"), download + 2 * 10**9, 3 * 10**9, one)
    whole, eight, four = variants_of(CARD, download, disks, MACHINE)
    assert not whole.problem
    assert ("/down" if one else "/copies") in eight.problem
    assert "Settings" in four.problem


def test_what_memory_lacks_is_told_too():
    small = dataclasses.replace(MACHINE, total=6 * GIB, usable=4 * GIB)
    problems = [v.problem for v in variants_of(CATALOG[LARGEST], 10**9, ROOMY, small)]
    assert all("memory" in problem for problem in problems)


def test_a_release_in_files_is_always_a_copy():
    card = next(card for card in CATALOG.values() if card.is_in_files)
    assert all(variant.copy for variant in variants_of(card, 10**9, ROOMY, MACHINE))


def test_a_small_model_has_no_smaller_copies(tiny_folder):
    (variant,) = variants_of(card_of(tiny_folder), 0, ROOMY, MACHINE)
    assert variant.bits is None and variant.most == 0


def test_folders_that_do_not_exist_are_on_a_disk_too(tmp_path):
    disks = Disks.at(tmp_path / "x" / "y", tmp_path)
    assert disks.one and disks.free_for_downloads > 0
