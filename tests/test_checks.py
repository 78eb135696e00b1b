"""The gates: what is broken or shows nothing is an error that says so, and what it was made from is kept."""

from __future__ import annotations

import json
import os

import mlx.core as mx
import numpy as np
import pytest

from mlxvid import checks, keep
from mlxvid.errors import CancelledError, DegenerateClipError


def latents(*changes) -> mx.array:
    x = np.random.default_rng(0).standard_normal((1, 3, 4, 4, 4)).astype(np.float32)
    for value in changes:
        x[0, 1, 2, 3, 0] = value
    return mx.array(x)


def test_sound_latents_pass():
    checks.check_latents(latents(), "here")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_latents_that_are_not_finite(value):
    with pytest.raises(DegenerateClipError) as caught:
        checks.check_latents(latents(value), "after step 2 of 5")
    assert str(caught.value) == (
        "The latents have values that are not finite after step 2 of 5; try --dtype float32, other weights or less guidance."
    )


def test_latents_that_do_not_vary():
    with pytest.raises(DegenerateClipError, match=r"^The latents do not vary here, so the clip would show nothing; try "):
        checks.check_latents(mx.full((1, 3, 4, 4, 4), 2.0), "here")


def test_pixels_that_are_not_finite():
    checks.check_pixels(latents()[0])
    with pytest.raises(DegenerateClipError, match=r"^The decoded frames have values that are not finite; try "):
        checks.check_pixels(latents(np.nan)[0])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_a_clip_of_one_colour(colour):
    frames = np.full((3, 4, 4, 3), colour, np.uint8)
    frames[1, 2, 2] ^= 1  # rounding is no picture
    with pytest.raises(DegenerateClipError, match=r"^The clip is one single colour; try --dtype float32, another seed or other weights\.$"):
        checks.check_frames(frames)


@pytest.mark.parametrize("channel", range(3))
def test_a_clip_that_varies_in_one_channel_or_in_time_alone_is_a_clip(channel):
    frames = np.full((3, 4, 4, 3), 128, np.uint8)
    frames[2, ..., channel] += 5
    checks.check_frames(frames)


def test_out_of_memory_is_told_from_other_errors():
    assert checks.is_out_of_memory(RuntimeError("[metal::malloc] Attempting to allocate 99 bytes which is greater than the maximum"))
    assert checks.is_out_of_memory(RuntimeError("[METAL] Command buffer execution failed: Insufficient Memory (00000008:kIOGPU…)"))
    assert not checks.is_out_of_memory(RuntimeError("[METAL] Command buffer execution failed: Caused GPU Timeout Error"))


def test_latents_are_kept_with_their_settings(own_cache):
    path = keep.keep(latents(), {"seed": 7, "prompt": "a ball"})
    assert path.parent == own_cache / "latents"
    arrays, metadata = mx.load(str(path), return_metadata=True)
    assert mx.array_equal(arrays["latents"], latents()) and json.loads(metadata["settings"]) == {"seed": 7, "prompt": "a ball"}


def test_latents_stay_only_where_the_block_fails(own_cache):
    with keep.kept(latents(), {"seed": 1}):
        assert len(os.listdir(own_cache / "latents")) == 1
    assert os.listdir(own_cache / "latents") == []
    for stopped in (CancelledError, KeyboardInterrupt):
        with pytest.raises(stopped), keep.kept(latents(), {"seed": 1}):
            raise stopped
        assert os.listdir(own_cache / "latents") == []
    with pytest.raises(DegenerateClipError) as caught, keep.kept(latents(), {"seed": 1}):
        raise DegenerateClipError("The clip is black; try another seed.")
    path = caught.value.latents_path
    assert str(caught.value) == f"The clip is black; try another seed; the latents are kept in {path}." and os.path.isfile(path)
    with pytest.raises(ZeroDivisionError), keep.kept(latents(), {"seed": 2}):
        raise ZeroDivisionError
    assert len(os.listdir(own_cache / "latents")) == 2


def test_where_nothing_can_be_kept_the_clip_goes_on(own_cache, caplog):
    own_cache.write_text("a file where the folder should be")
    with keep.kept(latents(), {"seed": 1}):
        pass
    (record,) = caplog.records
    assert record.getMessage().startswith(f"The latents could not be kept in {own_cache}/latents (")
    with pytest.raises(DegenerateClipError) as caught, keep.kept(latents(), {"seed": 1}):
        raise DegenerateClipError("The clip is black; try another seed.")
    assert str(caught.value) == "The clip is black; try another seed." and caught.value.latents_path is None
