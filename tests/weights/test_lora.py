"""LoRAs of every spelling give what merging by hand gives, on plain and quantized layers; what has
no place stops them whole.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
import re

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import ModelNotFoundError, SettingError, WeightsError
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.transformer import WanTransformer3DModel
from mlxvid.weights.lora import Lora, parse_lora, read_lora
from mlxvid.weights.lora_layers import LoraLinear, apply_lora

CONFIG = dict(
    num_attention_heads=2,
    attention_head_dim=32,
    in_channels=6,
    out_channels=4,
    text_dim=32,
    freq_dim=32,
    ffn_dim=96,
    num_layers=2,
    image_dim=32,
    added_kv_proj_dim=64,
    pos_embed_seq_len=6,
)
# Layers by Diffusers' name, the original's, and (out, in).
LAYERS = {
    "blocks.0.attn1.to_q": ("blocks.0.self_attn.q", 64, 64),
    "blocks.1.attn2.to_out.0": ("blocks.1.cross_attn.o", 64, 64),
    "blocks.1.attn2.add_k_proj": ("blocks.1.cross_attn.k_img", 64, 64),
    "blocks.0.ffn.net.0.proj": ("blocks.0.ffn.0", 96, 64),
    "blocks.1.ffn.net.2": ("blocks.1.ffn.2", 64, 96),
    "condition_embedder.time_proj": ("time_projection.1", 384, 64),
    "condition_embedder.image_embedder.ff.net.2": ("img_emb.proj.3", 64, 32),
    "proj_out": ("head.head", 16, 64),
}
STYLES = {
    "diffusers": (
        "transformer.{ours}.lora_A.weight",
        "transformer.{ours}.lora_B.weight",
        "transformer.{ours}.alpha",
    ),
    "peft": (
        "base_model.model.{ours}.lora_A.default.weight",
        "base_model.model.{ours}.lora_B.default.weight",
        "{ours}.alpha",
    ),
    "plain": ("{ours}.lora_A.weight", "{ours}.lora_B.weight", "{ours}.alpha"),
    "older diffusers": (
        "transformer.{ours}.lora.down.weight",
        "transformer.{ours}.lora.up.weight",
        "transformer.{ours}.alpha",
    ),
    "original": ("{theirs}.lora_down.weight", "{theirs}.lora_up.weight", "{theirs}.alpha"),
    "comfyui": (
        "diffusion_model.{theirs}.lora_down.weight",
        "diffusion_model.{theirs}.lora_up.weight",
        "diffusion_model.{theirs}.alpha",
    ),
    "comfyui, peft": (
        "diffusion_model.{theirs}.lora_A.weight",
        "diffusion_model.{theirs}.lora_B.weight",
        "diffusion_model.{theirs}.alpha",
    ),
    "kohya": (
        "lora_unet_{flat}.lora_down.weight",
        "lora_unet_{flat}.lora_up.weight",
        "lora_unet_{flat}.alpha",
    ),
    "kohya, diffusers": (
        "lora_unet_{flat_ours}.lora_down.weight",
        "lora_unet_{flat_ours}.lora_up.weight",
        "lora_unet_{flat_ours}.alpha",
    ),
}
# Full differences by key; the tensor that each changes.
FULL = {
    "diffusion_model.blocks.0.self_attn.norm_q.diff": "blocks.0.attn1.norm_q.weight",
    "diffusion_model.blocks.1.cross_attn.norm_k_img.diff": "blocks.1.attn2.norm_added_k.weight",
    "diffusion_model.blocks.0.norm3.diff": "blocks.0.norm2.weight",
    "diffusion_model.blocks.0.norm3.diff_b": "blocks.0.norm2.bias",
    "diffusion_model.blocks.1.modulation.diff": "blocks.1.scale_shift_table",
    "diffusion_model.blocks.0.diff_m": "blocks.0.scale_shift_table",
    "diffusion_model.head.diff_m": "scale_shift_table",
    "diffusion_model.head.head.diff": "proj_out.weight",
    "diffusion_model.head.head.diff_b": "proj_out.bias",
    "diffusion_model.blocks.1.ffn.0.diff": "blocks.1.ffn.net.0.proj.weight",
    "diffusion_model.blocks.1.ffn.0.diff_b": "blocks.1.ffn.net.0.proj.bias",
    "diffusion_model.blocks.1.self_attn.v.diff_b": "blocks.1.attn1.to_v.bias",
    "diffusion_model.text_embedding.2.diff_b": "condition_embedder.text_embedder.linear_2.bias",
    "diffusion_model.img_emb.proj.0.diff": "condition_embedder.image_embedder.norm1.weight",
    "diffusion_model.img_emb.emb_pos.diff": "condition_embedder.image_embedder.pos_embed",
    "diffusion_model.patch_embedding.diff": "patch_embedding.weight",
    "diffusion_model.patch_embedding.diff_b": "patch_embedding.bias",
}


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def network(bits: int | None = None) -> WanTransformer3DModel:
    """A tiny model, always the same, with its blocks' matrices quantized where bits are given."""
    network = WanTransformer3DModel(WanTransformerConfig(**CONFIG))
    names = [(name, weight.shape) for name, weight in tree_flatten(network.parameters())]
    network.load_weights(
        [
            (name, mx.array(random(*shape, seed=i) / (shape[-1] ** 0.5)))
            for i, (name, shape) in enumerate(names)
        ]
    )
    if bits:
        nn.quantize(network, 32, bits, class_predicate=network.quantizable)
    return network


