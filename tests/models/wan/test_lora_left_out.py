"""What a LoRA has for layers that a model lacks is left out and said; all of it is an error."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import re

import pytest

from mlxvid.errors import WeightsError
from mlxvid.weights.lora_layers import apply_lora
from tests.facts import facts
from tests.weights.lora_tensors import arrays, random, same, weights

from .loras import STYLES, TEXT_ONLY, by_hand, factors, network, spelled

GOOD = spelled("comfyui", factors())
Q = "diffusion_model.blocks.0.self_attn.q"


@pytest.mark.parametrize("style", STYLES)
def test_a_lora_for_pictures_on_a_model_without(style):
    lora = factors()
    plain = network(**TEXT_ONLY)
    before = weights(plain)
    note = apply_lora(plain, arrays(spelled(style, lora)), 0.7, "style.safetensors")
    pictures = {name for name in lora if "add_k" in name or "image_embedder" in name}
    rest = {name: lora[name] for name in lora.keys() - pictures}
    assert len(pictures) == 2
    assert same(weights(plain), by_hand(before, rest, 0.7))
    assert re.search(facts("style.safetensors", "2 layers for pictures"), note)
    assert "hasn't got" not in note


def test_a_patch_embedding_for_other_inputs_is_left_out():
    """Those of models for pictures have more channels, either way round."""
    for changes, channels in ((TEXT_ONLY, 6), ({}, 4)):
        plain = network(**changes)
        before = weights(plain)
        tensors = {
            f"{Q}.diff": random(64, 64),
            "patch_embedding.diff": random(64, channels, 1, 2, 2),
        }
        note = apply_lora(plain, arrays(tensors), 1.0, "a LoRA")
        assert re.search(facts("a LoRA", "1 layer for pictures"), note)
        before["blocks.0.attn1.to_q.weight"] += tensors[f"{Q}.diff"]
        assert same(weights(plain), before)


STRANGERS = {
    "another model's layer": ("double_blocks.0.img_attn.lora_A.weight", "double_blocks.0.img_attn"),
    "a block too many": ("blocks.2.attn1.to_q.lora_A.weight", "blocks.2.attn1.to_q"),
    "a whole weight": ("blocks.0.attn1.to_q.weight", "blocks.0.attn1.to_q.weight"),
    "an odd name": ("a\nb", "a?b"),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_layers_that_the_model_has_not_are_named(case):
    key, name = STRANGERS[case]
    plain = network()
    expected = by_hand(weights(plain), factors(), 1.0)
    note = apply_lora(plain, arrays({**GOOD, key: random(2, 8)}), 1.0, "a LoRA")
    assert re.fullmatch(facts("Left out of a LoRA", "1 layer", name, ""), note)
    assert same(weights(plain), expected)


@pytest.mark.parametrize(
    "key",
    [
        "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight",
        "lora_te1_encoder_block_0.alpha",
        "text_encoder.encoder.block.0.lora_A.weight",
    ],
)
def test_layers_of_a_text_encoder_are_left_out(key):
    plain = network()
    note = apply_lora(plain, arrays({**GOOD, key: random(2, 8)}), 1.0, "a LoRA")
    assert re.search(facts("a LoRA", "1 layer of a text encoder"), note)
    with pytest.raises(WeightsError, match=facts("a LoRA", "another model")):
        apply_lora(plain, arrays({key: random(2, 8)}), 1.0, "a LoRA")


def test_a_lora_of_another_size_names_both():
    larger = network(num_attention_heads=4, ffn_dim=192)
    with pytest.raises(WeightsError, match=facts("style", "does not fit", "64 wide", "not 128")):
        apply_lora(larger, arrays(GOOD), 1.0, "style")
