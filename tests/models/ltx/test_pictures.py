"""Pictures as the release prepares them (`load_image_to_tensor_with_resize_and_crop` of its
inference.py): torchvision's blur, written out here, and an H.264 round trip.
"""

from __future__ import annotations

import numpy as np
import pytest

import mlxvid
from mlxvid.models.ltx import pictures
from mlxvid.models.ltx.pictures import prepared

torch = pytest.importorskip("torch")

HEIGHT = 64
WIDTH = 96


def photo(seed: int) -> np.ndarray:
    """Something like a photograph, uint8 [H, W, 3]: large shapes, and a little of every detail."""
    draw = np.random.default_rng(seed)
    picture = np.zeros((HEIGHT, WIDTH, 3))
    for size in (32, 16, 8, 4, 2, 1):
        coarse = draw.standard_normal((HEIGHT // size, WIDTH // size, 3))
        picture += 2 * size * coarse.repeat(size, axis=0).repeat(size, axis=1)
    return (picture + 128).clip(0, 255).astype(np.uint8)


def gaussian_blur(picture: np.ndarray) -> np.ndarray:
    """With a kernel of 3 and a sigma of 1, from and to 8 bits as the release does it."""
    side = torch.exp(-0.5 * torch.linspace(-1, 1, 3) ** 2)
    kernel = torch.outer(side / side.sum(), side / side.sum()).expand(3, 1, 3, 3)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    padded = torch.nn.functional.pad(pixels, (1, 1, 1, 1), mode="reflect")
    blurred = torch.nn.functional.conv2d(padded, kernel, groups=3)
    return (blurred[0].permute(1, 2, 0) * 255).byte().numpy()


def test_the_blur(monkeypatch):
    monkeypatch.setattr(pictures, "compressed", lambda picture, crf: picture)
    picture = photo(0)
    ours = prepared(picture[None])[0].astype(int)
    theirs = gaussian_blur(picture)
    assert np.abs(ours - theirs).max() <= 1  # where a sum is whole but for rounding
    assert (ours != theirs).mean() < 0.01
    assert np.abs(ours - picture).mean() > 1


def test_each_frame_is_compressed_by_itself_and_always_alike():
    frames = np.stack([photo(0), photo(1)])
    both = prepared(frames)
    assert both.dtype == np.uint8 and both.shape == frames.shape
    assert np.array_equal(both, prepared(frames))
    assert np.array_equal(both[1], prepared(frames[1:])[0])


def test_compression_costs_some_detail_and_no_more():
    picture = photo(2)
    blurred = gaussian_blur(picture).astype(float)
    error = prepared(picture[None])[0] - blurred
    assert 26 < 10 * np.log10(255**2 / (error**2).mean()) < 42
    assert np.abs(error.mean()) < 2
    # Less of what is small than of what is large.
    coarse = error.reshape(HEIGHT // 8, 8, WIDTH // 8, 8, 3).mean(axis=(1, 3))
    assert coarse.std() < error.std() / 2


def test_a_picture_is_prepared_unless_it_is_not_wanted(tmp_path, monkeypatch):
    pytest.importorskip("diffusers")
    from . import tiny as tiny_ltx

    folder = tiny_ltx.write_model(tmp_path / "a", "A")
    pipe = mlxvid.load(str(folder))
    shared = dict(width=WIDTH, height=HEIGHT, frames=9, steps=1, guidance=1.0, seed=1)
    picture = photo(3)
    usual = pipe.generate("a red ball", image=picture, **shared).frames
    by_hand = prepared(picture[None])[0]
    plain = {"prepare": False}
    same = pipe.generate("a red ball", image=by_hand, options=plain, **shared).frames
    other = pipe.generate("a red ball", image=picture, options=plain, **shared).frames
    assert np.array_equal(usual, same) and not np.array_equal(usual, other)