def run(network: WanTransformer3DModel) -> np.ndarray:
    x, text, image = (
        random(2, 2, 4, 6, 6, seed=1),
        random(2, 8, 32, seed=2),
        random(2, 6, 32, seed=3),
    )
    return np.array(network(mx.array(x), mx.array([900.0, 7.0]), mx.array(text), mx.array(image)))


def weights(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: np.array(weight) for name, weight in tree_flatten(network.parameters())}


def factors(
    rank: int = 3, alpha: float | None = 6.0, seed: int = 0
) -> dict[str, tuple[np.ndarray, np.ndarray, float | None]]:
    """down, up and alpha by Diffusers' layer name."""
    return {
        ours: (
            random(rank, i, seed=seed + n) * 0.3,
            random(o, rank, seed=seed + 100 + n) * 0.1,
            alpha,
        )
        for n, (ours, (_, o, i)) in enumerate(LAYERS.items())
    }


def spelled(style: str, lora: dict) -> dict[str, np.ndarray]:
    tensors = {}
    for ours, (down, up, alpha) in lora.items():
        theirs = LAYERS[ours][0]
        names = dict(
            ours=ours,
            theirs=theirs,
            flat=theirs.replace(".", "_"),
            flat_ours=ours.replace(".", "_"),
        )
        for key, value in zip(STYLES[style], (down, up, alpha), strict=True):
            if value is not None:
                tensors[key.format(**names)] = np.asarray(value, np.float32)
    return tensors


def by_hand(before: dict[str, np.ndarray], lora: dict, scale: float) -> dict[str, np.ndarray]:
    after = dict(before)
    for ours, (down, up, alpha) in lora.items():
        after[f"{ours}.weight"] = (
            after[f"{ours}.weight"]
            + scale * (1 if alpha is None else alpha / len(down)) * up @ down
        )
    return after


def arrays(tensors: dict[str, np.ndarray]) -> dict[str, mx.array]:
    return {key: mx.array(value) for key, value in tensors.items()}


def written(path, tensors: dict, metadata: dict | None = None):
    mx.save_safetensors(str(path), arrays(tensors), metadata)
    return path


def same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray], atol: float = 1e-5) -> bool:
    return ours.keys() == theirs.keys() and all(
        np.allclose(ours[name], theirs[name], atol=atol) for name in ours
    )


