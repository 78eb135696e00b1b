"""Clips that several machines make are those of one: takes, guidance, and what is printed."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mlxvid
from mlxvid.media.clip import Clip
from mlxvid.model.base import Model

from .launched import launched

SMALL = {"frames": 9, "steps": 4, "seed": 7}
FLAGS = ["-m", "mlxvid.generate", "--prompt", "a red ball", "--frames", 9, "--steps", 4]
FLAGS += ["--seed", 7]


def difference(a: Clip, b: Clip) -> int:
    """The largest between their frames."""
    return int(np.abs(a.frames.astype(int) - b.frames.astype(int)).max())


def test_takes_are_bit_equal_and_where_the_command_was_typed(tmp_path):
    out, err = launched(tmp_path, 2, *FLAGS, "--count", 3, "-o", "x.mov", "--progress", "none")
    assert out.split() == ["x-1.mov", "x-2.mov", "x-3.mov"]
    assert "--parallel takes" in err
    alone = mlxvid.load("mini")
    for number in range(3):
        one = alone.generate("a red ball", **{**SMALL, "seed": 7 + number})
        one.save(tmp_path / "one.mov")
        made = tmp_path / f"x-{number + 1}.mov"
        assert made.read_bytes() == (tmp_path / "one.mov").read_bytes()


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_guidance_makes_the_clip_of_one_process(tmp_path, count, monkeypatch):
    flags = [*FLAGS, "--parallel", "guidance", "-o", "x.mkv", "--progress", "json"]
    out, err = launched(tmp_path, count, *flags)
    events = [json.loads(line) for line in out.splitlines()]
    steps = [event["step"] for event in events if event.get("stage") == "denoise"]
    assert steps == [0, 1, 2, 3, 4]  # told once
    assert err == ""
    one = mlxvid.load("mini").generate("a red ball", **SMALL)
    made = Clip.load(tmp_path / "x.mkv")
    assert difference(made, one) <= 2
    assert made.settings == one.settings
    # The very same where that one doesn't evaluate its passes as a batch.
    monkeypatch.setattr(Model, "batched", lambda *_: False)
    one = mlxvid.load("mini").generate("a red ball", **SMALL)
    one.save(tmp_path / "one.mkv")
    assert difference(made, Clip.load(tmp_path / "one.mkv")) == 0
