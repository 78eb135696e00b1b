"""The linear map from latents to small frames: how well it shows what a VAE would, and its file."""

from __future__ import annotations

import json
import shutil

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.model.geometry import Geometry
from mlxvid.models.opensora.geometry import OpenSoraGeometry
from mlxvid.run import latent_map
from mlxvid.run.drawn import drawn_clips
from mlxvid.run.latent_map import LatentMap, frame_counts

from .throwaway import pipeline


@pytest.fixture(scope="module")
def mini():
    pipe = mlxvid.load("mini")
    return pipe, latent_map.fitted(pipe.model)


def explained(shown: np.ndarray, frames: np.ndarray) -> float:
    """The share of the frames' variance that small frames show; all uint8 [F, H, W, 3]."""
    f, h, w, _ = shown.shape
    small = frames.reshape(f, h, frames.shape[1] // h, w, frames.shape[2] // w, 3).mean((2, 4))
    return 1 - ((shown - small) ** 2).mean() / small.var(axis=(0, 1, 2)).mean()


def test_a_clip_of_the_trained_model_is_shown(mini):
    pipe, colours = mini
    clip = pipe.generate("a blue ring orbiting", seed=2, frames=9, steps=6)
    pixels = mx.array(clip.frames).astype(mx.float32)[None] / 127.5 - 1
    latents = np.array(pipe.model.network("vae").encode(pixels)[0])
    shown = colours.frames(latents, pipe.model.card.geometry)
    assert shown.shape == (9, 12, 12, 3)
    assert explained(shown, clip.frames) > 0.5


def test_movement_within_a_latent_frame_is_shown(mini):
    pipe, colours = mini
    clip = np.full((9, 64, 64, 3), -0.5, np.float32)
    for i in range(9):
        clip[i, 24:40, 5 * i : 5 * i + 16] = (0.9, 0.8, -0.8)
    latents = np.array(pipe.model.network("vae").encode(mx.array(clip)[None])[0])
    bright = colours.frames(latents, pipe.model.card.geometry)[..., 0].astype(float)
    bright -= bright.min(axis=(1, 2), keepdims=True)
    centres = (bright[:, 3:5] * np.arange(8)).sum((1, 2)) / bright[:, 3:5].sum((1, 2))
    assert np.polyfit(np.arange(9), centres, 1)[0] > 0.3  # of 0.6 positions a frame


@pytest.mark.parametrize(
    ("geometry", "latents", "counts"),
    [
        (Geometry(4, 8, 16), 3, [1, 4, 4]),
        (Geometry(1, 8, 4), 2, [1, 1]),
        (Geometry(4, 8, 16, causal=False), 2, [4, 4]),
        (OpenSoraGeometry(4, 8, 4, (1, 2, 2)), 7, [1, 4, 4, 4, 4, 1, 4]),
    ],
)
def test_frames_stand_where_their_latent_frame_is(geometry, latents, counts):
    assert list(frame_counts(geometry, latents)) == counts
    assert sum(counts) == geometry.pixel_frames(latents)
    # The colour is the latent's, and a little more in each of the frames of one.
    steps = {n: np.repeat(np.arange(n) / 100, 3) for n in set(counts)}
    colours = LatentMap({n: np.array([np.ones(3 * n), step]) for n, step in steps.items()})
    values = np.linspace(-0.9, 0.8, latents, dtype=np.float32)
    z = np.broadcast_to(values[:, None, None, None], (latents, 2, 3, 1))
    shown = colours.frames(z, geometry)
    wanted = [value + i / 100 for value, n in zip(values, counts, strict=True) for i in range(n)]
    assert shown.shape == (sum(counts), 2, 3, 3)
    assert np.abs(shown[:, 1, 2, 0] - (np.array(wanted) * 127.5 + 127.5)).max() <= 1


def test_colours_beyond_the_gamut_are_its_ends():
    colours = LatentMap({1: np.array([[9.0, -9.0, 0.0], [0, 0, 0]])})
    shown = colours.frames(np.ones((1, 1, 1, 1), np.float32), Geometry(1, 8, 1))
    assert shown.tolist() == [[[[255, 0, 128]]]]


def test_a_decoder_alone_is_enough(tmp_path):
    """This VAE can't encode; its frames are tanh of a linear map."""
    pipe = pipeline("stages", tmp_path / "model")
    colours = latent_map.fitted(pipe.model)
    latents = np.random.default_rng(3).normal(size=(2, 8, 8, 4)).astype(np.float32)
    parts = [np.array(part) for part in pipe.model.decode(mx.array(latents)[None])]
    frames = np.concatenate(parts) * 127.5 + 127.5
    assert explained(colours.frames(latents, pipe.model.card.geometry), frames) > 0.8


def test_drawn_clips_are_the_same_each_time_and_reach_over_the_gamut():
    clips = np.stack(list(drawn_clips(36, 3, 16)))
    assert clips.dtype == np.float32 and clips.shape == (36, 3, 16, 16, 3)
    assert np.array_equal(clips, np.stack(list(drawn_clips(36, 3, 16))))
    for channel in range(3):
        ends = clips[..., channel]
        assert ends.min() == -1 and ends.max() == 1
        others = np.delete(clips, channel, axis=-1)
        assert ((ends > 0.6) & (others < -0.2).all(axis=-1)).any()  # a colour of its own
    assert np.abs(np.diff(clips, axis=1)).mean() > 0.01  # they move


# --- the file ------------------------------------------------------------------------------------


@pytest.fixture
def kept(tiny):
    """A model whose map is kept: itself, the map and its file."""
    model = tiny.model
    geometry = model.card.geometry
    rng = np.random.default_rng(1)
    shapes = {n: (geometry.channels + 1, 3 * n) for n in (1, geometry.t_factor)}
    colours = LatentMap({n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()})
    latent_map.keep(model, colours)
    return model, colours, latent_map.kept_path(model)


def test_a_map_is_read_as_it_was_kept(kept, own_cache):
    model, colours, path = kept
    again = latent_map.read(model)
    assert again is not None and again.matrices.keys() == colours.matrices.keys()
    for n, matrix in colours.matrices.items():
        assert np.array_equal(again.matrices[n], matrix)
    assert list((own_cache / "previews").iterdir()) == [path]
    assert path.stat().st_size < 20_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-20],
        lambda text: "",
        lambda text: "[]",
        lambda text: "[" * 10**5,
        lambda text: json.dumps({"1": json.loads(text)["1"]}),
        lambda text: json.dumps({"1": json.loads(text)["1"], "4": [[0.0]]}),
        lambda text: json.dumps({**json.loads(text), "one": [[0.0]]}),
        lambda text: text.replace("[[", "[[NaN, ", 1).replace("NaN, ", "NaN, ", 1),
        lambda text: json.dumps({n: [[1e999] * len(row) for row in rows]
                                 for n, rows in json.loads(text).items()}),
    ],
)  # fmt: skip
def test_a_damaged_file_counts_as_none(kept, damage):
    model, _, path = kept
    path.write_text(damage(path.read_text()))
    assert latent_map.read(model) is None


@pytest.mark.parametrize("what", ["weights", "config"])
def test_other_weights_have_a_map_of_their_own(tmp_path, tiny_folder, what):
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    model = mlxvid.load(str(folder)).model
    before = latent_map.kept_path(model)
    assert before == latent_map.kept_path(mlxvid.load(str(folder)).model)
    name = "config.json" if what == "config" else "diffusion_pytorch_model.safetensors"
    path = folder / "vae" / name
    text = path.read_bytes()
    path.unlink()
    path.write_bytes(text + b" ")
    assert latent_map.kept_path(model) != before


def test_a_cache_that_cannot_be_written_is_no_fault(kept, own_cache, monkeypatch, tmp_path):
    model, colours, _ = kept
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLXVID_CACHE", str(tmp_path / "file"))
    latent_map.keep(model, colours)
    assert latent_map.read(model) is None
