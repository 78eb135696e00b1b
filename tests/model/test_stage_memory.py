"""Memory of stages, from cards: the largest part of a stage, in the type that it is used in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from mlxvid.catalog import CATALOG
from mlxvid.model.card import Card, Family, Part
from mlxvid.model.coefficients import Block
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.memory import (
    BATCHED_TOKENS,
    QUANTIZED_BITS,
    RUNTIME_BYTES,
    VALUE_BYTES,
    Load,
    in_one_batch,
    loaded_weights,
    stages,
    stored_weights,
    value_bytes,
)
from mlxvid.text.streamed import Streamed

MINI = CATALOG["mini"]
MAC = Machine("a Mac", 64 * GIB, 51 * GIB, True)
CPU = Machine("a PC", 64 * GIB, 51 * GIB, False)
LOAD = Load(
    frames=17,
    latent_frames=5,
    t_factor=4,
    width=96,
    height=64,
    tokens=120,
    scores=120**2,
    batch=2,
)


def family_of(**parts: Part) -> Family:
    """Mini's family with other parts."""
    return dataclasses.replace(MINI.family, parts=parts)


def part(stage: str, dtype: str | None = None, quantized: bool = False) -> Part:
    return Part(".nowhere:Network", dict, stage, dtype, quantized)  # type: ignore[arg-type] # stage


def card_of(family: Family, parameters: Mapping[str, int]) -> Card:
    return dataclasses.replace(MINI, family=family, parameters=parameters, folder=None)


TWO_TRANSFORMERS = family_of(
    text_encoder=part("encode", quantized=True),
    transformer=part("denoise", quantized=True),
    transformer_2=part("denoise", quantized=True),
    vae=part("decode", "float32"),
)


# --- weights -------------------------------------------------------------------------------------


def test_a_second_transformer_that_is_no_larger_changes_no_peak():
    weights = {"text_encoder": {"float32": GIB}, "transformer": {"float32": 2 * GIB}}
    card = card_of(TWO_TRANSFORMERS, {})
    one = stages(LOAD, weights, card, MAC)
    two = stages(LOAD, {**weights, "transformer_2": {"float32": 2 * GIB}}, card, MAC)
    larger = stages(LOAD, {**weights, "transformer_2": {"float32": 3 * GIB}}, card, MAC)
    assert two == one
    assert larger == {**one, "denoise": one["denoise"] + GIB}


def test_stored_weights_are_in_the_card_s_type_but_for_float32_parts():
    parameters = {"text_encoder": 1000, "transformer": 2000, "vae": 300}
    card = dataclasses.replace(card_of(TWO_TRANSFORMERS, parameters), dtype="float16")
    assert stored_weights(card) == {
        "text_encoder": {"float16": 2000},
        "transformer": {"float16": 4000},
        "vae": {"float32": 1200},
    }


@pytest.mark.parametrize("bits", QUANTIZED_BITS)
def test_only_parts_that_can_be_are_quantized(bits):
    family = family_of(
        text_encoder=part("encode", quantized=True),
        image_encoder=part("encode"),
        transformer=part("denoise", quantized=True),
        vae=part("decode", "float32"),
    )
    weights = {name: {"bfloat16": 2 * 64_000} for name in family.parts}
    loaded = loaded_weights(weights, family, None, bits, metal=True)
    held = int(64_000 * QUANTIZED_BITS[bits] / 8)
    assert loaded == {
        "text_encoder": {f"{bits}-bit": held},
        "image_encoder": {"bfloat16": 128_000},
        "transformer": {f"{bits}-bit": held},
        "vae": {"float32": 256_000},
    }


def test_the_type_of_a_part_is_that_of_metal_alone():
    family = family_of(transformer=part("denoise", "bfloat16"))
    weights = {"transformer": {"float32": 400}}
    on_metal = loaded_weights(weights, family, None, None, metal=True)
    on_cpu = loaded_weights(weights, family, None, None, metal=False)
    assert on_metal == {"transformer": {"bfloat16": 200}}
    assert on_cpu == {"transformer": {"float32": 400}}


# --- activations ---------------------------------------------------------------------------------


def test_the_stages_of_mini():
    weights = stored_weights(MINI)
    peaks = stages(LOAD, weights, MINI, MAC)
    encoder, transformer, vae = (4 * MINI.parameters[name] for name in weights)
    assert peaks["encode"] == RUNTIME_BYTES + encoder
    # Around its attention it holds 8.5 widths of four bytes on Metal, 24.5 on the CPU.
    tokens = int(2 * 120 * 192 * 8.5 * 4)
    assert peaks["denoise"] == RUNTIME_BYTES + transformer + tokens
    piece = 16 * 96 * 64 * 90 * VALUE_BYTES  # four latent frames of four
    frames = 2 * 3 * 17 * 96 * 64
    assert peaks["decode"] == RUNTIME_BYTES + vae + piece + frames


