"""Wan's transformer, and the original release's tensor names, against Diffusers'."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import dataclasses

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.layers import attention, bounds
from mlxvid.models.wan import transformer as wan
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.original import original_name, transformer_name
from mlxvid.weights.lora_layers import apply_lora
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")
diffusers_wan = pytest.importorskip("diffusers.models.transformers.transformer_wan")

TINY = dict(
    patch_size=[1, 2, 2],
    num_attention_heads=2,
    attention_head_dim=12,
    in_channels=5,
    out_channels=5,
    text_dim=20,
    freq_dim=16,
    ffn_dim=40,
    num_layers=2,
)
PICTURES = dict(in_channels=11, image_dim=18, added_kv_proj_dim=24)
VARIANTS = {
    "t2v": TINY,
    "t2v, no cross-attention norm": {**TINY, "cross_attn_norm": False},
    "i2v": {**TINY, **PICTURES},
    "i2v, latents only": {**TINY, "in_channels": 11},
    "flf2v": {**TINY, **PICTURES, "pos_embed_seq_len": 14},
}
T2V_14B = dict(
    patch_size=[1, 2, 2],
    num_attention_heads=40,
    attention_head_dim=128,
    in_channels=16,
    out_channels=16,
    text_dim=4096,
    freq_dim=256,
    ffn_dim=13824,
    num_layers=40,
    cross_attn_norm=True,
    eps=1e-6,
)
I2V_14B = {**T2V_14B, "in_channels": 36, "image_dim": 1280, "added_kv_proj_dim": 5120}
RELEASES = {
    "t2v-1.3b": {**T2V_14B, "num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    "t2v-14b": T2V_14B,
    "i2v-14b-480p": I2V_14B,
    "i2v-14b-720p": I2V_14B,
    "flf2v-14b-720p": {**I2V_14B, "pos_embed_seq_len": 514},
}
TOLERANCE = 1e-4


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def twins(config: dict):
    """The same random weights in both, norms, biases and initial zeros included."""
    theirs = diffusers_wan.WanTransformer3DModel(**config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            scale = 0.3 if parameter.ndim < 2 or "table" in name else parameter[0].numel() ** -0.5
            offset = 1 if "norm" in name and name.endswith("weight") else 0
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(noise * scale + offset)
    ours = wan.WanTransformer3DModel(WanTransformerConfig(**config))
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the twin")
    return ours, theirs


def inputs(config: dict, grid: tuple[int, int, int]) -> list[np.ndarray]:
    """Two clips' latents, timesteps, texts and, where the model reads them, pictures.

    The texts have 512 tokens, as the reference expects beside a picture.
    """
    batch = [
        random(2, *grid, config["in_channels"], seed=1),
        np.array([917.3, 42.0], np.float32),
        random(2, 512, 20, seed=2),
    ]
    if "image_dim" in config:
        batch.append(random(2, 14, 18, seed=3))
    return batch


def reference(theirs, config: dict, x, timestep, text, image=None) -> np.ndarray:
    if config.get("pos_embed_seq_len"):
        # Diffusers takes the two pictures of a clip as two items of a batch.
        image = image.reshape(4, 7, 18)
    with torch.no_grad():
        (y,) = theirs(
            torch.from_numpy(x.transpose(0, 4, 1, 2, 3).copy()),
            torch.from_numpy(timestep),
            torch.from_numpy(text),
            None if image is None else torch.from_numpy(image),
            return_dict=False,
        )
    return y.numpy().transpose(0, 2, 3, 4, 1)


@pytest.mark.parametrize("grid", [(1, 4, 6), (4, 6, 10)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_transformer(variant, grid):
    config = VARIANTS[variant]
    ours, theirs = twins(config)
    given = inputs(config, grid)
    expected = reference(theirs, config, *given)
    y = ours(*map(mx.array, given))
    assert y.dtype == mx.float32 and y.shape == expected.shape and expected.std() > 0.01
    assert np.abs(np.array(y) - expected).max() < TOLERANCE


def test_rotary_tables_hold_what_float64_gives():
    config = {**TINY, "attention_head_dim": 128}
    ours = wan.WanTransformer3DModel(WanTransformerConfig(**config)).rope(21, 45, 80)
    theirs = diffusers_wan.WanRotaryPosEmbed(128, (1, 2, 2), 1024)
    cos, sin = theirs(torch.empty(1, 16, 21, 90, 160))
    for table, expected in ((ours.cos, cos), (ours.sin, sin)):
        assert np.abs(np.array(table) - expected[0, :, 0, ::2].numpy()).max() < 1e-7


@pytest.mark.parametrize("name", RELEASES)
def test_inventory(name):
    config = RELEASES[name]
    with torch.device("meta"):
        theirs = diffusers_wan.WanTransformer3DModel(**config).state_dict()
    before = mx.get_active_memory()
    ours = wan.WanTransformer3DModel(WanTransformerConfig(**config))
    expected = ours.sanitize({name: mx.zeros(tuple(value.shape)) for name, value in theirs.items()})
    assert {n: w.shape for n, w in tree_flatten(ours.parameters())} == {
        n: w.shape for n, w in expected.items()
    }
    assert mx.get_active_memory() - before < 10**7  # nothing of the 1.3 or 14 billion was made


def original_names(image: bool, both_pictures: bool, layers: int = 2) -> set[str]:
    """Every tensor of the original WanModel, as wan/modules/model.py names them."""
    layers_with_bias = ["patch_embedding", "time_projection.1", "head.head"]
    for kind in ("text", "time"):
        layers_with_bias += [f"{kind}_embedding.0", f"{kind}_embedding.2"]
    others = ["head.modulation"]
    if image:
        layers_with_bias += [f"img_emb.proj.{i}" for i in (0, 1, 3, 4)]
    if both_pictures:
        others.append("img_emb.emb_pos")
    for i in range(layers):
        block = f"blocks.{i}"
        layers_with_bias += [f"{block}.norm3", f"{block}.ffn.0", f"{block}.ffn.2"]
        others.append(f"{block}.modulation")
        for prefix in (f"{block}.self_attn", f"{block}.cross_attn"):
            layers_with_bias += [f"{prefix}.{x}" for x in "qkvo"]
            others += [f"{prefix}.norm_q.weight", f"{prefix}.norm_k.weight"]
        if image:
            layers_with_bias += [f"{block}.cross_attn.k_img", f"{block}.cross_attn.v_img"]
            others.append(f"{block}.cross_attn.norm_k_img.weight")
    weights = {f"{layer}.weight" for layer in layers_with_bias}
    biases = {f"{layer}.bias" for layer in layers_with_bias}
    return weights | biases | set(others)


@pytest.mark.parametrize(
    ("variant", "image", "both"),
    [("t2v", False, False), ("i2v", True, False), ("flf2v", True, True)],
)
def test_original_names(variant, image, both):
    with torch.device("meta"):
        theirs = diffusers_wan.WanTransformer3DModel(**VARIANTS[variant]).state_dict()
    originals = original_names(image, both)
    assert {transformer_name(name) for name in originals} == set(theirs)
    assert {original_name(name) for name in theirs} == originals


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("blocks.11.self_attn.q", "blocks.11.attn1.to_q"),
        ("blocks.0.cross_attn.o.bias", "blocks.0.attn2.to_out.0.bias"),
        ("blocks.3.norm2", "blocks.3.norm3"),  # a module without tensors
        ("text_embedding.0", "condition_embedder.text_embedder.linear_1"),
        ("head.modulation", "scale_shift_table"),
        ("patch_embedding.weight", "patch_embedding.weight"),
        ("self_attn.q", "self_attn.q"),
        ("blocks.0.ffn.20.weight", "blocks.0.ffn.20.weight"),
        ("img_emb.proj.11", "img_emb.proj.11"),
        ("an\nodd one", "an\nodd one"),
        ("", ""),
    ],
)
def test_names_change_by_whole_segments(original, expected):
    assert transformer_name(original) == expected
    assert original_name(expected) == original


def test_a_first_conversion_and_a_second_loading():
    stray = {
        "blocks.0.attn2.norm_added_q.weight": mx.ones(24),
        "patch_embedding.weight": mx.array(random(24, 5, 1, 2, 2)),
    }
    once = wan.WanTransformer3DModel.sanitize(stray)
    twice = wan.WanTransformer3DModel.sanitize(once)
    assert list(once) == list(twice) == ["patch_embedding.weight"]
    matrix = once["patch_embedding.weight"]
    assert matrix.shape == (24, 20)
    assert mx.array_equal(twice["patch_embedding.weight"], matrix)


@pytest.mark.parametrize("variant", ["t2v", "flf2v"])
def test_half_precision_keeps_what_is_delicate(variant):
    ours, _ = twins(VARIANTS[variant])
    given = [mx.array(array) for array in inputs(VARIANTS[variant], (2, 4, 6))]
    exact = ours(*given)
    tables = {name: weight for name, weight in tree_flatten(ours.parameters()) if "table" in name}
    ours.set_dtype(mx.bfloat16)
    weights = dict(tree_flatten(ours.parameters()))
    kept = {name for name, weight in weights.items() if weight.dtype == mx.float32}
    assert {weight.dtype for weight in weights.values()} == {mx.float32, mx.bfloat16}
    delicate = ("time_embedder", "table", ".norm1.", ".norm2.")
    assert kept == {name for name in weights if any(part in name for part in delicate)}
    assert all(mx.array_equal(weights[name], table) for name, table in tables.items())
    y = ours(*given)
    assert y.dtype == mx.float32
    assert 0 < mx.abs(y - exact).max() < 0.15 * mx.abs(exact).max()


def test_only_the_blocks_matrices_are_quantized():
    config = {
        **TINY,
        "attention_head_dim": 16,
        **PICTURES,
        "added_kv_proj_dim": 32,
        "image_dim": 32,
        "text_dim": 32,
        "ffn_dim": 64,
    }
    ours = wan.WanTransformer3DModel(WanTransformerConfig(**config))
    nn.quantize(ours, 32, 8, class_predicate=ours.quantizable)
    quantized = {
        name.removeprefix("blocks.1.")
        for name, module in ours.named_modules()
        if isinstance(module, nn.QuantizedLinear)
    }
    expected = {"attn2.add_k_proj", "attn2.add_v_proj", "ffn.net.0.proj", "ffn.net.2"}
    for projection in ("to_q", "to_k", "to_v", "to_out.0"):
        expected |= {f"attn1.{projection}", f"attn2.{projection}"}
    assert {name for name in quantized if not name.startswith("blocks.0.")} == expected


@pytest.mark.parametrize(("variant", "message"), [("t2v", "reads none"), ("i2v", "needs one")])
def test_a_picture_that_does_not_belong(variant, message):
    config = VARIANTS[variant]
    ours = wan.WanTransformer3DModel(WanTransformerConfig(**config))
    with_picture = {**VARIANTS["i2v"], "in_channels": config["in_channels"]}
    *given, image = map(mx.array, inputs(with_picture, (1, 4, 4)))
    with pytest.raises(ValueError, match=message):
        ours(*given, image if variant == "t2v" else None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": [1, 2, 3]},
        {"patch_size": [2, 2]},
        {"added_kv_proj_dim": 24},
        {"image_dim": 18},
    ],
)
def test_configs_that_no_model_can_have(wrong):
    with pytest.raises(ValueError):
        WanTransformerConfig(**{**TINY, **wrong})


def test_defaults_are_the_references():
    with torch.device("meta"):
        theirs = diffusers_wan.WanTransformer3DModel(num_layers=1).config
    ours = dataclasses.asdict(WanTransformerConfig(num_layers=1))
    ours["patch_size"] = tuple(ours["patch_size"])
    assert {name: theirs[name] for name in ours} == ours


@pytest.mark.parametrize("scores", [1, 100, 6 * 7 * 11 - 1, 6 * 7 * 11])
def test_attention_in_parts_is_attention(scores, monkeypatch):
    q = mx.array(random(2, 3, 7, 8, seed=0))
    k = mx.array(random(2, 3, 11, 8, seed=1))
    v = mx.array(random(2, 3, 11, 8, seed=2))
    whole = attention.attend(q, k, v)
    monkeypatch.setattr(bounds._Bound, "ops", scores * 4 * 8)
    assert mx.allclose(attention.attend_in_parts(q, k, v), whole, atol=1e-6)


@pytest.mark.parametrize(("budget", "evaluations"), [(1.0, 3), (2.5, 1), (9.0, 0)])
def test_large_clips_are_evaluated_as_they_go(budget, evaluations, monkeypatch):
    """No evaluation has more work than the budget, or than one of the three blocks."""
    config = {**TINY, "num_layers": 3}
    ours, _ = twins(config)
    given = [mx.array(array) for array in inputs(config, (2, 4, 6))]
    expected = ours(*given)
    tokens = 12
    dim = 24
    block = 2 * (2 * tokens * (8 * dim**2 + 2 * dim * 40) + 4 * tokens**2 * dim)
    monkeypatch.setattr(bounds._Bound, "ops", budget * block)
    real = mx.eval
    seen = []

    def counted(*arrays):
        seen.append(len(arrays))
        real(*arrays)

    monkeypatch.setattr(mx, "eval", counted)
    y = ours(*given)
    assert len(seen) == evaluations
    assert mx.allclose(y, expected, atol=1e-6)


LORA_KEYS = {
    "diffusers": (
        "transformer.blocks.{}.attn1.to_q",
        "transformer.blocks.{}.attn2.to_out.0",
        "transformer.blocks.{}.ffn.net.2",
    ),
    "comfyui": (
        "diffusion_model.blocks.{}.self_attn.q",
        "diffusion_model.blocks.{}.cross_attn.o",
        "diffusion_model.blocks.{}.ffn.2",
    ),
    "kohya": (
        *(f"lora_unet_blocks_{{}}_self_attn_{projection}" for projection in "qkvo"),
        *(f"lora_unet_blocks_{{}}_cross_attn_{projection}" for projection in "qkvo"),
        "lora_unet_blocks_{}_ffn_0",
        "lora_unet_blocks_{}_ffn_2",
    ),
}


@pytest.mark.parametrize("style", LORA_KEYS)
def test_loras_are_what_diffusers_loads(style):
    pytest.importorskip("peft")
    from diffusers import WanPipeline

    down, up = ("lora_A", "lora_B") if style == "diffusers" else ("lora_down", "lora_up")
    tensors = {}
    for layer in [key.format(block) for key in LORA_KEYS[style] for block in range(2)]:
        into = 40 if layer.endswith(("ffn.2", "ffn_2", "net.2")) else 24
        out = 40 if layer.endswith("ffn_0") else 24
        tensors[f"{layer}.{down}.weight"] = random(3, into, seed=len(tensors)) * 0.5
        tensors[f"{layer}.{up}.weight"] = random(out, 3, seed=len(tensors)) * 0.5
        if style != "diffusers":
            tensors[f"{layer}.alpha"] = np.array(1.5, np.float32)
        if style == "comfyui":
            tensors[f"{layer}.diff_b"] = random(out, seed=len(tensors))
    ours, theirs = twins(TINY)
    given = inputs(TINY, (2, 4, 6))
    without = reference(theirs, TINY, *given)
    stored = {key: torch.from_numpy(value.copy()) for key, value in tensors.items()}
    state = WanPipeline.lora_state_dict(stored)
    WanPipeline.load_lora_into_transformer(state, transformer=theirs)
    expected = reference(theirs, TINY, *given)
    apply_lora(ours, {key: mx.array(value) for key, value in tensors.items()}, 1.0, "a LoRA")
    assert np.abs(expected - without).max() > 0.1
    assert np.abs(np.array(ours(*map(mx.array, given))) - expected).max() < TOLERANCE
