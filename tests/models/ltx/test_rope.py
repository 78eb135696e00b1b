"""LTX-Video's rotary positions against both ways in which Diffusers' pipelines make them."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import LTXConditionPipeline  # noqa: E402
from diffusers.models.transformers.transformer_ltx import (  # noqa: E402
    LTXVideoRotaryPosEmbed,
    apply_rotary_emb,
)

from mlxvid.kernels import Rotary  # noqa: E402
from mlxvid.kernels.plain import rotate  # noqa: E402
from mlxvid.models.ltx.config import LTXTransformerConfig  # noqa: E402
from mlxvid.models.ltx.rope import coords, tables  # noqa: E402

from .twins import config, random  # noqa: E402

GRID = (4, 3, 5)
# At a released width the fastest angles reach 15,708, where float32 has a step of 0.001 and
# PyTorch's own frequencies are two or three such steps from the exact ones.
TOLERANCES = {28: 1e-5, 2048: 1e-2, 4096: 1e-2}


def rotated(x: mx.array, rope: Rotary) -> mx.array:
    """Tokens [B, N, C] as one head, rotated."""
    return rotate(x[:, :, None, None], rope)[:, :, 0, 0]


def close(ours: mx.array, theirs, width: int) -> None:
    """theirs: a table [1, N, width], in which each pair has its value twice."""
    theirs = theirs[0].numpy()
    assert np.array_equal(theirs[:, ::2], theirs[:, 1::2])
    assert ours.shape == (theirs.shape[0], width // 2) and ours.dtype == mx.float32
    error = np.abs(np.array(ours) - theirs[:, ::2])
    assert error.max() < TOLERANCES[width]
    assert error.mean() < 1e-4


def sized(width: int) -> LTXTransformerConfig:
    return LTXTransformerConfig(**config(2, width // 2))


@pytest.mark.parametrize("width", TOLERANCES)
@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97])
def test_without_causal_time_it_is_the_plain_pipelines(width, fps):
    theirs = LTXVideoRotaryPosEmbed(width)
    expected = theirs(torch.empty(1), *GRID, (8 / fps, 32, 32))
    for ours, table in zip(tables(sized(width), coords(GRID, fps, False)), expected, strict=True):
        close(ours, table, width)


@pytest.mark.parametrize("width", TOLERANCES)
@pytest.mark.parametrize("first_frame", [0, 17])
def test_with_causal_time_it_is_the_condition_pipelines(width, first_frame):
    fps = 29.97
    ids = LTXConditionPipeline._prepare_video_ids(1, *GRID)
    ids = LTXConditionPipeline._scale_video_ids(ids, frame_index=first_frame).float()
    ids[:, 0] = ids[:, 0] * (1.0 / fps)
    ours = coords(GRID, fps, True, first_frame)
    assert ours.dtype == np.float32
    assert np.array_equal(ours, ids[0].numpy())
    expected = LTXVideoRotaryPosEmbed(width)(torch.empty(1), video_coords=ids)
    for table, theirs in zip(tables(sized(width), ours), expected, strict=True):
        close(table, theirs, width)


def test_the_first_latent_frame_is_one_frame():
    assert coords((4, 1, 1), 1.0, True)[0].tolist() == [0, 1, 9, 17]
    assert coords((4, 1, 1), 1.0, False)[0].tolist() == [0, 8, 16, 24]
    assert coords((2, 1, 1), 4.0, True, 24)[0].tolist() == [6, 6.25]
    assert coords((1, 2, 2), 1.0, True)[1:].tolist() == [[0, 0, 32, 32], [0, 32, 0, 32]]


@pytest.mark.parametrize(("width", "still"), [(24, 0), (28, 2), (32, 1)])
def test_pairs_without_a_position_stand_in_front(width, still):
    cos, sin = tables(sized(width), coords(GRID, 25.0, True))
    assert mx.all(cos[:, :still] == 1) and mx.all(sin[:, :still] == 0)
    assert mx.all(mx.abs(sin[:, still:]).max(axis=0) > 0)


def test_neighbouring_channels_rotate_before_the_split_into_heads():
    theirs = LTXVideoRotaryPosEmbed(28)
    x = random(2, 60, 28)
    expected = apply_rotary_emb(torch.from_numpy(x), theirs(torch.empty(1), *GRID, (0.32, 32, 32)))
    rope = Rotary(*tables(sized(28), coords(GRID, 25.0, False)))
    y = rotated(mx.array(x), rope)
    assert np.abs(np.array(y) - expected.numpy()).max() < 1e-5
    half = rotated(mx.array(x).astype(mx.bfloat16), rope)
    assert half.dtype == mx.bfloat16
