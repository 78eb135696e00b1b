"""What must hold for drafts of every family that has a tiny decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

from mlxvid.layers.tiny_decoder import TinyDecoderConfig
from mlxvid.model.tiny import FOLDER
from tests.layers.tiny_decoders import tensors, theirs


def check(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    scale: float = 1.0,
    hidden: int = 0,
    **settings: Any,
) -> None:
    """A draft is what the reference's decoder makes of the latents of the same clip.

    scale: that they are divided by before. hidden: frames at the beginning that are left out.
    """
    pipe = mlxvid.load(str(folder))
    card = pipe.model.card
    config = TinyDecoderConfig(card.geometry.channels, (16, 12, 8, 6))
    weights = tensors(config)
    (folder / FOLDER).mkdir()
    save_file(weights, folder / FOLDER / f"{card.family.tiny_decoder.name}.safetensors")
    seen = []
    finish = pipe.model.finish

    def finished(latents: mx.array, *rest):
        seen.append(np.array(latents))
        return finish(latents, *rest)

    monkeypatch.setattr(pipe.model, "finish", finished)
    settings = {"steps": 2, "seed": 3, **settings}
    whole = pipe.generate("a red ball", **settings)
    frames = theirs(weights, config, seen[0] / scale, enlarge=3)[0, 3 + hidden :]
    expected = np.round(frames * 255)
    draft = mlxvid.load(str(folder)).generate("a red ball", draft_decode=True, **settings)
    assert draft.frames.shape == whole.frames.shape == expected.shape
    assert expected.std() > 5
    assert np.abs(draft.frames - expected).max() <= 1
