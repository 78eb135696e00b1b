"""Memory: weights as they stand in it, batches, tiles, and what a machine has to give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid.errors import SettingError
from mlxvid.model import machine
from mlxvid.model.card import Family, Part
from mlxvid.model.coefficients import Block, Coefficients
from mlxvid.model.machine import GIB, mac, this_machine
from mlxvid.model.memory import decode_piece, loaded_weights, stage_weights

COEFFICIENTS = Coefficients(
    metal=Block(attention=20, forward=0),
    cpu=Block(attention=20, forward=0),
    decode_values=90,
    decode_chunk=4,
    decode_tile=256,
    decode_halo=40,
)


def part(stage: str, **facts) -> Part:
    return Part("nowhere:Network", dict, stage, **facts)


FAMILY = Family(
    package="somewhere.family",
    pipelines=(),
    parts={
        "text_encoder": part("encode", quantized=True),
        "image_encoder": part("encode", dtype="float32"),
        "transformer": part("denoise", dtype="bfloat16", quantized=True),
        "transformer_2": part("denoise", dtype="bfloat16", quantized=True, optional=True),
        "vae": part("decode", dtype="float32"),
    },
    read=lambda folder: None,
    memory=COEFFICIENTS,
)


def loaded(weights, dtype=None, quantize=None, metal=True):
    return loaded_weights(weights, FAMILY, dtype, quantize, metal)


# --- weights -------------------------------------------------------------------------------------


def test_weights_stand_in_the_type_that_is_asked_for_or_the_parts_own():
    stored = {"text_encoder": {"float16": 30, "float32": 28}, "transformer": {"float32": 40}}
    assert loaded(stored) == {
        "text_encoder": {"float16": 30, "float32": 28},
        "transformer": {"bfloat16": 20},
    }
    assert loaded(stored, "float16") == {
        "text_encoder": {"float16": 30 + 14},
        "transformer": {"float16": 20},
    }


def test_half_precision_is_slow_on_the_cpu_and_used_only_where_asked_for():
    stored = {"text_encoder": {"float16": 30}, "transformer": {"bfloat16": 20}}
    in_full = {"text_encoder": {"float32": 60}, "transformer": {"float32": 40}}
    assert loaded(stored, metal=False) == in_full
    assert loaded(stored, "bfloat16", metal=False)["transformer"] == {"bfloat16": 20}


@pytest.mark.parametrize("dtype", [None, "bfloat16", "float16", "float32"])
@pytest.mark.parametrize("quantize", [None, 4])
def test_what_stays_in_float32_stays(dtype, quantize):
    stored = {"vae": {"float16": 20}, "image_encoder": {"float32": 40}}
    full = {"vae": {"float32": 40}, "image_encoder": {"float32": 40}}
    assert loaded(stored, dtype, quantize) == full


def test_quantized_weights_are_as_large_as_mlx_makes_them():
    stored = {"transformer": {"float16": 128 * 256 * 2}, "vae": {"float16": 100}}
    for bits in (4, 8):
        arrays = mx.quantize(mx.zeros((128, 256), mx.float16), group_size=64, bits=bits)
        assert loaded(stored, quantize=bits) == {
            "transformer": {f"{bits}-bit": sum(array.nbytes for array in arrays)},
            "vae": {"float32": 200},
        }


def test_weights_that_are_quantized_already_stay_as_they_are():
    assert loaded({"transformer": {"u32": 8, "float32": 4}}, quantize=4)["transformer"]["u32"] == 8


def test_what_the_family_does_not_load_takes_no_memory():
    assert loaded({"safety_checker": {"float32": 4000}}) == {}


def test_a_stage_holds_its_largest_component_not_their_sum():
    weights = {
        "text_encoder": {"float32": 70, "u32": 7},
        "image_encoder": {"float32": 76},
        "transformer": {"bfloat16": 100},
        "transformer_2": {"bfloat16": 120},
    }
    assert stage_weights("encode", weights, FAMILY) == 77
    assert stage_weights("denoise", weights, FAMILY) == 120
    assert stage_weights("decode", weights, FAMILY) == 0


# --- what is decoded at a time -------------------------------------------------------------------


def test_a_picture_within_a_tile_is_decoded_whole_and_a_larger_one_with_halos():
    whole, _ = decode_piece(COEFFICIENTS, 4, 256, 100, 2**40)
    assert whole == 4 * 256 * 100 * 90 * 4
    tiled, is_small = decode_piece(COEFFICIENTS, 4, 1000, 100, 2**40)
    assert tiled == 4 * (256 + 80) * 100 * 90 * 4
    assert not is_small


def test_a_small_tile_is_taken_where_the_usual_would_fill_half_of_the_memory():
    facts = {**vars(COEFFICIENTS), "decode_tile": 10_000, "small_tile": 64}
    coefficients = Coefficients(**facts)
    usual, is_small = decode_piece(coefficients, 4, 512, 512, 2**40)
    assert not is_small
    assert decode_piece(coefficients, 4, 512, 512, 2 * usual) == (usual, False)
    small = 4 * 64 * 64 * 90 * 4
    assert decode_piece(coefficients, 4, 512, 512, 2 * usual - 2) == (small, True)
    # Not where they would hold more, with the whole clip.
    tiles = Coefficients(**{**facts, "tiled_values": 3})
    clip = 3 * 9 * 512 * 512 * 4
    assert decode_piece(tiles, 4, 512, 512, usual, clip_frames=9) == (small + clip, True)
    assert decode_piece(tiles, 4, 512, 512, usual, clip_frames=900) == (usual, False)
    without = Coefficients(**{**facts, "small_tile": None})
    assert decode_piece(without, 4, 512, 512, 1) == (usual, False)


# --- the machine ---------------------------------------------------------------------------------


def test_the_machine_s_memory_is_the_system_s_own_count():
    total = this_machine().total
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "hw.memsize"]
        counted = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert total == int(counted)
        return
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert 0 < total <= int(facts["MemTotal"].split()[0]) * 1024


@pytest.mark.parametrize(("total", "usable"), [(1, 0.5), (4, 2), (8, 6), (16, 12.8), (64, 51.2)])
def test_a_reserve_is_left_to_the_system(total, usable):
    assert this_machine(total * GIB).usable == pytest.approx(usable * GIB, abs=1)


# What Macs say of themselves: llama.cpp's logs.
SAID = [(16, 10.67), (24, 16.0), (32, 21.33), (64, 48.0), (128, 96.0)]


@pytest.mark.parametrize(("total", "working_set"), SAID)
def test_another_mac_has_no_more_to_give_than_metal_says_there(total, working_set, monkeypatch):
    """As a Mac of that size plans for itself, so another plans for it."""
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine.platform, "machine", lambda: "arm64")
    monkeypatch.setattr(machine, "_metal_working_set", lambda: int(working_set * GIB))
    monkeypatch.setattr(machine, "_physical_memory", lambda: total * GIB)
    itself = this_machine()
    other = this_machine(total * GIB)
    assert itself.metal and other.metal
    assert other.usable == pytest.approx(itself.usable, rel=0.001)
    assert other.usable <= working_set * GIB * 1.001


@pytest.mark.parametrize(("total", "usable"), [(8, 16 / 3), (36, 24), (48, 36), (3, 1.5)])
def test_the_ceiling_of_macs_by_their_memory(total, usable):
    assert mac(total * GIB).usable == pytest.approx(usable * GIB, rel=1e-6)


def test_a_raised_ceiling_counts_up_to_the_reserve():
    assert mac(32 * GIB, ceiling=24 * GIB).usable == 24 * GIB
    assert mac(32 * GIB, ceiling=31 * GIB).usable == pytest.approx(0.8 * 32 * GIB, abs=1)


@pytest.mark.parametrize(("asked", "left"), [("1", 1), ("6.5", 6.5), ("12", 8), ("", 3.2)])
def test_the_reserve_is_the_one_asked_for_up_to_half(monkeypatch, asked, left):
    monkeypatch.setenv("MLXVID_RESERVE", asked)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert this_machine(16 * GIB).usable == pytest.approx((16 - left) * GIB, abs=1)


@pytest.mark.parametrize("asked", ["much", "-1", "nan", "inf"])
def test_a_reserve_that_is_no_size_is_refused(monkeypatch, asked):
    monkeypatch.setenv("MLXVID_RESERVE", asked)
    with pytest.raises(SettingError, match=f"MLXVID_RESERVE={asked}"):
        this_machine(16 * GIB)
