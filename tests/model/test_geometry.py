"""Geometry: what is counted is what counting one by one gives, and sizes go to the nearest."""

from __future__ import annotations

import itertools

import pytest

from mlxvid.errors import SettingError
from mlxvid.model.geometry import Geometry, frames_of, plan_geometry, round_frames, round_size

# --- counts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "width", "height", "patch"),
    [(9, 32, 48, (1, 2, 2)), (21, 48, 16, (3, 1, 2)), (1, 16, 16, (1, 2, 2))],
)
def test_pairs_are_those_counted_one_by_one(frames, width, height, patch):
    counts = plan_geometry(frames, width, height, Geometry(4, 8, 16, patch, causal=True))
    t, h, w = counts.token_grid
    places = list(itertools.product(range(t), range(h), range(w)))
    pairs = list(itertools.product(places, places))
    assert counts.tokens == len(places)
    assert counts.pairs_full == len(pairs)
    assert counts.pairs_spatial == sum(a[0] == b[0] for a, b in pairs)
    assert counts.pairs_temporal == sum(a[1:] == b[1:] for a, b in pairs)
    assert counts.pairs_factored == counts.pairs_spatial + counts.pairs_temporal


def test_a_patch_as_large_as_the_latent_is_one_token():
    counts = plan_geometry(17, 64, 64, Geometry(4, 8, 12, patch=(5, 8, 8), causal=True))
    assert counts.latent_shape == (5, 8, 8)
    assert counts.token_grid == (1, 1, 1)
    assert counts.tokens == 1
    assert counts.notes == ()
    assert counts.pairs_full == 1
    assert counts.pairs_factored == 2
    assert counts.pairs_ratio == 0.5


# --- rounding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t_factor", "causal", "patch_t"),
    [
        (4, True, 1),
        (4, False, 1),
        (8, True, 1),
        (1, False, 1),
        (1, True, 1),
        (4, True, 2),
        (4, False, 3),
    ],
)
def test_frames_go_to_the_nearest_that_the_vae_and_patches_divide(t_factor, causal, patch_t):
    geometry = Geometry(t_factor, 8, 16, (patch_t, 1, 1), causal)
    valid = [geometry.pixel_frames(patch_t * k) for k in range(1, 121)]
    for frames in range(1, 120):
        rounded, note = round_frames(frames, t_factor, causal, patch_t)
        assert rounded == min(valid, key=lambda v: (abs(v - frames), v))
        assert (note is None) == (rounded == frames)
        assert geometry.pixel_frames(geometry.latent_frames(rounded)) == rounded


@pytest.mark.parametrize(
    ("asked", "multiple", "made", "grid"),
    [
        ((1, 104), 16, (16, 96), "multiples of 16."),
        ((100, 100), (16, 32), (96, 96), "multiples of 16x32."),
    ],
)
def test_sizes_go_to_the_nearest_multiple_and_say_so(asked, multiple, made, grid):
    width, height, note = round_size(*asked, multiple)
    assert (width, height) == made
    assert f"{asked[0]}x{asked[1]} is rounded to {made[0]}x{made[1]}" in note
    assert note.endswith(grid)


def test_a_size_on_the_grid_stays_and_nothing_is_said():
    assert round_size(96, 64, 16) == (96, 64, None)


@pytest.mark.parametrize(
    ("frames", "causal", "made", "facts"),
    [
        (35, True, 33, ("35 frames are rounded to 33", "1 + 4k")),
        (1, False, 4, ("1 frame is rounded to 4", "a multiple of 4")),
    ],
)
def test_frames_that_are_rounded_are_told(frames, causal, made, facts):
    rounded, note = round_frames(frames, 4, causal)
    assert rounded == made
    for fact in facts:
        assert fact in note


def test_seconds_are_frames_and_never_none():
    assert frames_of(2, 16) == 32
    assert frames_of(0.001, 16) == 1


# --- what no clip can have -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "setting", "facts"),
    [
        (lambda: round_size(0, 96, 16), "width", ("pixels from 1 to 16384", "not 0.")),
        (lambda: round_size(96, 20000, 16), "height", ("pixels from 1 to 16384", "20000")),
        (lambda: round_size(96.5, 96, 16), "width", ("whole number", "96.5")),
        (lambda: round_frames(-3, 4, True), "frames", ("from 1 to 100000", "-3")),
        (lambda: round_frames(True, 4, True), "frames", ("whole number", "True")),
        (lambda: frames_of(-1, 16), "fps", ("above 0", "-1", "16")),
        (lambda: frames_of(1, float("nan")), "fps", ("above 0", "nan")),
        (lambda: Geometry(0, 8, 16), None, ("time factor", "from 1 to 1024", "not 0.")),
        (lambda: Geometry(4, 8, 16, (2, 2)), None, ("three sides", "1x2x2", "not 2.")),
        (
            lambda: Geometry(4, 8, 16).latent_shape(32, 96, 96),
            None,
            ("32 frames are rounded to 33", "1 + 4k"),
        ),
        (lambda: Geometry(4, 8, 16).named_size("480p", None), "width", ("no names", "`height`")),
    ],
)
def test_impossible_sizes_are_refused(call, setting, facts):
    with pytest.raises(SettingError) as caught:
        call()
    assert caught.value.setting == setting
    for fact in facts:
        assert fact in str(caught.value)
