"""Who calls what: attention over time of every factored family goes through this package, attention
in a frame through MLX's own.
"""

from __future__ import annotations

import sys

import mlx.core as mx
import pytest

from mlxvid.run import attention_costs as growth

LAUNCHING = "mlxvid.kernels.temporal_attention"  # the package has a function of the module's name
FRAMES, PLACES, HEADS, HEAD_DIM = 3, 6, 2, 72  # the released heads' size


@pytest.fixture
def calls(monkeypatch):
    """The queries' shapes of every call, by what was called."""
    found = {"time": [], "other": []}
    module = sys.modules[LAUNCHING]
    over_time, fused = module.plain_temporal_attention, mx.fast.scaled_dot_product_attention

    def plain(q, *rest, **options):
        found["time"].append(q.shape)
        with pytest.MonkeyPatch.context() as inside:
            inside.setattr(mx.fast, "scaled_dot_product_attention", fused)
            return over_time(q, *rest, **options)

    monkeypatch.setenv("MLXVID_KERNELS", "0")
    monkeypatch.setattr(module, "plain_temporal_attention", plain)
    record = lambda q, *rest, **options: (
        found["other"].append(q.shape) or fused(q, *rest, **options)
    )  # noqa: E731
    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", record)
    return found


@pytest.mark.parametrize("family", growth.FAMILIES)
def test_factored_attention(family, calls):
    blocks = growth.Blocks(
        family, HEADS, HEAD_DIM, depth=2, channels=4, latent=(4, 6), patch=(1, 2, 2)
    )
    call, x = growth.FAMILIES[family](blocks, FRAMES), mx.random.normal((1, FRAMES, 4, 6, 4))
    mx.eval(call(x, "factored"))
    assert calls["time"] == [(1, FRAMES, PLACES, HEADS, HEAD_DIM)] * 2
    assert calls["other"].count((FRAMES, HEADS, PLACES, HEAD_DIM)) == 2
    # All else is attention of the whole clip's tokens to the text.
    assert set(calls["other"]) == {
        (FRAMES, HEADS, PLACES, HEAD_DIM),
        (1, HEADS, FRAMES * PLACES, HEAD_DIM),
    }