@pytest.mark.parametrize("alpha", [None, 6.0])
@pytest.mark.parametrize("style", STYLES)
def test_every_spelling_is_what_merging_by_hand_gives(style, alpha, tmp_path):
    lora, plain = factors(alpha=alpha), network()
    before, y = weights(plain), run(plain)
    file = written(tmp_path / "a.safetensors", spelled(style, lora))
    apply_lora(plain, read_lora(Lora(str(file)), None), 0.7, "a LoRA")
    assert same(weights(plain), by_hand(before, lora, 0.7))
    assert np.abs(run(plain) - y).max() > 0.05


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_layers_keep_their_weights_and_gain_the_difference(bits):
    lora, quantized, plain = factors(), network(bits), network()
    before = weights(quantized)
    for name, module in quantized.named_modules():  # the same weights, no longer quantized
        if isinstance(module, nn.QuantizedLinear):
            exact = mx.dequantize(module.weight, module.scales, module.biases, 32, bits)
            plain.load_weights([(f"{name}.weight", exact)], strict=False)
    plain.load_weights(
        [(f"{name}.weight", mx.array(weight)) for name, weight in merged(plain, lora, 0.7).items()],
        strict=False,
    )
    apply_lora(quantized, arrays(spelled("comfyui", lora)), 0.7, "a LoRA")
    after = weights(quantized)
    untouched = {
        name
        for name in before
        if name.removesuffix(".weight") not in LAYERS or f"{name[:-6]}scales" in before
    }
    assert all(np.array_equal(after[name], before[name]) for name in untouched)
    wrapped = {name for name, module in quantized.named_modules() if isinstance(module, LoraLinear)}
    assert wrapped == {name for name in LAYERS if name.startswith("blocks.")}
    assert np.abs(run(quantized) - run(plain)).max() < 1e-4


def merged(plain: nn.Module, lora: dict, scale: float) -> dict[str, np.ndarray]:
    after = by_hand(weights(plain), lora, scale)
    return {name: after[f"{name}.weight"] for name in lora}


@pytest.mark.parametrize("bits", [None, 4, 8])
def test_two_loras_of_different_ranks_add_up(bits):
    first, second = factors(rank=3), factors(rank=5, alpha=None, seed=50)
    both, one = network(bits), network(bits)
    apply_lora(both, arrays(spelled("diffusers", first)), 0.7, "one")
    apply_lora(both, arrays(spelled("kohya", second)), -1.5, "two")
    joined = {
        ours: (
            np.concatenate([first[ours][0], second[ours][0]]),
            np.concatenate([0.7 * 2 * first[ours][1], -1.5 * second[ours][1]], 1),
            None,
        )
        for ours in LAYERS
    }
    apply_lora(one, arrays(spelled("plain", joined)), 1.0, "both at once")
    assert np.abs(run(both) - run(one)).max() < 1e-4
    assert np.abs(run(both) - run(network(bits))).max() > 0.05


@pytest.mark.parametrize("bits", [None, 4])
def test_full_differences(bits):
    changed, before = network(bits), weights(network())
    tensors = {
        key: random(*before[name].shape, seed=n) * 0.1 for n, (key, name) in enumerate(FULL.items())
    }
    patch = random(64, 6, 1, 2, 2, seed=70) * 0.1
    given = {**tensors, "diffusion_model.patch_embedding.diff": patch}
    in_our_axes = {
        **tensors,
        "diffusion_model.patch_embedding.diff": patch.transpose(0, 2, 3, 4, 1).reshape(64, -1),
    }
    y = run(changed)
    apply_lora(changed, arrays(given), 0.5, "a LoRA")
    after = weights(changed)
    for key, name in FULL.items():
        if bits and name == "blocks.1.ffn.net.0.proj.weight":
            name, before[name.replace("weight", "full")] = name.replace("weight", "full"), 0
        assert np.allclose(after[name], before[name] + 0.5 * in_our_axes[key], atol=1e-6), name
    assert np.abs(run(changed) - y).max() > 0.05


