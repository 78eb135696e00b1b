"""Attention over time goes through the kernels' package in every factored family.

Attention within a frame is MLX's own.
"""

from __future__ import annotations

import sys

import mlx.core as mx
import pytest

from mlxvid.run import attention_costs as growth

LAUNCHING = "mlxvid.kernels.temporal_attention"  # the package has a function of the module's name
FRAMES = 3
POSITIONS = 6  # tokens of a frame
HEADS = 2
HEAD_DIM = 72  # that of the released models


@pytest.fixture
def calls(monkeypatch):
    """The queries' shapes of every call of either function."""
    found = {"time": [], "other": []}
    module = sys.modules[LAUNCHING]
    over_time = module.plain_temporal_attention
    fused = mx.fast.scaled_dot_product_attention

    def plain(q, *rest, **options):
        found["time"].append(q.shape)
        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(mx.fast, "scaled_dot_product_attention", fused)
            return over_time(q, *rest, **options)

    def record(q, *rest, **options):
        found["other"].append(q.shape)
        return fused(q, *rest, **options)

    monkeypatch.setenv("MLXVID_KERNELS", "0")
    monkeypatch.setattr(module, "plain_temporal_attention", plain)
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", record)
    return found


@pytest.mark.parametrize("family", growth.FAMILIES)
def test_factored_attention(family, calls):
    blocks = growth.Blocks(
        family, HEADS, HEAD_DIM, depth=2, channels=4, latent=(4, 6), patch=(1, 2, 2)
    )
    call = growth.FAMILIES[family](blocks, FRAMES)
    x = mx.random.normal((1, FRAMES, 4, 6, 4))
    mx.eval(call(x, "factored"))
    assert calls["time"] == [(1, FRAMES, POSITIONS, HEADS, HEAD_DIM)] * 2
    of_frame = (FRAMES, HEADS, POSITIONS, HEAD_DIM)
    of_clip = (1, HEADS, FRAMES * POSITIONS, HEAD_DIM)  # cross-attention to the text
    assert calls["other"].count(of_frame) == 2
    assert set(calls["other"]) == {of_frame, of_clip}
