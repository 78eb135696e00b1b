"""Clips of HunyuanVideo that are longer than the training's."""

from __future__ import annotations

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import threading

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel
from mlxvid.run import checkpoint
from tests.layers.stretched import frequencies, read_back, tables

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny  # noqa: E402
from .tokenizers_of import PROMPTS  # noqa: E402
from .twins import TINY, channels_first, channels_last, close, random, twins  # noqa: E402

# 52 latent frames: beyond the period of 50.
LONG = dict(prompt=PROMPTS[0], width=16, height=16, frames=205, steps=2, seed=1)
LATENT_FRAMES = 66  # of 261 frames


def test_the_tables_of_the_longest_clip():
    config = HunyuanVideoTransformerConfig(num_layers=0, num_single_layers=0, num_refiner_layers=0)
    rope = HunyuanVideoTransformer3DModel(config).rope(LATENT_FRAMES, 2, 3, 4, (4, LATENT_FRAMES))
    in_time = config.rope_axes_dim[0] // 2
    cos = np.array(rope.cos)[: LATENT_FRAMES * 6 : 6, :in_time]
    sin = np.array(rope.sin)[: LATENT_FRAMES * 6 : 6, :in_time]
    expected = tables(16, 256.0, 4, LATENT_FRAMES)
    assert np.abs(cos - expected[0]).max() < 1e-6
    assert np.abs(sin - expected[1]).max() < 1e-6
    wanted = frequencies(16, 256.0, 4, LATENT_FRAMES)
    assert wanted[3] == pytest.approx(0.0856798, abs=1e-7)  # of 0.125
    assert np.abs(read_back(cos, sin) - wanted).max() < 1e-6


def test_the_network_with_its_tables(monkeypatch):
    """Against Diffusers' network with RIFLEx's tables in the place of its own."""
    config = {**TINY, "attention_head_dim": 16, "rope_axes_dim": [8, 4, 4]}
    ours, theirs = twins(config)
    x = random(1, 51, 2, 4, 5, seed=1)
    text = random(1, 3, config["text_embed_dim"], seed=2)
    pooled = random(1, config["pooled_projection_dim"], seed=3)
    given = (np.array([700.0], np.float32), text, pooled, np.array([300.0], np.float32))
    plain = theirs.rope(channels_first(x))

    def stretched(hidden_states):
        changed = []
        for table, in_time in zip(plain, tables(8, 256.0, 4, 51), strict=True):
            table = table.clone()
            in_time = np.repeat(np.repeat(in_time, 2, axis=1), 2, axis=0)  # 2 tokens a frame
            table[:, :8] = torch.from_numpy(in_time)
            changed.append(table)
        return changed

    monkeypatch.setattr(theirs.rope, "forward", stretched)
    times, words, vector, guidance = map(torch.from_numpy, given)
    with torch.no_grad():
        (expected,) = theirs(
            channels_first(x),
            times,
            words,
            torch.ones(1, 3, dtype=torch.long),
            vector,
            guidance,
            return_dict=False,
        )
    expected = channels_last(expected)
    arrays = [mx.array(value) for value in (x, *given)]
    close(ours(*arrays, (4, 51)), expected)
    assert np.abs(np.array(ours(*arrays)) - expected).max() > 1e-2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("hunyuan")
    tiny.write_model(path, "text")
    return path


def test_a_long_clip_is_another_with_it_and_resumes(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)
    pipe = mlxvid.load(str(folder))
    plain = pipe.generate(**LONG)
    longer = pipe.generate(**LONG, length_extrapolation=True)
    difference = np.abs(plain.frames.astype(float) - longer.frames)
    assert difference.max() > 10
    assert longer.settings["length_extrapolation"] is True
    cancel = threading.Event()

    def stop(progress):
        if progress.stage == "denoise" and progress.step == 1:
            cancel.set()

    with pytest.raises(mlxvid.CancelledError):
        pipe.generate(**LONG, length_extrapolation=True, on_progress=stop, cancel=cancel)
    resumed = pipe.generate(**LONG, length_extrapolation=True, resume=True)
    assert np.array_equal(resumed.frames, longer.frames)


def test_a_clip_of_the_trained_length_stays_as_it_is(folder):
    pipe = mlxvid.load(str(folder))
    short = {**LONG, "frames": 9}
    plain = pipe.generate(**short)
    asked = pipe.generate(**short, length_extrapolation=True)
    assert np.array_equal(plain.frames, asked.frames)