def test_a_full_difference_is_not_lost_in_the_rounding_of_4_bits():
    changed = network(4)
    layer, x = changed.blocks[0].attn1.to_k, mx.array(random(5, 64))
    y, small = layer(x), random(64, 64, seed=9) * 1e-3
    for _ in range(2):
        apply_lora(changed, {"blocks.0.attn1.to_k.diff": mx.array(small)}, 1.0, "a LoRA")
    assert mx.allclose(changed.blocks[0].attn1.to_k(x) - y, 2 * x @ mx.array(small).T, atol=1e-5)


def test_factors_of_the_patch_convolution_and_a_bias_of_factors():
    changed = network()
    before = weights(changed)
    down, up, bias = random(2, 6, 1, 2, 2), random(64, 2, 1, 1, 1, seed=1), random(64, seed=2)
    names = ("lora_A.weight", "lora_B.weight", "lora_B.bias", "alpha")
    values = (down, up, bias, np.array([8], np.int64))
    apply_lora(
        changed,
        arrays(
            {f"patch_embedding.{name}": value for name, value in zip(names, values, strict=True)}
        ),
        0.5,
        "a LoRA",
    )
    after = weights(changed)
    delta = np.einsum("or,rcthw->othwc", up[:, :, 0, 0, 0], down).reshape(64, -1)
    assert np.allclose(
        after["patch_embedding.weight"], before["patch_embedding.weight"] + 2 * delta, atol=1e-5
    )
    assert np.allclose(
        after["patch_embedding.bias"], before["patch_embedding.bias"] + 2 * bias, atol=1e-5
    )


@pytest.mark.parametrize("bits", [None, 8])
def test_scale_0_is_no_lora(bits):
    untouched, tensors = (
        network(bits),
        arrays({**spelled("comfyui", factors()), "head.diff_m": random(1, 2, 64)}),
    )
    before = weights(untouched)
    apply_lora(untouched, tensors, 0.0, "a LoRA")
    assert same(weights(untouched), before, atol=0)
    with pytest.raises(WeightsError):  # but still one that fits
        apply_lora(untouched, {"nothing.diff": mx.ones(3)}, 0.0, "a LoRA")


def test_half_precision_weights_take_the_sum_in_float32():
    half = network()
    half.set_dtype(mx.bfloat16)
    name, lora = "blocks.0.attn1.to_q", factors()
    before = np.array(half.blocks[0].attn1.to_q.weight.astype(mx.float32))
    apply_lora(half, arrays(spelled("plain", lora)), 1.0, "a LoRA")
    weight = half.blocks[0].attn1.to_q.weight
    assert weight.dtype == mx.bfloat16
    assert mx.array_equal(
        weight, mx.array(before + 2 * lora[name][1] @ lora[name][0]).astype(mx.bfloat16)
    )


def test_a_family_without_an_original_release():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 3)]

    plain = Plain()
    before = np.array(plain.layers[0].weight)
    down, up = random(2, 4), random(3, 2)
    apply_lora(
        plain,
        {
            "transformer.layers.0.lora_A.weight": mx.array(down),
            "transformer.layers.0.lora_B.weight": mx.array(up),
        },
        1.0,
        "a LoRA",
    )
    assert np.allclose(np.array(plain.layers[0].weight), before + up @ down, atol=1e-6)


