"""Drafts of CogVideoX: its tiny decoder takes the latents as the VAE's encoder makes them."""

from __future__ import annotations

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers.tiny_decoder import TinyDecoderConfig
from mlxvid.model.tiny import FOLDER
from mlxvid.models.cogvideox.vae_config import CogVideoXVAEConfig

pytest.importorskip("torch")
pytest.importorskip("diffusers")
from safetensors.numpy import save_file  # noqa: E402

from tests.layers.tiny_decoders import tensors, theirs  # noqa: E402

from . import tiny  # noqa: E402


@pytest.mark.parametrize("kind", ["5b", "1.5"])
def test_a_draft(tmp_path, monkeypatch, kind):
    folder = tiny.write_model(tmp_path / "model", kind)
    pipe = mlxvid.load(str(folder))
    config = TinyDecoderConfig(pipe.model.card.geometry.channels, (16, 12, 8, 6))
    weights = tensors(config)
    (folder / FOLDER).mkdir()
    save_file(weights, folder / FOLDER / "taecvx.safetensors")
    seen = []
    finish = pipe.model.finish

    def finished(latents: mx.array, *rest):
        seen.append(np.array(latents))
        return finish(latents, *rest)

    monkeypatch.setattr(pipe.model, "finish", finished)
    settings = dict(width=48, height=32, frames=17, steps=2, seed=3)
    whole = pipe.generate("a red ball", **settings)
    scale = pipe.model.folder.config("vae", CogVideoXVAEConfig).scaling_factor
    assert scale != 1
    expected = np.round(theirs(weights, config, seen[0] / scale, enlarge=3)[0, 3:] * 255)
    draft = mlxvid.load(str(folder)).generate("a red ball", draft_decode=True, **settings)
    assert draft.frames.shape == whole.frames.shape == expected.shape
    assert expected.std() > 5
    assert np.abs(draft.frames - expected).max() <= 1
