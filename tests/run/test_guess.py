"""Guesses of a run's time, from the operations of its plan."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlxvid.catalog import CATALOG, DEFAULT_MODEL
from mlxvid.model.machine import GIB, mac
from mlxvid.run.evaluations import passes_of
from mlxvid.run.guess import guessed_seconds
from mlxvid.run.planning import plan

MACHINE = replace(mac(64 * GIB), chip="Apple M2 Max")
STAGES = {"load", "encode", "denoise", "decode", "save"}
RELEASES = [name for name in CATALOG if name != DEFAULT_MODEL]


@pytest.mark.parametrize("name", list(CATALOG))
def test_every_model_has_a_guess_of_every_stage(name):
    seconds = guessed_seconds(plan(name, machine=MACHINE), passes_of({"model": name}))
    assert set(seconds) == STAGES
    assert all(part > 0 for part in seconds.values())


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_takes_minutes_to_a_day_on_a_large_mac(name):
    seconds = guessed_seconds(plan(name, machine=MACHINE), passes_of({"model": name}))
    assert 60 < sum(seconds.values()) < 24 * 3600


def test_longer_clips_take_longer_by_more_than_their_length():
    name = max(RELEASES, key=lambda name: sum(CATALOG[name].parameters.values()))
    frames = CATALOG[name].defaults.frames
    shorter = plan(name, frames=frames // 2, machine=MACHINE).operations["denoise"]
    longer = plan(name, frames=frames, machine=MACHINE).operations["denoise"]
    assert longer > 2 * shorter


def test_a_model_in_a_folder_counts_as_its_release_does(tiny_folder):
    own = plan(str(tiny_folder), machine=MACHINE)
    assert own.operations["denoise"] > 2 * own.tokens


def test_few_steps_without_guidance_take_less():
    planned = plan(DEFAULT_MODEL, machine=MACHINE)
    usual = guessed_seconds(planned, passes_of({}))
    few = guessed_seconds(planned, passes_of({"steps": 4, "guidance": 1.0}))
    assert few["denoise"] < usual["denoise"] / 5
    assert few["decode"] == usual["decode"]
