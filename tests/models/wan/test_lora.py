"""LoRAs of every spelling give what merging by hand gives; what has no place stops them whole."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
import re

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.weights.lora_layers import LoraLinear, apply_lora
from tests.facts import facts
from tests.weights.lora_tensors import arrays, random, read, same, weights, written

from .loras import FULL, LAYERS, STYLES, by_hand, factors, merged, network, run, spelled


@pytest.mark.parametrize("alpha", [None, 6.0])
@pytest.mark.parametrize("style", STYLES)
def test_every_spelling_is_what_merging_by_hand_gives(style, alpha, tmp_path):
    lora = factors(alpha=alpha)
    plain = network()
    before = weights(plain)
    y = run(plain)
    file = written(tmp_path / "a.safetensors", spelled(style, lora))
    apply_lora(plain, read(file), 0.7, "a LoRA")
    assert same(weights(plain), by_hand(before, lora, 0.7))
    assert np.abs(run(plain) - y).max() > 0.05


@pytest.mark.parametrize("bits", [4, 8])
def test_quantized_layers_keep_their_weights_and_gain_the_difference(bits):
    lora = factors()
    quantized = network(bits)
    plain = network()
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


@pytest.mark.parametrize("bits", [None, 4, 8])
def test_two_loras_of_different_ranks_add_up(bits):
    first = factors(rank=3)
    second = factors(rank=5, alpha=None, seed=50)
    both = network(bits)
    one = network(bits)
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
    changed = network(bits)
    before = weights(network())
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
            name = name.replace("weight", "full")
            before[name] = 0
        assert np.allclose(after[name], before[name] + 0.5 * in_our_axes[key], atol=1e-6), name
    assert np.abs(run(changed) - y).max() > 0.05


def test_a_full_difference_is_not_lost_in_the_rounding_of_4_bits():
    changed = network(4)
    x = mx.array(random(5, 64))
    y = changed.blocks[0].attn1.to_k(x)
    small = random(64, 64, seed=9) * 1e-3
    for _ in range(2):
        apply_lora(changed, {"blocks.0.attn1.to_k.diff": mx.array(small)}, 1.0, "a LoRA")
    assert mx.allclose(changed.blocks[0].attn1.to_k(x) - y, 2 * x @ mx.array(small).T, atol=1e-5)


def test_factors_of_the_patch_convolution_and_a_bias_of_factors():
    changed = network()
    before = weights(changed)
    down = random(2, 6, 1, 2, 2)
    up = random(64, 2, 1, 1, 1, seed=1)
    bias = random(64, seed=2)
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
    untouched = network(bits)
    tensors = arrays({**spelled("comfyui", factors()), "head.diff_m": random(1, 2, 64)})
    before = weights(untouched)
    apply_lora(untouched, tensors, 0.0, "a LoRA")
    assert same(weights(untouched), before, atol=0)
    with pytest.raises(WeightsError):  # but still one that fits
        apply_lora(untouched, {"nothing.diff": mx.ones(3)}, 0.0, "a LoRA")


def test_half_precision_weights_take_the_sum_in_float32():
    half = network()
    half.set_dtype(mx.bfloat16)
    name = "blocks.0.attn1.to_q"
    lora = factors()
    before = np.array(half.blocks[0].attn1.to_q.weight.astype(mx.float32))
    apply_lora(half, arrays(spelled("plain", lora)), 1.0, "a LoRA")
    weight = half.blocks[0].attn1.to_q.weight
    assert weight.dtype == mx.bfloat16
    assert mx.array_equal(
        weight, mx.array(before + 2 * lora[name][1] @ lora[name][0]).astype(mx.bfloat16)
    )


GOOD = spelled("comfyui", factors())


Q = "diffusion_model.blocks.0.self_attn.q"


WRONG = {
    "another kind of factors": ({f"{Q[:-1]}k.lokr_w1": random(8, 8)}, [f"{Q[:-1]}k.lokr_w1"]),
    "a magnitude alone": ({f"{Q[:-1]}k.dora_scale": random(64, 1)}, [f"{Q[:-1]}k.dora_scale"]),
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
    "a bias of down": ({f"{Q}.lora_down.bias": random(3)}, [f"{Q}.alpha", "and 1 more"]),
    "two kinds of factors": ({f"{Q}.lokr_w1": random(8, 8)}, [f"{Q}.alpha", "and 1 more"]),
    "factors of a norm": (
        {
            "blocks.0.norm2.lora_A.weight": random(2, 64),
            "blocks.0.norm2.lora_B.weight": random(64, 2),
        },
        ["blocks.0.norm2.lora_A.weight", "blocks.0.norm2.lora_B.weight"],
    ),
}


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_change_of_a_layer_stops_all(case, bits):
    extra, broken = WRONG[case]
    untouched = network(bits)
    before = weights(untouched)
    with pytest.raises(WeightsError, match=facts(*broken, "in a LoRA", "use another LoRA")):
        apply_lora(untouched, arrays({**GOOD, **extra}), 1.0, "a LoRA")
    assert same(weights(untouched), before, atol=0)


def test_the_first_few_are_named_and_the_rest_counted():
    tensors = {f"x.{i}.diff": mx.ones(2) for i in range(9)}
    with pytest.raises(WeightsError, match=facts("a LoRA", "x.0, x.1, x.2 and 6 more")):
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
        ("diffusion_model.patch_embedding.diff", (32, 6, 1, 2, 2)),
        ("diffusion_model.patch_embedding.diff", (64, 24)),
        ("diffusion_model.patch_embedding.diff", ()),
    ],
)
def test_a_shape_that_does_not_fit_stops_all(key, shape, bits):
    untouched = network(bits)
    before = weights(untouched)
    with pytest.raises(WeightsError, match="does not fit") as error:
        apply_lora(untouched, arrays({**GOOD, key: np.ones(shape, np.float32)}), 1.0, "a LoRA")
    # Of a pair of different ranks, the first of the two that the file has is named.
    assert str(error.value).startswith((key, f"{Q}.lora_up.weight"))
    assert "\n" not in str(error.value)
    assert same(weights(untouched), before, atol=0)


def test_factors_without_a_rank():
    tensors = {
        f"{Q}.lora_down.weight": mx.zeros((0, 64)),
        f"{Q}.lora_up.weight": mx.zeros((64, 0)),
        f"{Q}.alpha": mx.array(1.0),
    }
    fact = f"{Q}.lora_down.weight in a LoRA is (0, 64), which does not fit"
    with pytest.raises(WeightsError, match=re.escape(fact)):
        apply_lora(network(), tensors, 1.0, "a LoRA")


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
    file = tmp_path / "adapter_model.safetensors"
    style = "peft"
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
    apply_lora(plain, read(file), 1.0, "a LoRA")
    assert same(weights(plain), expected)


FUSED = {
    "blocks.0.attn1.to_qkv": ("blocks.0.attn1", ("to_q", "to_k", "to_v")),
    "blocks.1.attn2.to_kv": ("blocks.1.attn2", ("to_k", "to_v")),
    "blocks.1.attn2.to_added_kv": ("blocks.1.attn2", ("add_k_proj", "add_v_proj")),
    "diffusion_model.blocks.1.self_attn.qkv": ("blocks.1.attn1", ("to_q", "to_k", "to_v")),
    "lora_unet_blocks_0_cross_attn_kv": ("blocks.0.attn2", ("to_k", "to_v")),
}


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("key", FUSED)
def test_layers_that_a_trainer_has_in_one(key, bits):
    owner, layers = FUSED[key]
    rows = 64 * len(layers)
    down = random(3, 64)
    up = random(rows, 3, seed=1)
    bias = random(rows, seed=2)
    names = ("lora_A.weight", "lora_B.weight", "lora_B.bias", "alpha")
    values = (down, up, bias, np.float32(6))
    fused = network(bits)
    apart = network(bits)
    tensors = {f"{key}.{name}": value for name, value in zip(names, values, strict=True)}
    apply_lora(fused, arrays(tensors), 0.5, "a LoRA")
    for number, layer in enumerate(layers):
        part = slice(64 * number, 64 * (number + 1))
        values = (down, up[part], bias[part], np.float32(6))
        tensors = {
            f"{owner}.{layer}.{name}": value for name, value in zip(names, values, strict=True)
        }
        apply_lora(apart, arrays(tensors), 0.5, "a LoRA")
    assert same(weights(fused), weights(apart))
    assert not same(weights(fused), weights(network(bits)))


@pytest.mark.parametrize("bits", [None, 4])
def test_one_layer_in_two_ways_adds_up(bits):
    down = random(3, 64)
    up = random(64, 3, seed=1)
    one = {f"{Q}.lora_A.weight": down, f"{Q}.lora_B.weight": up}
    key = f"{Q[:-1]}qkv"
    whole = {f"{key}.lora_A.weight": down, f"{key}.lora_B.weight": np.concatenate([up, up, up])}
    both = network(bits)
    apply_lora(both, arrays({**one, **whole}), 1.0, "both")
    twice = network(bits)
    apply_lora(twice, arrays(whole), 1.0, "whole")
    apply_lora(twice, arrays(one), 1.0, "one")
    assert same(weights(both), weights(twice))


def test_whole_matrices_of_lycoris_on_a_convolution_are_refused():
    """Whose axes are in another order there."""
    tensors = {"patch_embedding.lokr_w1": random(8, 4), "patch_embedding.lokr_w2": random(8, 6)}
    with pytest.raises(WeightsError, match=facts("lokr_w1", "does not fit", "patch_embedding")):
        apply_lora(network(), arrays(tensors), 1.0, "a LoRA")