def test_scores_are_held_where_attention_is_not_fused():
    weights = stored_weights(MINI)
    fused = stages(LOAD, weights, MINI, MAC)["denoise"]
    scores = 2 * MINI.heads * LOAD.scores * VALUE_BYTES
    on_cpu = dataclasses.replace(LOAD, scores=0)
    without = stages(on_cpu, weights, MINI, CPU)["denoise"]
    assert stages(LOAD, weights, MINI, CPU)["denoise"] == pytest.approx(without + scores, abs=2)
    odd = dataclasses.replace(MINI, heads=4, head_dim=48)  # as wide, of a size without a kernel
    odd_scores = 2 * 4 * LOAD.scores * VALUE_BYTES
    assert stages(LOAD, weights, odd, MAC)["denoise"] == pytest.approx(fused + odd_scores, abs=2)


def with_memory(**coefficients) -> Card:
    """Mini with other coefficients."""
    memory = dataclasses.replace(MINI.family.memory, **coefficients)
    return dataclasses.replace(MINI, family=dataclasses.replace(MINI.family, memory=memory))


@pytest.mark.parametrize("parts", [1, 3, 1000])
def test_scores_are_held_in_parts_as_equal_as_attention_makes_them(parts):
    scores = 2 * MINI.heads * LOAD.scores
    card = with_memory(most_scores=-(-scores // parts))
    weights = stored_weights(MINI)
    none = stages(dataclasses.replace(LOAD, scores=0), weights, card, CPU)["denoise"]
    held = stages(LOAD, weights, card, CPU)["denoise"] - none
    assert held == pytest.approx(scores / parts * VALUE_BYTES, rel=0.01)


@pytest.mark.parametrize("inner", [0, 192, 4000])
def test_the_larger_of_attention_and_feed_forward_counts(inner):
    block = Block(attention=6.0, forward=2.0, inner=1.5)
    card = dataclasses.replace(with_memory(metal=block), inner=inner)
    weights = stored_weights(MINI)
    held = stages(LOAD, weights, card, MAC)["denoise"] - RUNTIME_BYTES - 4 * 4_945_984
    forward = 2.0 * 192 + 1.5 * (inner or 4 * 192)
    assert held == int(2 * 120 * max(6.0 * 192, forward) * 4)


@pytest.mark.parametrize(
    ("dtype", "metal", "size"),
    [
        (None, True, 2),
        ("float32", True, 4),
        ("float16", True, 2),
        (None, False, 4),
        ("float16", False, 4),
    ],
)
def test_values_of_a_block_are_as_large_as_its_type_on_metal(dtype, metal, size):
    card = card_of(family_of(transformer=part("denoise", "bfloat16")), {})
    assert value_bytes(card, dtype, metal) == size
    stored = dataclasses.replace(
        card_of(family_of(transformer=part("denoise")), {}), dtype="float16"
    )
    assert value_bytes(stored, None, True) == 2


def test_one_batch_where_tokens_are_few_and_there_is_room():
    held = 2 * 100 * MINI.width * MINI.family.memory.cpu.attention * VALUE_BYTES
    room = dataclasses.replace(CPU, usable=RUNTIME_BYTES + 1000 + int(held))
    short = dataclasses.replace(room, usable=room.usable - 1)
    assert in_one_batch(100, 2, 1000, MINI, None, room)
    assert not in_one_batch(100, 2, 1000, MINI, None, short)
    large = dataclasses.replace(MAC, usable=100 * GIB)
    assert in_one_batch(BATCHED_TOKENS // 2, 2, 0, MINI, None, large)
    assert not in_one_batch(BATCHED_TOKENS // 2 + 1, 2, 0, MINI, None, large)


@pytest.mark.parametrize(("metal", "copies"), [(True, 1), (False, 5)])
def test_an_encoder_that_is_used_block_by_block_needs_a_block(metal, copies):
    """And its largest matrix as stored, and what it makes of the prompts."""
    weights = {**stored_weights(MINI), "text_encoder": {"bfloat16": 10 * GIB}}
    machine = dataclasses.replace(MAC, metal=metal)
    whole = stages(LOAD, weights, MINI, machine)["encode"]
    streamed = Streamed(share=0.1, matrix=1000, held=200, scores=30)
    card = dataclasses.replace(MINI, streamed={"text_encoder": streamed})
    assert whole == RUNTIME_BYTES + 10 * GIB
    peaks = stages(LOAD, weights, card, machine)
    assert peaks["encode"] == RUNTIME_BYTES + GIB + 4 * (1200 + copies * 30)
    assert peaks["denoise"] == stages(LOAD, weights, MINI, machine)["denoise"]


def test_an_encoder_beside_it_that_is_larger_counts():
    parts = {"text_encoder": part("encode"), "image_encoder": part("encode")}
    card = card_of(family_of(**parts, transformer=part("denoise"), vae=part("decode")), {})
    streamed = Streamed(share=0.1, matrix=0, held=0, scores=0)
    card = dataclasses.replace(card, streamed={"text_encoder": streamed})
    for image, largest in ((2 * GIB, 2 * GIB), (GIB // 2, GIB)):
        weights = {"text_encoder": {"float32": 10 * GIB}, "image_encoder": {"float32": image}}
        assert stages(LOAD, weights, card, MAC)["encode"] == RUNTIME_BYTES + largest
