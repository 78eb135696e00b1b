"""Every spelling of a tensor's name in LoRA files."""

from __future__ import annotations

import pytest

from mlxvid.weights.lora_keys import foreign_method, is_text_encoder, spellings, split

PREFIXES = (
    "",
    "transformer.",
    "diffusion_model.",
    "model.diffusion_model.",
    "model.",
    "unet.",
    "base_model.model.",
    "base_model.model.model.",
    "base_model.model.transformer.",
    "pipe.dit.",
    "module.",
    "_orig_mod.",
    "_fsdp_wrapped_module._orig_mod.",
)
FLAT_PREFIXES = ("lora_unet_", "lora_unet__", "lycoris_", "lora_transformer_")
TAILS = {
    "lora_A.weight": "down",
    "lora_A.default.weight": "down",
    "lora_A.default_0.weight": "down",
    "lora_A": "down",
    "lora_down.weight": "down",
    "lora.down.weight": "down",
    "lora_linear_layer.down.weight": "down",
    "lora_B.weight": "up",
    "lora_up.weight": "up",
    "lora.up.weight": "up",
    "lora_linear_layer.up.weight": "up",
    "lora_B.bias": "up_b",
    "lora_B.default.bias": "up_b",
    "lora_down.bias": "down_b",
    "alpha": "alpha",
    "diff": "diff",
    "w_norm": "diff",
    "diff_b": "diff_b",
    "b_norm": "diff_b",
    "dora_scale": "magnitude",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "hada_w1_a": "hada_w1_a",
    "lokr_w2_b": "lokr_w2_b",
    "lokr_w1": "lokr_w1",
    "lokr_w1.default": "lokr_w1",
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_dotted_names(prefix, tail):
    place, part = split(f"{prefix}blocks.0.attn1.to_q.{tail}")
    assert part == TAILS[tail]
    assert list(spellings(place))[-1] == "blocks.0.attn1.to_q"


@pytest.mark.parametrize("prefix", FLAT_PREFIXES)
def test_flat_names(prefix):
    place, part = split(f"{prefix}blocks_0_self_attn_q.lora_down.weight")
    assert part == "down"
    assert list(spellings(place))[-1] == "blocks_0_self_attn_q"


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("transformer.b.attn1.processor.to_q_lora.down.weight", "transformer.b.attn1.to_q"),
        ("b.attn2.processor.to_out_lora.down.weight", "b.attn2.to_out.0"),
        ("b.attn2.processor.add_k_proj_lora.down.weight", "b.attn2.add_k_proj"),
        ("head.diff_m", "head.modulation"),
        ("a.layers.0.query_key_value.matrix_A.2", "a.layers.0.query_key_value.2"),
        ("a.layers.0.dense.matrix_B.0", "a.layers.0.dense.0"),
    ],
)
def test_names_that_are_turned(key, place):
    assert split(key)[0] == place


@pytest.mark.parametrize(
    "key", ["blocks.0.attn1.to_q.weight", "a", "", "lora_A.weight", "a.b.lora_C.weight", "a\nb"]
)
def test_what_is_no_part_of_a_lora(key):
    assert split(key) == ("", "")


@pytest.mark.parametrize(
    ("key", "method"),
    [
        ("a.oft_blocks", "OFT"),
        ("base_model.model.a.oft_R.weight", "OFT"),
        ("a.boft_R", "BOFT"),
        ("base_model.model.a.ia3_l", "IA3"),
        ("a.on_input", "IA3"),
        ("a.a1.weight", "GLoRA"),
        ("a.lora_E", "AdaLoRA"),
        ("a.vera_lambda_b", "VeRA"),
        ("a.lora_mid.weight", "Tucker's decomposition"),
        ("a.lokr_t2", "Tucker's decomposition"),
        ("a.lora_A.weight", None),
        ("blocks.0.attn1.to_q.alpha", None),
    ],
)
def test_methods_that_are_named(key, method):
    assert foreign_method(key) == method


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("lora_te_encoder_block_0.lora_down.weight", True),
        ("lora_te1_text_model_encoder.alpha", True),
        ("text_encoder.encoder.block.0.lora_A.weight", True),
        ("text_encoders.umt5xxl.transformer.a.lora_up.weight", True),
        ("text_encoder_2.a.lora_A.weight", True),
        # A layer of the transformer.
        ("text_embedding.0.lora_A.weight", False),
        ("lora_unet_text_embedding_0.alpha", False),
        ("transformer.blocks.0.lora_A.weight", False),
    ],
)
def test_text_encoders(key, expected):
    assert is_text_encoder(key) == expected
