"""Runs that are guided in some of their steps, or in another way."""

from __future__ import annotations

import numpy as np
import pytest

from mlxvid.catalog import card_of
from mlxvid.errors import SettingError
from mlxvid.run.complete import complete
from mlxvid.run.evaluations import evaluations_of

from .resuming import resumed

pytestmark = pytest.mark.usefixtures("every_step_is_saved")

PROMPT = "a red ball moving left"
STEPS = 6
MINI = dict(width=32, height=32, frames=5, steps=STEPS, seed=7, guidance=4.0)


@pytest.fixture(scope="module")
def usual(loaded_mini):
    return loaded_mini.generate(PROMPT, **MINI).frames


def test_the_usual_guidance_is_the_clip_bit_for_bit(mini, usual):
    whole = {"guidance_method": "cfg", "guidance_start": 0, "guidance_stop": 1}
    assert np.array_equal(mini.generate(PROMPT, **MINI, **whole).frames, usual)


@pytest.mark.parametrize("batched", [True, False])
def test_an_interval_takes_one_pass_outside_of_it(mini, usual, rows, batched, monkeypatch):
    monkeypatch.setattr(mini.model, "batched", lambda *known: batched)
    part = {"guidance_start": 0.2, "guidance_stop": 0.7}
    clip = mini.generate(PROMPT, **MINI, **part)
    assert rows == ([1, 2, 2, 2, 1, 1] if batched else [1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert not np.array_equal(clip.frames, usual)
    assert clip.settings["guidance_start"] == 0.2
    model = {"model": "mini", "steps": STEPS, "guidance": 4.0}
    assert evaluations_of({**model, **part}) == (sum(rows), sum(rows))


@pytest.mark.parametrize("method", ["cfg-zero", "apg"])
def test_another_method_makes_another_clip_and_resumes(mini, usual, method):
    settings = {**MINI, "guidance_method": method}
    whole = mini.generate(PROMPT, **settings)
    assert whole.frames.std() > 5 and not np.array_equal(whole.frames, usual)
    again = resumed(mini, PROMPT, 3, **settings)
    assert np.array_equal(again.frames, whole.frames)


def test_cfg_zero_stands_still_in_the_first_steps_of_many(mini, rows):
    mini.generate(PROMPT, **{**MINI, "steps": 25}, guidance_method="cfg-zero")
    assert rows == [2] * 24


def test_with_a_step_cache(mini, rows):
    cached = {"cache": "easy", "cache_threshold": 10, "guidance_stop": 0.5}
    clip = mini.generate(PROMPT, **{**MINI, "steps": 12}, **cached)
    skipped, of = clip.settings["skipped"]
    assert (skipped, of) == (8, 12)
    assert rows == [2, 2, 2, 1]
    assert evaluations_of({"steps": 12, "guidance": 4.0, **cached}) == (7, 18)


def test_skipped_layers_take_a_pass_more_in_some_steps(mini, usual, rows):
    skipped = {"skip_layers": "1, 3", "skip_start": 0, "skip_stop": 0.5}
    clip = mini.generate(PROMPT, **MINI, **skipped)
    assert rows == [2, 2, 1, 2, 1, 2, 2, 2]
    assert not np.array_equal(clip.frames, usual) and clip.frames.std() > 5
    model = {"model": "mini", "steps": STEPS, "guidance": 4.0}
    assert evaluations_of({**model, **skipped}) == (14, 14)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"skip_layers": "6"}, ["6 blocks", "`skip_layers`"]),
        ({"skip_layers": "0,1,2,3,4,5"}, ["not all"]),
        ({"skip_layers": "nine"}, ["`skip_layers`", "7,8"]),
        ({"skip_layers": "1", "skip_stop": 0}, ["`skip_stop`"]),
        ({"guidance_start": 0.6, "guidance_stop": 0.4}, ["`guidance_stop`", "0.6"]),
        ({"guidance_stop": 0}, ["`guidance`"]),
        ({"guidance_start": 1.5}, ["`guidance_start`"]),
        ({"guidance_method": "strong"}, ["cfg-zero", "apg"]),
    ],
)
def test_refused(settings, words):
    with pytest.raises(SettingError) as error:
        complete(card_of("mini"), {"prompt": PROMPT, **settings})
    for word in words:
        assert word in str(error.value)


def test_a_model_with_guidance_of_its_own_takes_no_method():
    with pytest.raises(SettingError, match="`guidance_method`"):
        complete(card_of("ltx-video-0.9.1"), {"prompt": PROMPT, "guidance_method": "apg"})


def test_without_guidance_it_is_said_that_nothing_is_done(caplog):
    given = {"guidance": 1, "guidance_stop": 0.5, "guidance_method": "apg"}
    complete(card_of("mini"), {"prompt": PROMPT, **given})
    assert "`guidance_stop` and `guidance_method` do nothing" in caplog.text
