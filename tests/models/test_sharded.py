"""Transformers shared by several machines make what the whole ones make."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines.launched import told

SCRIPT = Path(__file__).with_name("sharded.py")
TOLERANCE = 1e-4


@pytest.mark.parametrize(
    ("machines", "variants"),
    [
        pytest.param(2, ["float32"], id="2"),
        pytest.param(2, ["quantized", "LoRA"], id="2-quantized", marks=pytest.mark.slow),
        pytest.param(4, ["float32", "quantized", "LoRA"], id="4", marks=pytest.mark.slow),
    ],
)
def test_every_familys_blocks(tmp_path, machines, variants):
    for each in told(tmp_path, machines, SCRIPT, *variants):
        assert len(each["found"]) == 14 * len(variants)
        for name, found in each["found"].items():
            assert found["difference"] < TOLERANCE and found["spread"] > 0.1, name
            assert found["share"] == pytest.approx(1 / machines, abs=0.02), name
