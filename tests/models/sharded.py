"""Each family's transformer in shares, against the whole one.

`mlx.launch` runs it on each machine with the variants to try; each prints what it finds as JSON.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
import sys
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten, tree_map

from mlxvid.layers.sharded import shard, share_of
from mlxvid.models.cogvideox.config import CogVideoXConfig
from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel
from mlxvid.models.factored.config import TransformerConfig
from mlxvid.models.factored.transformer import FactoredTransformer
from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.latte.transformer import LatteTransformer3DModel
from mlxvid.models.ltx.config import LTXTransformerConfig
from mlxvid.models.ltx.rope import coords, tables
from mlxvid.models.ltx.transformer import LTXVideoTransformer3DModel, Times
from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.transformer import STDiT3
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel
from mlxvid.weights.lora_layers import apply_lora

HEADS = 4
GROUP = 32  # of quantized weights: 4 machines have whole groups of each matrix
BITS = 8
TEXT = (9, 22)
TIMES = mx.array([917.0, 420.0])

WHOLE = "float32"
QUANTIZED = "quantized"
LORA = "LoRA"

Call = Callable[[Any], mx.array]
Case = Callable[[], tuple[nn.Module, Call]]


def normal(*shape: int) -> mx.array:
    return mx.random.normal(shape)


def text(rows: int = 2) -> mx.array:
    return normal(rows, *TEXT)


def of_wan(**more: Any) -> tuple[nn.Module, Call]:
    config = WanTransformerConfig(
        num_attention_heads=HEADS,
        attention_head_dim=32,
        in_channels=5,
        out_channels=5,
        text_dim=TEXT[1],
        freq_dim=14,
        ffn_dim=256,
        num_layers=2,
        **more,
    )
    x = normal(2, 3, 4, 6, 5)
    words = text()
    image = normal(2, 5, config.image_dim) if config.image_dim else None
    return WanTransformer3DModel(config), lambda net: net(x, TIMES, words, image)


def of_ltx() -> tuple[nn.Module, Call]:
    config = LTXTransformerConfig(
        num_attention_heads=HEADS,
        attention_head_dim=32,
        cross_attention_dim=HEADS * 32,
        num_layers=3,
        in_channels=5,
        out_channels=5,
        caption_channels=TEXT[1],
    )
    grid = (4, 3, 2)
    x = normal(2, 24, 5)
    words = text()
    mask = mx.arange(TEXT[0]) < mx.array([[3], [TEXT[0]]])
    times = Times.of(np.linspace(0, 1, 48, dtype=np.float32).reshape(2, 24))
    rope = tables(config, coords(grid, 25.0, True))
    return LTXVideoTransformer3DModel(config), lambda net: net(x, words, mask, times, rope, [1])


def of_cogvideox(**more: Any) -> tuple[nn.Module, Call]:
    config = CogVideoXConfig(
        num_attention_heads=HEADS,
        attention_head_dim=32,
        in_channels=3,
        out_channels=3,
        time_embed_dim=128,
        text_embed_dim=TEXT[1],
        num_layers=2,
        **more,
    )
    x = normal(2, 4, 8, 12, 3)
    words = text()
    return CogVideoXTransformer3DModel(config), lambda net: net(x, TIMES, words)


def of_hunyuan(**more: Any) -> tuple[nn.Module, Call]:
    config = HunyuanVideoTransformerConfig(
        in_channels=5,
        out_channels=5,
        num_attention_heads=HEADS,
        attention_head_dim=32,
        num_layers=2,
        num_single_layers=2,
        mlp_ratio=3.0,
        text_embed_dim=TEXT[1],
        pooled_projection_dim=7,
        rope_axes_dim=[8, 12, 12],
        **more,
    )
    x = normal(2, 2, 4, 6, 5)
    words = text()
    pooled = normal(2, 7)
    guidance = mx.array([6000.0, 1500.0]) if config.guidance_embeds else None
    network = HunyuanVideoTransformer3DModel(config)
    return network, lambda net: net(x, TIMES, words, pooled, guidance)


def of_latte(attention: str, **more: Any) -> tuple[nn.Module, Call]:
    config = LatteConfig(
        num_attention_heads=HEADS,
        attention_head_dim=32,
        num_layers=2,
        cross_attention_dim=HEADS * 32,
        sample_size=8,
        activation_fn="gelu-approximate",
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        caption_channels=TEXT[1],
        video_length=3,
        **more,
    )
    x = normal(2, 3, 6, 10, 4)
    words = text()
    return LatteTransformer3DModel(config), lambda net: net(x, TIMES, words, attention)


def of_opensora(attention: str, **more: Any) -> tuple[nn.Module, Call]:
    config = STDiT3Config(
        hidden_size=128,
        depth=2,
        num_heads=HEADS,
        caption_channels=TEXT[1],
        model_max_length=TEXT[0],
        **more,
    )
    x = normal(2, 3, 5, 6, 4)
    words = text()
    mask = mx.arange(TEXT[0]) < mx.array([[3], [TEXT[0]]])
    rates = mx.array([24.0, 8.0])

    def call(net: Any) -> mx.array:
        return net(x, TIMES, words, mask, rates, 40.0, 48.0, attention=attention)

    return STDiT3(config), call


def of_factored(mode: str) -> tuple[nn.Module, Call]:
    config = TransformerConfig(
        hidden_size=128, num_layers=2, attention_head_dim=32, text_dim=TEXT[1], in_channels=3
    )
    x = normal(2, 3, 4, 6, 3)
    condition = normal(2, 3, 4, 6, 4)
    words = text()
    mask = mx.arange(TEXT[0]) < mx.array([[3], [TEXT[0]]])

    def call(net: Any) -> mx.array:
        return net(x, condition, TIMES / 1000, words, mask, mode)

    return FactoredTransformer(config), call


ROTARY = dict(use_rotary_positional_embeddings=True)
CASES: dict[str, Case] = {
    "wan": of_wan,
    "wan, pictures": lambda: of_wan(image_dim=6, added_kv_proj_dim=HEADS * 32),
    "wan, no norm": lambda: of_wan(cross_attn_norm=False),
    "ltx": of_ltx,
    "cogvideox": of_cogvideox,
    "cogvideox, rotary": lambda: of_cogvideox(attention_bias=False, **ROTARY),
    "hunyuan": of_hunyuan,
    "hunyuan, token replace": lambda: of_hunyuan(image_condition_type="token_replace"),
    "latte": lambda: of_latte("factored"),
    "latte, full": lambda: of_latte("full", attention_bias=True),
    "opensora": lambda: of_opensora("factored"),
    "opensora, full": lambda: of_opensora("full", qk_norm=False),
    "factored": lambda: of_factored("factored"),
    "factored, full": lambda: of_factored("full"),
}


def randomised(network: nn.Module) -> nn.Module:
    """The network with random weights, of which none is zero or one."""

    def drawn(weight: mx.array) -> mx.array:
        if weight.ndim == 1:
            return 0.1 + 0.3 * normal(*weight.shape)
        return 0.8 * normal(*weight.shape) / weight.shape[-1] ** 0.5

    network.update(tree_map(drawn, network.parameters()))
    mx.eval(network.parameters())
    return network


def size(network: nn.Module) -> int:
    return sum(array.nbytes for array in dict(tree_flatten(network.parameters())).values())


def shared_size(network: Any) -> int:
    """Bytes of the layers that are shared."""
    shares = network.shares()
    return sum(
        size(layer) for name, layer in network.named_modules() if share_of(name, shares) is not None
    )


def lora(network: Any) -> dict[str, mx.array]:
    """A LoRA of all matrices of the blocks that are quantized, and full differences of some."""
    tensors = {}
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.QuantizedLinear):
            continue
        rows = layer.weight.shape[0]
        columns = layer.weight.shape[1] * 32 // BITS
        if len(tensors) % 3 == 2:
            tensors[f"{name}.diff"] = 0.05 * normal(rows, columns)
        tensors[f"{name}.lora_A.weight"] = 0.2 * normal(3, columns)
        tensors[f"{name}.lora_B.weight"] = 0.2 * normal(rows, 3)
    return tensors


def prepared(number: int, make: Case, variant: str) -> tuple[nn.Module, Call]:
    """A case's network as in the variant, and its call: the same each time."""
    mx.random.seed(number)
    network, call = make()
    randomised(network)
    if variant != WHOLE:
        nn.quantize(network, GROUP, BITS, class_predicate=network.quantizable)
    if variant == LORA:
        apply_lora(network, lora(network), 0.5, "the test's")
    return network, call


def compared(network: Any, call: Call, group: mx.distributed.Group) -> dict[str, float]:
    """How far what the network makes in shares is from what it makes whole, and what of its shared
    layers this machine has.
    """
    expected = call(network)
    whole = shared_size(network)
    shard(network, group)
    made = call(network)
    return {
        "difference": mx.abs(made - expected).max().item(),
        "spread": expected.std().item(),
        "share": shared_size(network) / whole,
    }


def main() -> None:
    group = mx.distributed.init(strict=True, backend="ring")
    found = {}
    for number, (name, make) in enumerate(CASES.items()):
        for variant in sys.argv[1:]:
            network, call = prepared(number, make, variant)
            found[f"{name}, {variant}"] = compared(network, call, group)
    print(json.dumps({"rank": group.rank(), "found": found}), flush=True)


if __name__ == "__main__":
    main()
