"""What plans say that machines share of released models, against the networks at those sizes."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from typing import Any

import pytest
from mlx.utils import tree_flatten

from mlxvid import models
from mlxvid.errors import SettingError
from mlxvid.layers.sharded import share_of
from mlxvid.model.sharing import check_shared, shared_weights
from mlxvid.models.cogvideox.config import CogVideoXConfig
from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.ltx.config import LTXTransformerConfig
from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.run.planning import plan

LATTE = dict(
    attention_head_dim=72,
    attention_bias=True,
    out_channels=8,
    num_layers=28,
    cross_attention_dim=1152,
    activation_fn="gelu-approximate",
    norm_type="ada_norm_single",
    norm_elementwise_affine=False,
)
RELEASED = {
    "wan2.1-t2v-14b": WanTransformerConfig(),
    "wan2.1-i2v-14b-480p": WanTransformerConfig(
        in_channels=36, image_dim=1280, added_kv_proj_dim=5120
    ),
    "wan2.1-t2v-1.3b": WanTransformerConfig(num_attention_heads=12, ffn_dim=8960, num_layers=30),
    "ltx-video-0.9.5": LTXTransformerConfig(),
    "cogvideox-5b": CogVideoXConfig(
        num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
    ),
    "hunyuanvideo": HunyuanVideoTransformerConfig(),
    "latte-1": LatteConfig(**LATTE),
    "opensora-1.2": STDiT3Config(),
}


def network_of(name: str) -> tuple[Any, Any]:
    card = next(card for card in models.cards() if card.name == name)
    return card, card.family.network("transformer")(RELEASED[name])


def count(module: Any) -> int:
    return sum(array.size for _, array in tree_flatten(module.parameters()))


@pytest.mark.parametrize("name", RELEASED)
def test_parameters(name):
    card, network = network_of(name)
    shares = network.shares()
    layers = {layer: share_of(layer, shares) for layer, _ in network.named_modules()}
    modules = dict(network.named_modules())
    shared = sum(count(modules[layer]) for layer, share in layers.items() if share is not None)
    planned = card.parameters["transformer"] - card.family.shared.whole(card.width)
    assert planned == pytest.approx(shared, rel=0.01)


@pytest.mark.parametrize("name", RELEASED)
def test_sums(name):
    """Layers that sum the tokens, but for the text's own."""
    card, network = network_of(name)
    shares = network.shares()
    of_tokens = 0
    for layer, _ in network.named_modules():
        share = share_of(layer, shares)
        of_text = "context" in layer or "to_add_out" in layer
        if share is not None and share.way == "inputs" and not of_text:
            of_tokens += 1
    assert of_tokens == pytest.approx(card.blocks * card.family.shared.sums)


def test_weights_of_two_machines():
    planned = plan("wan2.1-t2v-14b", quantize=8, dtype="bfloat16", machines=2)
    whole = plan("wan2.1-t2v-14b", quantize=8, dtype="bfloat16")
    types = planned.weights["transformer"]
    assert types["8-bit"] == pytest.approx(whole.weights["transformer"]["8-bit"] / 2, rel=0.02)
    assert types["bfloat16"] == pytest.approx(2 * 232e6, rel=0.01)
    assert planned.weights["text_encoder"] == whole.weights["text_encoder"]
    assert shared_weights(whole.weights, next(iter(models.cards())), 1) is whole.weights
    # 40 blocks, three sums of 32,760 tokens of 5,120 values, half of each there and back.
    assert planned.sent_bytes == 40 * 3 * 32_760 * 5_120 * 4
    assert planned.stage_bytes["denoise"] < whole.stage_bytes["denoise"]


def test_numbers_of_machines():
    cards = {card.name: card for card in models.cards()}
    check_shared(cards["wan2.1-t2v-14b"], 4, 4)
    check_shared(cards["mini"], 3, 4)
    with pytest.raises(SettingError, match="12 heads.* by 5 machines.* 2 or 4 machines"):
        check_shared(cards["wan2.1-t2v-1.3b"], 5, None)
    with pytest.raises(SettingError, match="2, 4 or 8"):
        check_shared(cards["wan2.1-t2v-14b"], 3, None)
    with pytest.raises(SettingError, match="take 2 machines"):
        check_shared(cards["latte-1"], 4, 4)
