"""The plan of a clip: what it takes of memory, whether that fits, and what would."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid.catalog import CATALOG
from mlxvid.errors import DoesNotFitError, SettingError
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.memory import RUNTIME_BYTES
from mlxvid.run.planning import plan

CPU = Machine("test", 16 * GIB, 12 * GIB, metal=False)
GPU = dataclasses.replace(CPU, metal=True)


def mac(total: int, usable: float) -> Machine:
    return Machine("Mac", total * GIB, int(usable * GIB), metal=True)


# --- what no clip can have -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"frames": 0}, ("whole number of frames", "100000", "not 0.")),
        ({"height": "96"}, ("whole number of pixels", "16384", "'96'")),
        ({"attention": "sparse"}, ("factored", "full", "spatial", "'sparse'")),
        ({"dtype": "int8"}, ("float32", "bfloat16", "float16", "'int8'")),
        ({"quantize": 3}, ("4", "8", "not 3.")),
        ({"fps": 0}, ("from 0.1 to 1000", "not 0.")),
        ({"guidance": -1}, ("from 0 to 100", "not -1.")),
    ],
)
def test_impossible_settings_are_refused(settings, facts):
    with pytest.raises(SettingError) as caught:
        plan(**settings)
    assert caught.value.setting == next(iter(settings))
    for fact in facts:
        assert fact in str(caught.value)


# --- weights -------------------------------------------------------------------------------------


@pytest.fixture
def local_card(tmp_path):
    """The card of a model in a folder, 1000 values in half precision."""
    (tmp_path / "transformer").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    weights = {"w": mx.zeros((1000,), mx.float16)}
    mx.save_safetensors(str(tmp_path / "transformer" / "a.safetensors"), weights)
    return dataclasses.replace(CATALOG["mini"], folder=tmp_path)


@pytest.mark.parametrize(
    ("machine", "dtype", "expected"),
    [
        (GPU, None, {"float16": 2000}),
        (CPU, None, {"float32": 4000}),
        (GPU, "float32", {"float32": 4000}),
        (CPU, "bfloat16", {"bfloat16": 2000}),
    ],
)
def test_a_model_with_local_files_is_planned_from_them(local_card, machine, dtype, expected):
    planned = plan(local_card, machine=machine, dtype=dtype)
    assert planned.weights == {"transformer": expected}
    assert planned.weights_source == "files"


@pytest.mark.parametrize("machine", [CPU, GPU])
@pytest.mark.parametrize(("dtype", "size"), [("float32", 4000), ("float16", 2000)])
def test_a_model_that_says_its_type_is_loaded_in_it(local_card, machine, dtype, size):
    (local_card.folder / "model_index.json").write_text(f'{{"dtype": "{dtype}"}}')
    assert plan(local_card, machine=machine).weights == {"transformer": {dtype: size}}
    asked = plan(local_card, machine=machine, dtype="bfloat16")
    assert asked.weights == {"transformer": {"bfloat16": 2000}}


def test_a_model_without_them_is_planned_from_its_card():
    mini = CATALOG["mini"]
    planned = plan(dataclasses.replace(mini, folder=Path("nowhere")))
    assert planned.weights_source == "catalog"
    assert planned.weights["transformer"] == {"float32": 4 * mini.parameters["transformer"]}


# --- stages --------------------------------------------------------------------------------------


def denoise(model, attention: str, machine: Machine) -> int:
    size = {"frames": 81, "width": 256, "height": 256}
    return plan(model, **size, attention=attention, machine=machine).stage_bytes["denoise"]


def test_beyond_a_tile_a_wider_picture_costs_its_frames_only():
    narrow = plan(frames=33, width=512, height=64, machine=CPU).stage_bytes["decode"]
    wide = plan(frames=33, width=1024, height=64, machine=CPU).stage_bytes["decode"]
    assert wide - narrow == 2 * 3 * 33 * 64 * 512


def test_fused_attention_holds_no_scores():
    assert denoise("mini", "full", GPU) == denoise("mini", "factored", GPU)


def test_attention_on_the_cpu_holds_no_scores_to_speak_of():
    assert denoise("mini", "full", CPU) == denoise("mini", "spatial", CPU)


def test_attention_of_an_odd_head_size_is_fused_nowhere():
    odd = dataclasses.replace(CATALOG["mini"], heads=2, head_dim=60)
    full = 2 * (21 * 16 * 16) ** 2
    spatial = 2 * 21 * (16 * 16) ** 2
    more = denoise(odd, "full", GPU) - denoise(odd, "spatial", GPU)
    assert more == pytest.approx(4 * (full - spatial), abs=4)


def test_one_row_without_guidance_holds_half_of_two():
    one = plan(guidance=1, machine=CPU)
    two = plan(guidance=3, machine=CPU)
    weights = RUNTIME_BYTES + sum(one.weights["transformer"].values())
    of_one = one.stage_bytes["denoise"] - weights
    of_two = two.stage_bytes["denoise"] - weights
    assert of_two == pytest.approx(2 * of_one, abs=2)


def test_guidance_that_is_an_input_of_the_network_takes_one_row():
    """Such a model takes one pass a step whatever the guidance is."""
    card = dataclasses.replace(CATALOG["mini"], guidance_is_input=True)
    guided = plan(card, guidance=3, machine=CPU).stage_bytes
    assert guided == plan(guidance=1, machine=CPU).stage_bytes


@pytest.mark.parametrize("guidance", [0, 0.5])
def test_less_guidance_than_none_takes_both_prompts_too(guidance):
    less = plan(guidance=guidance, machine=CPU).stage_bytes
    assert less == plan(guidance=3, machine=CPU).stage_bytes


# --- what fits -----------------------------------------------------------------------------------


def test_what_does_not_fit_is_told_with_settings_that_do():
    result = plan(frames=1201, width=1024, height=768, machine=CPU)
    assert not result.fits
    assert result.peak_bytes > CPU.usable
    assert 2 <= len(result.alternatives) <= 3
    for setting in result.alternatives:
        size = {"frames": setting.frames, "width": setting.width, "height": setting.height}
        again = plan(**size, quantize=setting.quantize, machine=CPU)
        assert again.fits
        assert not again.notes
        assert again.peak_bytes == setting.peak_bytes
    fewer = result.alternatives[0]
    assert (fewer.width, fewer.height) == (1024, 768)
    assert not plan(frames=fewer.frames + 4, width=1024, height=768, machine=CPU).fits


def test_a_clip_that_does_not_fit_is_refused_with_what_would():
    result = plan(frames=1201, width=1024, height=768, machine=CPU)
    with pytest.raises(DoesNotFitError) as caught:
        result.require_fit()
    needed = f"{result.peak_bytes / GIB:.1f} GiB"
    facts = ["mini", needed, "1,201 frames at 1024x768", "12.0 GiB"]
    facts += [f"{s.frames:,} frames at {s.width}x{s.height}" for s in result.alternatives]
    for fact in facts:
        assert fact in str(caught.value)


def test_a_clip_that_fits_passes():
    plan(machine=CPU).require_fit()


def heavy_card():
    """A model whose weights fit a machine of 16 GiB in eight bits, and one of 12 in four."""
    return dataclasses.replace(
        CATALOG["mini"],
        parameters={"text_encoder": 10**8, "transformer": 14 * 10**9, "vae": 10**8},
        folder=Path("nowhere"),
    )


@pytest.mark.parametrize(("usable", "bits"), [(16, 8), (12, 4)])
def test_weights_that_fit_only_quantized_are_offered_so(usable, bits):
    machine = dataclasses.replace(CPU, usable=usable * GIB)
    (offered,) = plan(heavy_card(), machine=machine).alternatives
    assert offered.quantize == bits
    assert str(offered) == f"33 frames at 96x96 with `quantize` {bits}"


def test_where_nothing_fits_a_smaller_model_is_the_remedy():
    hopeless = plan(heavy_card(), machine=dataclasses.replace(CPU, usable=GIB))
    assert hopeless.alternatives == ()
    with pytest.raises(DoesNotFitError, match="smaller model"):
        hopeless.require_fit()


@pytest.mark.parametrize("name", CATALOG)
@pytest.mark.parametrize("gib", [2, 8, 24, 96])
def test_every_model_is_planned_for_every_machine(name, gib):
    planned = plan(name, machine=mac(gib, gib * 0.75))
    for setting in planned.alternatives:
        assert setting.peak_bytes <= planned.machine.usable
    assert planned.fits == (planned.peak_bytes <= planned.machine.usable)
    assert not (planned.fits and planned.alternatives)
