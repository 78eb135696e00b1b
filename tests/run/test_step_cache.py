"""Runs with a step cache: what is left out, told, kept, and resumed; and what is refused."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

import mlxvid
from mlxvid.catalog import card_of
from mlxvid.errors import SettingError
from mlxvid.media.clip import read_settings
from mlxvid.model.caching import Tea
from mlxvid.model.machine import GIB, this_machine
from mlxvid.model.shot import Shot
from mlxvid.run.complete import complete
from mlxvid.run.evaluations import evaluations_of
from mlxvid.run.planning import plan
from mlxvid.run.repeat import repeatable

from .resuming import resumed
from .throwaway import pipeline

pytestmark = pytest.mark.usefixtures("every_step_is_saved")

PROMPT = "a red ball moving left"
STEPS = 12
MINI = dict(width=32, height=32, frames=5, steps=STEPS, seed=7)
EASY = {**MINI, "cache": "easy", "cache_threshold": 0.3}


@pytest.mark.parametrize(("sampler", "calls"), [("euler", STEPS), ("heun", 2 * STEPS - 1)])
def test_nothing_left_out_is_the_clip_bit_for_bit(mini, sampler, calls):
    settings = {**MINI, "sampler": sampler, "guidance": 1.0 if sampler == "heun" else 4.0}
    off = mini.generate(PROMPT, **settings, cache="off")
    none = mini.generate(PROMPT, **settings, cache="easy", cache_threshold=0)
    assert np.array_equal(none.frames, off.frames)
    assert none.settings["skipped"] == [0, calls]
    assert "skipped" not in off.settings


@pytest.mark.parametrize(("guidance", "batched"), [(1.0, False), (4.0, False), (4.0, True)])
def test_what_is_left_out_is_counted_and_told(mini, guidance, batched, rows, monkeypatch, caplog):
    monkeypatch.setattr(mini.model, "batched", lambda *known: batched)
    seen = []
    with caplog.at_level(logging.INFO, "mlxvid"):
        clip = mini.generate(PROMPT, **EASY, guidance=guidance, on_progress=seen.append)
    passes = 1 if guidance == 1 else 2
    skipped, of = clip.settings["skipped"]
    assert of == STEPS and 0 < skipped < STEPS - 4
    assert sum(rows) == passes * (of - skipped)
    assert f"left out {skipped} of {of}" in caplog.text
    steps = [progress for progress in seen if progress.stage == "denoise"]
    assert steps[0].skipped == 0 and steps[-1].skipped == skipped
    assert {progress.skipped for progress in seen if progress.stage == "decode"} == {0}
    assert clip.frames.std() > 5


def test_a_resumed_run_is_the_unbroken_one(mini):
    whole = mini.generate(PROMPT, **EASY)
    clip = resumed(mini, PROMPT, 8, **EASY)
    assert np.array_equal(clip.frames, whole.frames)
    assert clip.settings["skipped"] == whole.settings["skipped"]


@pytest.mark.parametrize("kind", ["stages", "networks"])
def test_resumed_after_any_step(kind, tmp_path):
    pipe = toy(kind, tmp_path)
    settings = {"seed": 5, "steps": STEPS, "cache": "easy", "cache_threshold": 0.5}
    whole = pipe.generate(PROMPT, **settings)
    skipped, of = whole.settings["skipped"]
    assert skipped > 3
    for after in range(1, of):
        clip = resumed(pipe, PROMPT, after, **settings)
        assert np.array_equal(clip.frames, whole.frames)
        assert clip.settings["skipped"] == [skipped, of]


def toy(kind, folder):
    """A pipeline of the throw-away model `kind`, which was made for more steps than a few."""
    pipe = pipeline(kind, folder / "model")
    defaults = replace(pipe.model.card.defaults, steps=15)
    pipe.model.card = replace(pipe.model.card, defaults=defaults)
    return pipe


def test_it_stands_in_the_file_and_is_no_setting(mini, tmp_path):
    clip = mini.generate(PROMPT, **EASY)
    path = tmp_path / "clip.mp4"
    clip.save(path)
    settings = read_settings(path)
    assert settings["skipped"] == clip.settings["skipped"]
    again = repeatable(settings, str(path))
    assert again["cache"] == "easy" and "skipped" not in again


@pytest.mark.parametrize(("kind", "calls"), [("stages", 18), ("networks", 15), ("chunks", 45)])
def test_it_begins_anew_with_each_stage_and_network(kind, calls, tmp_path):
    settings = {"seed": 5, "steps": 15, "cache": "easy", "cache_threshold": 10}
    clip = toy(kind, tmp_path).generate("a ball", **settings)
    skipped, of = clip.settings["skipped"]
    # Of 15 steps three are computed, and the last; of a stage of three all of them; of the
    # second network two more.
    wanted = {"stages": 11, "networks": 11 - 2, "chunks": 33}
    assert of == calls and skipped <= wanted[kind]
    assert skipped >= wanted[kind] - 6


# --- tea -----------------------------------------------------------------------------------------

WAN = dict(width=48, height=32, frames=5, steps=STEPS, seed=7)
TEA = Tea((2.0, -0.5, 1.5, 0.01), 0.1)


@pytest.fixture(scope="module")
def wan(tmp_path_factory):
    pytest.importorskip("diffusers")
    from tests.models.wan.tiny import write_model

    folder = tmp_path_factory.mktemp("wan") / "t2v"
    write_model(folder, "t2v")
    pipe = mlxvid.load(str(folder))
    card = pipe.model.card
    pipe.model.card = replace(card, family=replace(card.family, tea=lambda card: TEA))
    return pipe


def test_tea_that_leaves_nothing_out_is_the_clip_bit_for_bit(wan):
    whole = wan.generate(PROMPT, **WAN)
    none = wan.generate(PROMPT, **WAN, cache="tea", cache_threshold=0)
    assert np.array_equal(none.frames, whole.frames)
    assert none.settings["skipped"][0] == 0


def test_tea_resumed_is_the_unbroken_run(wan):
    settings = {**WAN, "cache": "tea", "cache_threshold": 3}
    whole = wan.generate(PROMPT, **settings)
    skipped, of = whole.settings["skipped"]
    assert 2 < skipped < of - 2
    clip = resumed(wan, PROMPT, 5, **settings)
    assert np.array_equal(clip.frames, whole.frames)
    assert clip.settings["skipped"] == [skipped, of]


def test_a_model_without_constants_names_those_that_have_some():
    larger = replace(card_of("mini"), blocks=8)
    with pytest.raises(SettingError) as error:
        complete(larger, {"prompt": PROMPT, "cache": "tea"})
    for word in ("`cache`", "easy", "latte-1", "wan2.1-t2v-1.3b"):
        assert word in str(error.value)


def test_what_tea_keeps_is_planned():
    machine = this_machine(16 * GIB)
    whole = plan("wan2.1-t2v-1.3b", machine=machine)
    cached = plan("wan2.1-t2v-1.3b", machine=machine, cache="tea")
    values = whole.tokens * 1536
    size = 4 if not machine.metal else 2
    kept = cached.stage_bytes["denoise"] - whole.stage_bytes["denoise"]
    assert kept == 7 * values * size  # the input, the signal, and what two passes add, each twice


def test_what_tea_keeps_of_a_third_pass_is_planned(mini, monkeypatch):
    kept = Shot.kept
    sizes = []

    def weighed(shot):
        arrays = kept(shot)
        sizes.append(sum(a.nbytes for name, a in arrays.items() if "residual" in name))
        return arrays

    monkeypatch.setattr(Shot, "kept", weighed)
    held = []
    planned = []
    size = {"width": 64, "height": 64, "frames": 9}
    for more in ({}, {"skip_layers": "1"}):
        sizes.clear()
        mini.generate(PROMPT, **{**MINI, **size}, **more, cache="tea", skip_stop=1)
        held.append(max(sizes))
        planned.append(plan("mini", **size, **more, cache="tea").stage_bytes["denoise"])
    assert held[1] - held[0] == held[0] / 2 > 0
    # As much again is in the state that is saved.
    assert planned[1] - planned[0] == 2 * (held[1] - held[0])


# --- what is refused, and planned ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 11}, ["11 steps", "12 `steps`", "`cache`"]),
        ({"steps": 20, "video": "given", "strength": 0.5}, ["10 steps"]),
        ({"cache": "slow"}, ["`cache`", "off, easy"]),
        ({"cache_threshold": -1}, ["`cache_threshold`"]),
    ],
)
def test_refused(settings, words):
    if "video" in settings:
        settings = {**settings, "video": np.zeros((9, 48, 64, 3), np.uint8)}
    with pytest.raises(SettingError) as error:
        complete(card_of("mini"), {"prompt": PROMPT, "cache": "easy", **settings})
    for word in words:
        assert word in str(error.value)


def test_refused_by_a_model_of_few_steps():
    card = card_of("mini")
    few = replace(card, defaults=replace(card.defaults, steps=4))
    with pytest.raises(SettingError, match="made for 4 steps.*`cache`"):
        complete(few, {"prompt": PROMPT, "steps": 20, "cache": "easy"})


def test_a_threshold_alone_is_told(caplog):
    complete(card_of("mini"), {"prompt": PROMPT, "cache_threshold": 0.1})
    assert "`cache_threshold`" in caplog.text


def test_plans_say_the_range_and_what_is_kept():
    machine = this_machine(16 * GIB)
    whole = plan("wan2.1-t2v-1.3b", machine=machine)
    cached = plan("wan2.1-t2v-1.3b", machine=machine, cache="easy")
    latents = 4 * whole.latent_values * 4  # two inputs and two outputs, of four bytes a value
    assert cached.stage_bytes["denoise"] - whole.stage_bytes["denoise"] == latents
    wan = {"model": "wan2.1-t2v-1.3b"}
    assert evaluations_of(wan) == (100, 100)
    assert evaluations_of({**wan, "cache": "easy"}) == (22, 100)
    assert evaluations_of({**wan, "cache": "easy", "steps": 11}) == (22, 22)
    assert evaluations_of({**wan, "cache": "easy", "skipped": [30, 50]}) == (40, 40)
    assert evaluations_of({**wan, "sampler": "heun", "steps": 20, "guidance": 1}) == (39, 39)