GOOD = spelled("comfyui", factors())
Q = "diffusion_model.blocks.0.self_attn.q"
NO_PLACE = "This model has no place for {} of a LoRA; use a LoRA that was made for it."
WRONG = {
    "another model's layer": (
        {"double_blocks.0.img_attn.lora_A.weight": random(2, 8)},
        ["double_blocks.0.img_attn.lora_A.weight"],
    ),
    "a block too many": (
        {"blocks.2.attn1.to_q.diff": random(64, 64)},
        ["blocks.2.attn1.to_q.diff"],
    ),
    "not a LoRA's key": (
        {"blocks.0.attn1.to_q.weight": random(64, 64)},
        ["blocks.0.attn1.to_q.weight"],
    ),
    "another kind of factors": ({f"{Q[:-1]}k.lokr_w1": random(8, 8)}, [f"{Q[:-1]}k.lokr_w1"]),
    "weight-decomposed": ({f"{Q}.dora_scale": random(64, 1)}, [f"{Q}.dora_scale"]),
    "half of a pair": (
        {"blocks.0.attn1.to_k.lora_A.weight": random(2, 64)},
        ["blocks.0.attn1.to_k.lora_A.weight"],
    ),
    "alpha of nothing": (
        {"blocks.0.attn1.to_k.alpha": np.float32(4)},
        ["blocks.0.attn1.to_k.alpha"],
    ),
    "the same twice": (
        {"blocks.0.attn1.to_q.lora_A.weight": random(3, 64)},
        ["blocks.0.attn1.to_q.lora_A.weight"],
    ),
    "a bias that is none": (
        {"blocks.0.attn1.norm_q.diff_b": random(64)},
        ["blocks.0.attn1.norm_q.diff_b"],
    ),
    "a bias of down": ({f"{Q}.lora_down.bias": random(3)}, [f"{Q}.lora_down.bias"]),
    "factors of a norm": (
        {
            "blocks.0.norm2.lora_A.weight": random(2, 64),
            "blocks.0.norm2.lora_B.weight": random(64, 2),
        },
        ["blocks.0.norm2.lora_A.weight", "blocks.0.norm2.lora_B.weight"],
    ),
    "an odd name": ({"a\nb": random(1)}, ["a\nb"]),
}


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("case", WRONG)
def test_a_tensor_without_a_place_stops_all(case, bits):
    extra, lost = WRONG[case]
    untouched = network(bits)
    before = weights(untouched)
    with pytest.raises(WeightsError) as error:
        apply_lora(untouched, arrays({**GOOD, **extra}), 1.0, "a LoRA")
    assert str(error.value) == NO_PLACE.format(", ".join(lost))
    assert same(weights(untouched), before, atol=0)


def test_the_first_few_are_named_and_the_rest_counted():
    tensors = {f"x.{i}.diff": mx.ones(2) for i in range(9)}
    with pytest.raises(
        WeightsError, match=re.escape(NO_PLACE.format("x.0.diff, x.1.diff, x.2.diff and 6 more"))
    ):
        apply_lora(network(), tensors, 1.0, "a LoRA")


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (f"{Q}.lora_down.weight", (3, 32)),
        (f"{Q}.lora_down.weight", (0, 64)),
        (f"{Q}.lora_down.weight", ()),
        (f"{Q}.lora_up.weight", (64, 4)),
        (f"{Q}.lora_up.weight", (32, 3)),
        (f"{Q}.alpha", (2,)),
        (f"{Q}.diff", (64, 32)),
        (f"{Q}.diff_b", (32,)),
        ("head.modulation.diff", (1, 6, 64)),
        ("diffusion_model.patch_embedding.diff", (64, 16, 1, 2, 2)),
        ("diffusion_model.patch_embedding.diff", ()),
    ],
)
def test_a_shape_that_does_not_fit_stops_all(key, shape, bits):
    untouched = network(bits)
    before = weights(untouched)
    with pytest.raises(WeightsError, match="use a LoRA that was made for it") as error:
        apply_lora(untouched, arrays({**GOOD, key: np.ones(shape, np.float32)}), 1.0, "a LoRA")
    # A pair of different ranks is told of by the first of the two that the file has.
    assert str(error.value).startswith((key, f"{Q}.lora_up.weight")) and "\n" not in str(
        error.value
    )
    assert same(weights(untouched), before, atol=0)


