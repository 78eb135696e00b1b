"""LoRAs of HunyuanVideo in each spelling give what merging by hand gives."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.models.hunyuan.original import original_name, repackaged_name, transformer_name
from mlxvid.weights.lora_layers import apply_lora
from tests.weights.lora_tensors import random, read, same, weights, written

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from .twins import TINY, twins  # noqa: E402

SCALE = 0.7
DUAL = "transformer_blocks.1"
SINGLE = "single_transformer_blocks.0"
REFINER = "context_embedder.token_refiner.refiner_blocks.1"
# The layers of one factor's rows, and their name in the original release and in ComfyUI's.
LAYERS = [
    (
        [f"{DUAL}.attn.to_{x}" for x in "qkv"],
        "double_blocks.1.img_attn_qkv",
        "double_blocks.1.img_attn.qkv",
    ),
    (
        [f"{DUAL}.attn.add_{x}_proj" for x in "qkv"],
        "double_blocks.1.txt_attn_qkv",
        "double_blocks.1.txt_attn.qkv",
    ),
    (
        [f"{SINGLE}.attn.to_q", f"{SINGLE}.attn.to_k", f"{SINGLE}.attn.to_v", f"{SINGLE}.proj_mlp"],
        "single_blocks.0.linear1",
        "single_blocks.0.linear1",
    ),
    (
        [f"{REFINER}.attn.to_{x}" for x in "qkv"],
        "txt_in.individual_token_refiner.blocks.1.self_attn_qkv",
        "txt_in.individual_token_refiner.blocks.1.self_attn.qkv",
    ),
    ([f"{DUAL}.attn.to_out.0"], "double_blocks.1.img_attn_proj", "double_blocks.1.img_attn.proj"),
    ([f"{DUAL}.attn.to_add_out"], "double_blocks.1.txt_attn_proj", "double_blocks.1.txt_attn.proj"),
    ([f"{DUAL}.ff.net.2"], "double_blocks.1.img_mlp.fc2", "double_blocks.1.img_mlp.2"),
    (
        [f"{DUAL}.norm1_context.linear"],
        "double_blocks.1.txt_mod.linear",
        "double_blocks.1.txt_mod.lin",
    ),
    (
        [f"{SINGLE}.norm.linear"],
        "single_blocks.0.modulation.linear",
        "single_blocks.0.modulation.lin",
    ),
    ([f"{SINGLE}.proj_out"], "single_blocks.0.linear2", "single_blocks.0.linear2"),
    (
        ["context_embedder.time_text_embed.timestep_embedder.linear_2"],
        "txt_in.t_embedder.mlp.2",
        "txt_in.t_embedder.out_layer",
    ),
    (["time_text_embed.text_embedder.linear_1"], "vector_in.in_layer", "vector_in.in_layer"),
    (["norm_out.linear"], "final_layer.adaLN_modulation.1", "final_layer.adaLN_modulation.1"),
    (["proj_out"], "final_layer.linear", "final_layer.linear"),
]
STYLES = {
    "diffusers": ("transformer.{ours}.lora_A.weight", "transformer.{ours}.lora_B.weight"),
    "original": (
        "diffusion_model.{original}.lora_A.weight",
        "diffusion_model.{original}.lora_B.weight",
    ),
    "comfyui": (
        "diffusion_model.{comfyui}.lora_down.weight",
        "diffusion_model.{comfyui}.lora_up.weight",
    ),
    "kohya": ("lora_unet_{flat}.lora_down.weight", "lora_unet_{flat}.lora_up.weight"),
    "tencent": (
        "Hunyuan_video_I2V_lora_{flat}.lora_down.weight",
        "Hunyuan_video_I2V_lora_{flat}.lora_up.weight",
    ),
}


def factors(network) -> list[tuple[np.ndarray, np.ndarray]]:
    """down and up of each entry, up's rows in Diffusers' order."""
    before = weights(network)
    made = []
    for seed, (names, _, _) in enumerate(LAYERS):
        rows = sum(len(before[f"{name}.weight"]) for name in names)
        inner = before[f"{names[0]}.weight"].shape[1]
        made.append((random(3, inner, seed=seed), random(rows, 3, seed=100 + seed)))
    return made


def swapped(rows: np.ndarray) -> np.ndarray:
    half = len(rows) // 2
    return np.concatenate([rows[half:], rows[:half]])


def spelled(style: str, lora, sizes) -> dict[str, np.ndarray]:
    """The file of a style. Only Diffusers' has a layer's parts apart."""
    keys = STYLES[style]
    tensors = {}
    for (names, original, comfyui), (down, up) in zip(LAYERS, lora, strict=True):
        if style == "diffusers":
            parts = np.split(up, np.cumsum([sizes[f"{name}.weight"] for name in names])[:-1])
            for name, part in zip(names, parts, strict=True):
                for key, factor in zip(keys, (down, part), strict=True):
                    tensors[key.format(ours=name)] = factor
            continue
        stored = swapped(up) if "final_layer.ada" in original else up
        flat = original.replace(".", "_")
        for key, factor in zip(keys, (down, stored), strict=True):
            tensors[key.format(original=original, comfyui=comfyui, flat=flat)] = factor
    return tensors


@pytest.mark.parametrize("style", STYLES)
def test_every_spelling_is_what_merging_by_hand_gives(style, tmp_path):
    network, _ = twins(TINY)
    expected = weights(network)
    sizes = {name: len(weight) for name, weight in expected.items()}
    lora = factors(network)
    for (names, _, _), (down, up) in zip(LAYERS, lora, strict=True):
        start = 0
        for name in names:
            stop = start + sizes[f"{name}.weight"]
            change = SCALE * up[start:stop] @ down
            expected[f"{name}.weight"] = expected[f"{name}.weight"] + change
            start = stop
    file = written(tmp_path / "a.safetensors", spelled(style, lora, sizes))
    assert apply_lora(network, read(file), SCALE, "a LoRA") is None  # nothing is left out
    assert same(weights(network), expected)


def test_full_differences_of_the_final_modulation_are_swapped(tmp_path):
    network, _ = twins(TINY)
    expected = weights(network)
    diff = random(*expected["norm_out.linear.weight"].shape)
    bias = random(len(diff), seed=1)
    expected["norm_out.linear.weight"] = expected["norm_out.linear.weight"] + swapped(diff)
    expected["norm_out.linear.bias"] = expected["norm_out.linear.bias"] + swapped(bias)
    name = "diffusion_model.final_layer.adaLN_modulation.1"
    file = written(tmp_path / "a.safetensors", {f"{name}.diff": diff, f"{name}.diff_b": bias})
    apply_lora(network, read(file), 1.0, "a LoRA")
    assert same(weights(network), expected)


def test_factors_of_the_final_modulation_that_can_t_be_swapped_are_refused(tmp_path):
    network, _ = twins(TINY)
    name = "lora_unet_final_layer_adaLN_modulation_1"
    tensors = {f"{name}.lokr_w1": random(2, 2), f"{name}.lokr_w2": random(20, 10)}
    file = written(tmp_path / "a.safetensors", tensors)
    with pytest.raises(WeightsError) as caught:
        apply_lora(network, read(file), 1.0, "a LoRA")
    assert name in str(caught.value) and "a LoRA" in str(caught.value)


def test_every_layer_has_a_name_in_both_releases_and_back():
    network, _ = twins(TINY)
    for name in weights(network):
        for rename in (original_name, repackaged_name):
            assert transformer_name(rename(name)) == name
        assert original_name(name) != name or "norm" in name
