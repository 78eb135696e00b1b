"""The second pass in tiles: which there are, and how near their velocity is to one pass."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.models.ltx import tiles as module
from mlxvid.models.ltx.rope import coords
from mlxvid.models.ltx.tiles import everything, grid, largest_tile, tiles

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny as tiny_ltx  # noqa: E402

SIZES = [(28, 50), (44, 80), (34, 60), (60, 106), (100, 20), (20, 400)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_tiles_cover_the_picture_once(height, width):
    places = coords((2, height, width), 24, True)
    found = tiles(places, height, width, 32)
    total = np.zeros(places.shape[1])
    for tile in found:
        total[tile.index] += tile.weight
        assert len(tile.index) <= 2 * module.LARGEST
    assert np.abs(total - 1).max() < 1e-6
    assert len(found) == np.prod(grid(height, width))
    high, wide = largest_tile(height, width)
    assert max(len(tile.index) for tile in found) == 2 * high * wide


def test_a_picture_that_is_small_enough_is_one_tile():
    assert grid(28, 50) == grid(50, 28) == (1, 1)
    (tile,) = tiles(coords((3, 28, 50), 24, True), 28, 50, 32)
    whole = everything(coords((3, 28, 50), 24, True))
    assert np.array_equal(tile.index, whole.index) and np.array_equal(tile.weight, whole.weight)
    assert grid(44, 80) == (1, 4)


def test_tokens_in_front_are_in_the_tiles_where_they_stand():
    own = coords((2, 44, 80), 24, True)
    front = coords((1, 44, 80), 24, True, 9)
    found = tiles(np.concatenate([front, own], axis=1), 44, 80, 32)
    assert all(len(tile.index) == 3 * 44 * 26 for tile in found)


@pytest.fixture
def folder(tmp_path):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    return tiny_ltx.saved(pipe, tmp_path / "m", "0.9.8-2b-distilled", tiny_ltx.upsampler())


def test_seams(folder, monkeypatch):
    """With tiles the clip differs a little from one pass, and not more where tiles meet."""
    pipe = mlxvid.load(str(folder))
    settings = dict(width=640, height=160, frames=9, seed=2)
    calls = []
    whole = pipe.generate("a red ball moving left", **settings).frames.astype(int)
    monkeypatch.setattr(module, "LARGEST", 6 * 18)
    monkeypatch.setattr(module, "OVERLAP", 4)
    tiled = pipe.generate(
        "a red ball moving left", on_progress=lambda p: calls.append(p.stage), **settings
    ).frames.astype(int)
    assert grid(6, 26) == (1, 2)
    error = np.abs(tiled - whole).mean(axis=(0, 1, 3))
    assert 0 < error.mean() < 0.25 * whole.std()
    # From one column to the next: the tiles' overlap is from column 11 to 15 of 26.
    step = np.abs(np.diff(tiled - whole, axis=2)).mean(axis=(0, 1, 3))
    first = 11 * 640 // 26
    last = 15 * 640 // 26
    assert step[first - 4 : last + 4].max() < 2 * np.delete(step, slice(first - 4, last + 4)).max()
