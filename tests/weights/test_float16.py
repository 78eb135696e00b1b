"""float16 in bfloat16's place on the chips where that is slow."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import dataclasses
import logging
import shutil

import mlx.core as mx
import pytest
from mlx.utils import tree_flatten

from mlxvid.catalog import CATALOG
from mlxvid.cli.plan_text import device_text
from mlxvid.model.machine import GIB, Machine
from mlxvid.plan import device
from mlxvid.run.planning import plan

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize(
    ("chip", "slow"),
    [
        ("Apple M1", True),
        ("Apple M2 Ultra", True),
        ("Apple M1 Max", True),
        ("Apple M3", False),
        ("Apple M4 Pro", False),
        ("Apple M12", False),
        ("", False),
    ],
)
def test_chips(chip, slow):
    assert Machine("a Mac", GIB, GIB, True, chip).bfloat16_is_slow is slow
    assert not Machine("no Mac", GIB, GIB, False, chip).bfloat16_is_slow


def loaded(folder, quantize=None, asked=None, float16=True):
    """The tiny transformer as a Mac with a slow bfloat16 loads it."""
    components = mlxvid.load(str(folder), quantize=quantize, dtype=asked).model.components
    components.dtype = asked
    components._bfloat16_is_slow = True
    part = components._family.parts["transformer"]
    part = dataclasses.replace(part, dtype="bfloat16", float16=float16)
    return components.network("transformer", part)


def types(network) -> set[mx.Dtype]:
    weights = dict(tree_flatten(network.parameters())).values()
    return {weight.dtype for weight in weights} - {mx.uint32}


@pytest.mark.parametrize("quantize", [None, 4])
def test_float16_takes_bfloat16s_place_and_is_told(tiny_folder, quantize, caplog):
    caplog.set_level(logging.INFO, "mlxvid")
    assert types(loaded(tiny_folder, quantize)) == {mx.float16}
    assert "transformer is used in float16" in caplog.text
    assert "`dtype`" in caplog.text


@pytest.mark.parametrize(
    ("asked", "float16", "dtype"),
    [
        (None, False, mx.bfloat16),
        ("bfloat16", True, mx.bfloat16),
        ("float32", True, mx.float32),
    ],
)
def test_not_where_it_was_not_tried_or_another_type_is_asked_for(
    tiny_folder, asked, float16, dtype, caplog
):
    assert types(loaded(tiny_folder, asked=asked, float16=float16)) == {dtype}
    assert "float16" not in caplog.text


@pytest.mark.parametrize("quantize", [None, 8])
@pytest.mark.parametrize("name", ["blocks.0.ff.linear_1.weight", "proj_out.bias"])
def test_weights_that_are_too_large_stay_in_bfloat16(tiny_folder, tmp_path, name, quantize, caplog):
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    weights = dict(mx.load(str(folder / WEIGHTS)))
    weights[name] = mx.full(weights[name].shape, 7e4)
    mx.save_safetensors(str(folder / WEIGHTS), weights)
    assert types(loaded(folder, quantize)) == {mx.bfloat16}
    assert "transformer are too large for float16" in caplog.text


def test_plans_have_the_type_that_is_loaded():
    m1 = Machine("a Mac", 64 * GIB, 48 * GIB, True, "Apple M1")
    for card in CATALOG.values():
        if not card.parameters:
            continue
        planned = plan(card, machine=m1)
        for name, part in card.family.parts.items():
            if part.float16:
                assert planned.weights[name].keys() == {"float16"}
                asked = plan(card, machine=m1, dtype="bfloat16").weights[name]
                assert asked.keys() == {"bfloat16"}
    assert any(part.float16 for c in CATALOG.values() for part in c.family.parts.values())


@pytest.mark.parametrize("slow", [True, False])
def test_the_device_report_says_so(slow):
    text = device_text({**device(), "bfloat16_is_slow": slow})
    assert ("float16 takes its place" in text) is slow
