"""Who calls what: attention over time of every factored family goes through this package, attention
in a frame and to the text through the shared one.
"""

from __future__ import annotations

import sys

import mlx.core as mx
import pytest

from mlxvid import models
from mlxvid.layers import processor
from mlxvid.model.attention_call import Blocks

LAUNCHING = "mlxvid.kernels.temporal_attention"  # the package has a function of the module's name
FRAMES = 3
PLACES = 6
HEADS = 2
HEAD_DIM = 72  # the released heads' size

FACTORED = {card.family.name: card.family for card in models.cards() if "attention" in card.takes}


@pytest.fixture
def calls(monkeypatch):
    """The queries' shapes of every call, by what was called."""
    found: dict[str, list] = {"time": [], "other": []}
    module = sys.modules[LAUNCHING]
    over_time = module.plain_temporal_attention
    attend = processor.attend

    def plain(q, *rest, **options):
        found["time"].append(q.shape)
        return over_time(q, *rest, **options)

    def record(q, *rest, **options):
        found["other"].append(q.shape)
        return attend(q, *rest, **options)

    monkeypatch.setenv("MLXVID_KERNELS", "0")
    monkeypatch.setattr(module, "plain_temporal_attention", plain)
    monkeypatch.setattr(processor, "attend", record)
    return found


@pytest.mark.parametrize("name", FACTORED)
def test_factored_attention(name, calls):
    family = FACTORED[name]
    blocks = Blocks(HEADS, HEAD_DIM, depth=2, channels=4, latent=(4, 6), patch=(1, 2, 2))
    call = family.load(family.model).attention_call(blocks, FRAMES)
    mx.eval(call(mx.random.normal((1, FRAMES, 4, 6, 4)), "factored"))
    in_frames = (FRAMES, HEADS, PLACES, HEAD_DIM)
    to_text = (1, HEADS, FRAMES * PLACES, HEAD_DIM)  # of the whole clip's tokens
    assert calls["time"] == [(1, FRAMES, PLACES, HEADS, HEAD_DIM)] * 2
    assert calls["other"].count(in_frames) == 2
    assert set(calls["other"]) == {in_frames, to_text}
