"""The byte counts in docs/kernels.md and of the bench are those that the emulator counts."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from mlxvid.kernels.temporal_launch import launch
from scripts.benchmarks import kernels as bench
from tests.metal_emulator import emulated

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("shape", bench.SHAPES, ids=[s.name for s in bench.SHAPES])
def test_counted_bytes_are_the_computed_ones(shape):
    small = shape._replace(B=1, S=2, H=2)
    with emulated() as log:
        mx.eval(launch(*bench.inputs(small)))
    traffic = log.log[0][3].traffic
    written = traffic["out"].written
    asked = sum(traffic[name].asked for name in "qkv")
    per_group = sum(traffic[name].per_group for name in "qkv")
    assert asked + written == bench.kernel_bytes(small)
    assert per_group + written == bench.minimum_bytes(small)


def test_plain_bytes_by_hand():
    """[2, 4, 3, 2, 8] in float16: 384 elements, and the bytes of each."""
    shape = bench.Shape("", 2, 4, 3, 2, 8, mx.float16, True, "half")
    norms = 2 * 4 * 2
    rotations = 2 * (6 + 8 + 6)
    transposes = 3 * 2 * 2
    attention = 4 * 2
    output = 2 * 2  # its transpose
    assert bench.plain_bytes(shape) == 384 * (norms + rotations + transposes + attention + output)
    bare = shape._replace(B=1, norm=False, rope=None)
    assert bench.plain_bytes(bare) == 192 * (attention + output)


def test_the_page_shows_this_table():
    assert bench.table(markdown=True) in (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")


def test_bench_prints_the_table_and_says_that_it_is_computed(capsys):
    bench.bench(repeats=1)
    printed = capsys.readouterr().out
    assert "COMPUTED, not measured" in printed and bench.table() in printed
    if not mx.metal.is_available():
        assert "there is no Metal device" in printed
