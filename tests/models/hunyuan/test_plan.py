"""What a plan says of HunyuanVideo, beside a count by hand."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten

from mlxvid.catalog import CATALOG
from mlxvid.model.machine import GIB, mac
from mlxvid.model.memory import RUNTIME_BYTES
from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel
from mlxvid.run.planning import plan

TOKENS = 33 * 45 * 80
WIDTH = 24 * 128
# Around a block's attention: the tokens, and them normed; queries, keys and values; queries and
# keys rotated.
WIDTHS_HELD = 7


@pytest.fixture(scope="module")
def counted() -> tuple[int, int]:
    """The released transformer's parameters that are quantized, and the others."""
    network = HunyuanVideoTransformer3DModel(HunyuanVideoTransformerConfig())
    matrices = 0
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and network.quantizable(name, module):
            matrices += module.weight.size
    total = sum(array.size for _, array in tree_flatten(network.parameters()))
    return matrices, total - matrices


def test_what_stays_precise(counted):
    assert sum(counted) == 12_821_012_544
    assert HunyuanVideoTransformerConfig().precise == pytest.approx(counted[1], rel=1 / 30)


@pytest.mark.parametrize(("bits", "size"), [(None, 2), (8, 8.5 / 8), (4, 4.5 / 8)])
def test_five_seconds_at_720p(counted, bits, size):
    planned = plan("hunyuanvideo", quantize=bits, machine=mac(128 * GIB, "Mac"))
    assert (planned.frames, planned.width, planned.height) == (129, 1280, 720)
    assert (planned.tokens, planned.pairs_full) == (TOKENS, TOKENS**2) == (118_800, 14_113_440_000)
    weights = size * counted[0] + 2 * counted[1]
    held = WIDTHS_HELD * TOKENS * WIDTH * 2
    by_hand = RUNTIME_BYTES + weights + held
    assert planned.stage_bytes["denoise"] == pytest.approx(by_hand, rel=0.02)
    assert planned.peak_bytes == planned.stage_bytes["denoise"]


@pytest.mark.parametrize("name", ["hunyuanvideo", "fasthunyuan", "hunyuanvideo-i2v"])
def test_presets_by_memory(name):
    card = CATALOG[name]
    presets = card.family.presets
    assert presets.keys() == {"mac-16", "mac-24", "mac-36"}
    for preset, settings in presets.items():
        machine = mac(int(preset.removeprefix("mac-")) * GIB, "Mac")
        assert plan(name, machine=machine, **settings).fits, preset
        size = (settings.get("width", 1280), settings.get("height", 720))
        assert card.geometry.round_size(*size)[2] == []
    assert not plan(name, machine=mac(16 * GIB, "Mac"), quantize=4).fits
