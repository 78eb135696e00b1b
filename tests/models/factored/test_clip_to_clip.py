"""Clips of the factored family made from others."""

from __future__ import annotations

import numpy as np
import pytest

import mlxvid
from tests.models import clip_to_clip
from tests.models.factored.test_mini import column_of_red


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_all_that_the_pipeline_promises(tiny, monkeypatch, sampler):
    clip_to_clip.check(tiny, monkeypatch, width=48, height=32, frames=9, sampler=sampler)


def test_the_embedded_model_keeps_a_clips_motion():
    """Where the prompt alone would have it go the other way."""
    mini = mlxvid.load("mini")
    settings = dict(seed=2, steps=8, frames=17)
    clip = mini.generate("a red ball moving left on a white background", **settings)
    back = "a red ball moving right on a white background"
    kept = mini.generate(back, video=clip, strength=0.4, **settings).frames
    free = mini.generate(back, **settings).frames
    assert column_of_red(kept[-3]) < column_of_red(kept[2]) - 5
    assert column_of_red(free[-3]) > column_of_red(free[2]) + 5


def test_the_embedded_model_paints_a_clips_thing_anew():
    """At half of its strength the motion is the clip's and the colour the prompt's."""
    mini = mlxvid.load("mini")
    settings = dict(seed=2, steps=8, frames=17)
    clip = mini.generate("a red ball moving left on a white background", **settings)
    prompt = "a blue ball moving left on a white background"
    made = mini.generate(prompt, video=clip, strength=0.5, **settings).frames
    for number in (2, 8, 14):
        as_red = made[number][..., ::-1]
        assert abs(column_of_red(as_red) - column_of_red(clip.frames[number])) < 5
        assert amount_of_red(as_red) > 20 * amount_of_red(made[number])


def amount_of_red(frame: np.ndarray) -> int:
    """How many pixels are more red than anything else."""
    return int((frame[..., 0].astype(int) - frame[..., 1:].max(-1) > 60).sum())
