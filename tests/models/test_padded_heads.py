"""Clips of the families whose heads are padded are what they are without."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

pytest.importorskip("diffusers")
from mlxvid import padded_heads  # noqa: E402
from mlxvid.layers import cores  # noqa: E402
from tests.run.unchanged_clips import Models  # noqa: E402


@pytest.mark.parametrize("case", ["latte", "opensora"])
def test_a_clip_with_padded_heads_is_as_without(case, tmp_path, monkeypatch):
    models = Models(tmp_path)
    plain = models.frames(case).astype(int)
    real = mx.fast.scaled_dot_product_attention
    widths = set()

    def watched(q, k, v, **options):
        widths.add(q.shape[-1])
        return real(q, k, v, **options)

    monkeypatch.setattr(mx.fast, "scaled_dot_product_attention", watched)
    monkeypatch.setattr(cores, "computes", lambda: False)
    # The models are tiny, and so are their heads.
    monkeypatch.setattr(padded_heads, "WIDER", {size: size + 24 for size in range(4, 20)})
    monkeypatch.setenv(padded_heads.SWITCH, "1")
    assert np.abs(models.frames(case) - plain).max() <= 2
    assert max(widths) >= 28
