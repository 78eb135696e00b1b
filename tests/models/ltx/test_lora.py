"""LoRAs of LTX-Video in each spelling give what merging by hand gives."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.models.ltx.names import original_name
from mlxvid.weights.lora_layers import apply_lora
from tests.weights.lora_tensors import arrays, random, read, same, weights, written

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import LTXPipeline  # noqa: E402

from .twins import config, twins  # noqa: E402

SCALE = 0.7
BLOCK = "transformer_blocks.1"
# Layers by Diffusers' name and the original's.
LAYERS = {
    f"{BLOCK}.attn1.to_q": f"{BLOCK}.attn1.to_q",
    f"{BLOCK}.attn2.to_out.0": f"{BLOCK}.attn2.to_out.0",
    f"{BLOCK}.ff.net.0.proj": f"{BLOCK}.ff.net.0.proj",
    f"{BLOCK}.ff.net.2": f"{BLOCK}.ff.net.2",
    "proj_in": "patchify_proj",
    "time_embed.linear": "adaln_single.linear",
    "time_embed.emb.timestep_embedder.linear_1": "adaln_single.emb.timestep_embedder.linear_1",
    "caption_projection.linear_2": "caption_projection.linear_2",
    "proj_out": "proj_out",
}
DIFFUSERS = ("transformer.{ours}.lora_A.weight", "transformer.{ours}.lora_B.weight")
STYLES = {
    "diffusers": DIFFUSERS,
    "the trainer's": (
        "diffusion_model.{theirs}.lora_A.weight",
        "diffusion_model.{theirs}.lora_B.weight",
    ),
    "single files": (
        "model.diffusion_model.{theirs}.lora_down.weight",
        "model.diffusion_model.{theirs}.lora_up.weight",
    ),
    "kohya": ("lora_unet_{flat}.lora_down.weight", "lora_unet_{flat}.lora_up.weight"),
}


def factors(network) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """down and up of each layer."""
    before = weights(network)
    made = {}
    for seed, name in enumerate(LAYERS):
        out, inner = before[f"{name}.weight"].shape
        made[name] = (random(3, inner, seed=seed), random(out, 3, seed=100 + seed))
    return made


def spelled(style: tuple[str, str], factors: dict) -> dict[str, np.ndarray]:
    tensors = {}
    for ours, pair in factors.items():
        theirs = LAYERS[ours]
        for key, factor in zip(style, pair, strict=True):
            key = key.format(ours=ours, theirs=theirs, flat=theirs.replace(".", "_"))
            tensors[key] = factor
    return tensors


@pytest.mark.parametrize("style", STYLES)
def test_every_spelling_is_what_merging_by_hand_gives(style, tmp_path):
    network, _ = twins(config())
    expected = weights(network)
    lora = factors(network)
    for name, (down, up) in lora.items():
        expected[f"{name}.weight"] = expected[f"{name}.weight"] + SCALE * up @ down
    file = written(tmp_path / "a.safetensors", spelled(STYLES[style], lora))
    assert apply_lora(network, read(file), SCALE, "a LoRA") is None  # nothing is left out
    assert same(weights(network), expected)


def test_differences_of_the_norms_by_the_originals_names():
    network, _ = twins(config())
    expected = weights(network)
    tensors = {}
    for seed, (ours, theirs) in enumerate([("norm_q", "q_norm"), ("norm_k", "k_norm")]):
        difference = random(28, seed=seed)
        tensors[f"diffusion_model.{BLOCK}.attn1.{theirs}.diff"] = difference
        name = f"{BLOCK}.attn1.{ours}.weight"
        expected[name] = expected[name] + SCALE * difference
    apply_lora(network, arrays(tensors), SCALE, "a LoRA")
    assert same(weights(network), expected)


def test_layers_in_one_are_split():
    network, _ = twins(config())
    expected = weights(network)
    down = random(3, 28, seed=1)
    up = random(84, 3, seed=2)
    rows = np.split(SCALE * up @ down, 3)
    for layer, change in zip(("to_q", "to_k", "to_v"), rows, strict=True):
        name = f"{BLOCK}.attn1.{layer}.weight"
        expected[name] = expected[name] + change
    place = f"transformer.{BLOCK}.attn1.to_qkv"
    tensors = arrays({f"{place}.lora_A.weight": down, f"{place}.lora_B.weight": up})
    apply_lora(network, tensors, SCALE, "a LoRA")
    assert same(weights(network), expected)


def test_it_is_what_diffusers_loads():
    pytest.importorskip("peft")
    network, theirs = twins(config())
    tensors = spelled(DIFFUSERS, factors(network))
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(value.copy()) for key, value in tensors.items()}
    LTXPipeline.load_lora_into_transformer(state, transformer=theirs)
    theirs.fuse_lora(SCALE)
    theirs.unload_lora()
    apply_lora(network, arrays(tensors), SCALE, "a LoRA")
    assert same(weights(network), {n: v.numpy() for n, v in theirs.state_dict().items()}, 1e-4)


def test_every_tensor_has_a_name_in_the_original():
    network, _ = twins(config())
    names = {original_name(name) for name in weights(network)}
    assert len(names) == len(weights(network))
    roots = {name.split(".")[0] for name in names}
    assert roots == {
        "patchify_proj",
        "adaln_single",
        "caption_projection",
        "transformer_blocks",
        "scale_shift_table",
        "proj_out",
    }
    assert not any("norm_" in name for name in names)
