"""Open-Sora's clips made from others: of one piece and of several."""

from __future__ import annotations

import numpy as np

from tests.models import clip_to_clip

SIZE = {"width": 48, "height": 32}


def test_all_that_the_pipeline_promises(pipe, monkeypatch):
    clip_to_clip.check(pipe, monkeypatch, frames=17, guidance=1.0, **SIZE)


def test_a_long_clip_in_pieces(pipe, short_pieces, monkeypatch):
    clip_to_clip.check(pipe, monkeypatch, frames=51, stages=2, guidance=1.0, **SIZE)


def test_a_picture(pipe):
    given = clip_to_clip.coarse_clip(1, 48, 32, 1)
    settings = {"frames": 1, "steps": 4, "seed": 3, **SIZE}
    half = pipe.generate("a ball", video=given, strength=0.5, **settings).frames
    assert half.shape == given.shape
    assert not np.array_equal(half, pipe.generate("a ball", **settings).frames)
