"""What a machine is taken to reach, by its chip's name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlxvid.model.machine import GIB, Machine, mac
from mlxvid.model.speed import speed_of


def speed(chip: str) -> float:
    return speed_of(replace(mac(64 * GIB), chip=chip)).products


def test_an_m1_reaches_what_apple_says_of_it_less_what_products_lose():
    assert 0.5 * 2.6e12 < speed("Apple M1") < 0.8 * 2.6e12


@pytest.mark.parametrize("generation", [1, 2, 3, 4, 5])
def test_larger_chips_are_faster(generation):
    name = f"Apple M{generation}"
    speeds = [speed(f"{name} {kind}".strip()) for kind in ("", "Pro", "Max", "Ultra")]
    assert speeds == sorted(speeds)
    assert len(set(speeds)) == len(speeds)


def test_a_chip_that_came_later_counts_as_the_latest_known():
    assert speed("Apple M9 Pro") == speed("Apple M5 Pro")


def test_a_mac_of_an_unknown_chip_counts_as_an_m1():
    assert speed("") == speed("Apple M1")


def test_a_gpu_is_faster_than_a_processor():
    assert speed("Apple M1") > speed_of(Machine("Linux", 16 * GIB, 12 * GIB, False)).products / 64
