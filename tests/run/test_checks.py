"""The gates: what is broken or shows nothing is an error that says so, and what it was made from is
kept.
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import DegenerateClipError
from mlxvid.run import checks
from tests.facts import facts


def latents(*changes) -> mx.array:
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 4, 4)).astype(np.float32)
    for value in changes:
        x[0, 1, 2, 3, 0] = value
    return mx.array(x)


def test_valid_latents_pass():
    checks.check_latents(latents(), "here")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_latents_that_are_not_finite(value):
    expected = facts("not finite", "after step 2 of 5", "`dtype` float32")
    with pytest.raises(DegenerateClipError, match=expected):
        checks.check_latents(latents(value), "after step 2 of 5")


def test_latents_that_do_not_vary():
    expected = facts("do not vary", "here", "nothing", "`dtype` float32")
    with pytest.raises(DegenerateClipError, match=expected):
        checks.check_latents(mx.full((1, 3, 4, 4, 4), 2.0), "here")


def test_pixels_that_are_not_finite():
    checks.check_pixels(latents()[0])
    with pytest.raises(DegenerateClipError, match=facts("frames", "not finite", "`dtype`")):
        checks.check_pixels(latents(np.nan)[0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_clip_of_one_colour(colour):
    frames = np.full((3, 4, 4, 3), colour, np.uint8)
    frames[1, 2, 2] ^= 1  # rounding is no picture
    with pytest.raises(DegenerateClipError, match=facts("single colour", "`dtype`", "seed")):
        checks.check_frames(frames)


@pytest.mark.parametrize("channel", range(3))
def test_a_clip_that_varies_in_one_channel_or_in_time_alone_is_a_clip(channel):
    frames = np.full((3, 4, 4, 3), 128, np.uint8)
    frames[2, ..., channel] += 5
    checks.check_frames(frames)


@pytest.mark.parametrize(
    ("message", "is_memory"),
    [
        ("[metal::malloc] Attempting to allocate 99 bytes which is greater than the maximum", True),
        ("[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPU…)", True),
        ("[METAL] Command buffer execution failed: Caused GPU Timeout Error", False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(message, is_memory):
    assert checks.is_out_of_memory(RuntimeError(message)) == is_memory
