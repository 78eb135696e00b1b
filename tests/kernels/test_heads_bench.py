"""The bench that tells whether padded heads pay: on any device of small shapes, and its advice."""

from __future__ import annotations

import os

import mlx.core as mx

from mlxvid.padded_heads import SWITCH
from scripts.benchmarks import heads


def test_both_ways_are_timed_and_the_switch_is_as_before(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    shape = heads.Shape("small", 1, 6, 2, mx.float32)
    assert all(time > 0 for time in heads.times(shape, repeats=1))
    assert os.environ[SWITCH] == "0"
    monkeypatch.delenv(SWITCH)
    heads.times(shape, repeats=1)
    assert SWITCH not in os.environ


def test_the_advice_goes_by_all_shapes():
    assert f"set {SWITCH}=1" in heads.advice([(2.0, 1.0), (1.0, 1.1)])
    assert f"leave {SWITCH} unset" in heads.advice([(1.0, 1.0), (1.0, 1.1)])


def test_without_a_mac_it_says_so(capsys):
    if not mx.metal.is_available():
        heads.bench(repeats=1)
        assert "Only a Mac" in capsys.readouterr().out