def test_factors_without_a_rank():
    tensors = {
        f"{Q}.lora_down.weight": mx.zeros((0, 64)),
        f"{Q}.lora_up.weight": mx.zeros((64, 0)),
        f"{Q}.alpha": mx.array(1.0),
    }
    with pytest.raises(
        WeightsError,
        match=re.escape(
            f"{Q}.lora_down.weight in a LoRA is (0, 64), which does not fit this model's"
        ),
    ):
        apply_lora(network(), tensors, 1.0, "a LoRA")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {f"{Q}.diff": np.array([1, np.nan], np.float32)},
            f"values that are no finite numbers in {Q}.diff",
        ),
        (
            {f"{Q}.alpha": np.array(np.inf, np.float32)},
            f"values that are no finite numbers in {Q}.alpha",
        ),
        (
            {f"{Q}.diff": np.ones((2, 2), np.uint8)},
            f"values that are no finite numbers in {Q}.diff",
        ),  # as 8-bit floats come
        ({}, "no tensors"),
    ],
)
def test_values_that_no_lora_can_have(tensors, message, tmp_path):
    file = written(tmp_path / "a.safetensors", tensors)
    with pytest.raises(WeightsError) as error:
        read_lora(Lora(str(file)), None)
    assert str(error.value) == f"{file} has {message}; download it again, or use another LoRA."


@pytest.mark.parametrize("harm", ["cut", "not one", "empty"])
def test_files_that_are_damaged(harm, tmp_path):
    file = written(tmp_path / "a.safetensors", GOOD)
    whole = file.read_bytes()
    file.write_bytes(
        {"cut": whole[:-100], "not one": b"PK\x03\x04" + bytes(60), "empty": b""}[harm]
    )
    with pytest.raises(WeightsError) as error:
        read_lora(Lora(str(file)), None)
    assert (
        str(error.value)
        == f"{file} is no safetensors file, damaged or cut short; download it again."
    )


ADAPTERS = {
    "none": ({}, None),
    "alpha": ({"lora_alpha": 12, "r": 3}, 12),
    "rank-stabilised": ({"lora_alpha": 12, "use_rslora": True}, 12 * 3**0.5),
    "one layer's own": ({"lora_alpha": 7, "alpha_pattern": dict.fromkeys(LAYERS, 12)}, 12),
}


@pytest.mark.parametrize("where", ["metadata", "beside"])
@pytest.mark.parametrize("case", ADAPTERS)
def test_alphas_kept_apart_from_the_tensors(case, where, tmp_path):
    adapter, alpha = ADAPTERS[case]
    file, style = tmp_path / "adapter_model.safetensors", "peft"
    if where == "metadata":
        style = "diffusers"
        written(
            file,
            spelled(style, factors(alpha=None)),
            {
                "lora_adapter_metadata": json.dumps(
                    {f"transformer.{k}": v for k, v in adapter.items()}
                )
            },
        )
    else:
        written(file, spelled(style, factors(alpha=None)))
        (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    plain = network()
    expected = by_hand(weights(plain), factors(alpha=alpha), 1.0)
    apply_lora(plain, read_lora(Lora(str(file)), None), 1.0, "a LoRA")
    assert same(weights(plain), expected)


def test_an_alpha_among_the_tensors_wins(tmp_path):
    file = written(
        tmp_path / "a.safetensors",
        spelled("diffusers", factors(alpha=6.0)),
        {"lora_adapter_metadata": '{"lora_alpha": 99}'},
    )
    assert all(
        alpha.item() == 6
        for key, alpha in read_lora(Lora(str(file)), None).items()
        if key.endswith(".alpha")
    )


@pytest.mark.parametrize(
    "settings",
    [
        "[1]",
        "{",
        '{"lora_alpha": "x"}',
        '{"lora_alpha": NaN}',
        '{"lora_alpha": 1, "alpha_pattern": {"other": 2}}',
    ],
)
def test_settings_that_are_none(settings, tmp_path):
    file = written(
        tmp_path / "a.safetensors",
        spelled("plain", factors(alpha=None)),
        {"lora_adapter_metadata": settings},
    )
    with pytest.raises(WeightsError) as error:
        read_lora(Lora(str(file)), None)
    assert (
        str(error.value)
        == f"The settings kept with {file} are none that Diffusers or PEFT write; use another LoRA."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("style.safetensors", Lora("style.safetensors")),
        ("style.safetensors@0.5", Lora("style.safetensors", None, 0.5)),
        ("style.safetensors@-1e-1", Lora("style.safetensors", None, -0.1)),
        ("owner/repo", Lora("owner/repo")),
        ("owner/repo:sub/file.safetensors", Lora("owner/repo", "sub/file.safetensors")),
        ("owner/repo:file.safetensors@2", Lora("owner/repo", "file.safetensors", 2.0)),
        # What is there is meant, whatever its name.
        ("there/a@2", Lora("there/a@2")),
        ("there/a@2@0.5", Lora("there/a@2", None, 0.5)),
        ("there/b:c.safetensors", Lora("there/b:c.safetensors")),
        ("there/b:c.safetensors@0.5", Lora("there/b:c.safetensors", None, 0.5)),
        ("there/d:e:f.safetensors@0.5", Lora("there/d:e", "f.safetensors", 0.5)),
    ],
)
def test_parse(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there" / "d:e").mkdir(parents=True)
    for name in ("a@2", "b:c.safetensors"):
        (tmp_path / "there" / name).touch()
    assert parse_lora(text) == expected
    assert parse_lora(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "@1", ":file@1", "repo:", "repo:@1"])
