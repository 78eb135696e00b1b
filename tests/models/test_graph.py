"""What the blocks of every family cost on Metal, as their graphs say: no more than docs/speed.md
has, and counted as MLX runs them.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from scripts.benchmarks import graph, graph_blocks, traced
from tests import ROOT

X = mx.zeros((4, 8), mx.float16)  # 64 bytes
WEIGHT = mx.zeros((8, 8), mx.float16)
MAY_NOT_GROW = [1, 2, 5]  # launches, moved, live


def cells(table: str) -> dict[str, list[float]]:
    """The numbers of a table by its rows' names."""
    lines = [line.strip("|").split(" | ") for line in table.splitlines()]
    return {name.strip(): [float(x.strip(" %")) for x in rest] for name, *rest in lines}


def test_no_block_costs_more_than_the_page_says():
    printed = graph.printed().splitlines()
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    head, rule, *rows = printed
    start = page.index(f"{head}\n{rule}\n")
    shown = page[start:].split("\n\n")[0].splitlines()[2:]
    documented = cells("\n".join(shown))
    counted = cells("\n".join(rows))
    assert counted.keys() == documented.keys() == graph_blocks.cases().keys()
    for name, numbers in counted.items():
        most = np.array(documented[name])
        assert np.all(np.array(numbers)[MAY_NOT_GROW] <= most[MAY_NOT_GROW]), name


def test_an_operation_is_one_launch_that_reads_and_writes_once():
    cost = graph.cost(lambda x: mx.exp(x) * 2, X)
    assert (cost.launches, cost.moved, cost.wide) == (2, 4 * 64, 0)
    product = graph.cost(lambda x: x @ WEIGHT, X)
    assert (product.launches, product.moved) == (1, 64 + 128 + 64)


def test_layers_of_one_shape_are_not_taken_for_one():
    class Layers(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(8, 8)
            self.b = nn.Linear(8, 8)

        def __call__(self, x: mx.array) -> mx.array:
            return self.a(x) @ self.b(x).T

    layers = traced.lazy(Layers(), mx.float16)
    assert graph.cost(layers, X).launches == 3


def test_a_compiled_chain_is_one_launch():
    chain = graph.compiled(lambda x, scale: (x.astype(mx.float32) * (1 + scale)).astype(x.dtype))
    cost = graph.cost(lambda x: chain(x, mx.zeros((1, 8))), X)
    assert (cost.launches, cost.moved, cost.wide) == (1, 64 + 32 + 64, 32)


def test_what_a_compiled_function_does_besides_stands_apart():
    def halves(x: mx.array) -> mx.array:
        a, b = mx.split(x, 2, axis=-1)
        return mx.concatenate([a * a - b, a + b * b], axis=-1)

    cost = graph.cost(graph.compiled(halves), X)
    assert cost.launches == 3
    assert cost.moved == 2 * (64 + 32) + 64 + 64


def test_chains_do_not_cross_a_compiled_functions_edge():
    double = graph.compiled(lambda x: mx.exp(x * 2))
    cost = graph.cost(lambda x: double(double(x)) + 1, X)
    assert (cost.launches, cost.moved) == (3, 6 * 64)


def test_a_result_of_two_readers_is_kept_unless_both_are_in_the_chain():
    def diamond(x: mx.array) -> mx.array:
        twice = x * 2
        return mx.exp(twice) + mx.sin(twice)

    assert graph.cost(graph.compiled(diamond), X).launches == 1
    cost = graph.cost(graph.compiled(lambda x: (x * 2) @ WEIGHT + mx.exp(x * 2)), X)
    assert cost.launches == 3


def test_views_cost_nothing_and_copies_do():
    view = graph.cost(lambda x: mx.exp(x.reshape(2, 2, 8).transpose(1, 0, 2)), X)
    assert (view.launches, view.moved) == (1, 2 * 64)
    copy = graph.cost(lambda x: mx.exp(x.transpose(1, 0).reshape(32)), X)
    assert (copy.launches, copy.moved) == (2, 4 * 64)
    repeated = graph.cost(lambda x: mx.exp(mx.broadcast_to(x, (3, 4, 8))), X)
    assert repeated.moved == 64 + 3 * 64


@pytest.mark.skipif(find_spec("mflux") is not None, reason="mlx-gen is installed")
def test_the_comparison_says_what_to_install():
    command = [sys.executable, "-m", "scripts.benchmarks.mlx_gen"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install mlx-gen" in done.stderr and "Traceback" not in done.stderr