def test_parse_nothing(text):
    with pytest.raises(SettingError) as error:
        parse_lora(text)
    assert (
        str(error.value) == f"{text!r} names no LoRA; one is given as FILE_OR_REPO[:file][@scale]."
    )


@pytest.mark.parametrize("text", ["a@b", "a@", "a@nan", "a@inf", "a@1e999"])
def test_parse_scales_that_are_none(text):
    message = f"There is no file {text!r}, and no finite scale behind its last '@'; a LoRA is given as FILE_OR_REPO[:file][@scale]."
    with pytest.raises(SettingError) as error:
        parse_lora(text)
    assert str(error.value) == message


def test_where_a_lora_is_found(tmp_path):
    folder, asked = tmp_path / "loras", []
    (folder / "sub").mkdir(parents=True)
    one = written(folder / "one.safetensors", {"a.diff": random(1)})
    two = written(folder / "sub" / "two.safetensors", {"b.diff": random(1)})

    def download(repo, file):
        asked.append((repo, file))
        return two

    assert (
        list(read_lora(Lora(str(one)), download))
        == list(read_lora(Lora(str(folder)), download))
        == ["a.diff"]
    )
    assert (
        list(read_lora(Lora(str(folder), "sub/two.safetensors"), download)) == ["b.diff"]
        and not asked
    )
    assert (
        list(read_lora(Lora("owner/repo", "two.safetensors"), download))
        == list(read_lora(Lora("owner/repo.x"), download))
        == ["b.diff"]
    )
    assert asked == [("owner/repo", "two.safetensors"), ("owner/repo.x", None)]


@pytest.mark.parametrize(
    ("source", "file", "message"),
    [
        (
            "{folder}",
            None,
            "{folder} has 2 .safetensors files; name the LoRA's file, as in FILE_OR_REPO[:file][@scale].",
        ),
        (
            "{folder}",
            "c",
            "{folder} has no file c; name the LoRA's file, as in FILE_OR_REPO[:file][@scale].",
        ),
        (
            "{folder}/a.safetensors",
            "c",
            "There is no LoRA '{folder}/a.safetensors:c'; give a .safetensors file or a hub repository, as in ",
        ),
        (
            "loras/x.safetensors",
            None,
            "There is no LoRA 'loras/x.safetensors'; give a .safetensors file or a hub repository, as in ",
        ),
        (
            "x",
            None,
            "There is no LoRA 'x'; give a .safetensors file or a hub repository, as in FILE_OR_REPO[:file][@scale].",
        ),
        (
            "../x/y",
            None,
            "There is no LoRA '../x/y'; give a .safetensors file or a hub repository, as in FILE_OR_REPO[:file][@scale].",
        ),
    ],
)
def test_where_there_is_none(source, file, message, tmp_path):
    for name in ("a", "b"):
        written(tmp_path / f"{name}.safetensors", {"a.diff": random(1)})
    with pytest.raises(ModelNotFoundError) as error:
        read_lora(Lora(source.format(folder=tmp_path), file), None)
    assert str(error.value).startswith(message.format(folder=tmp_path))
