"""Clips of models whose layers machines share are those of one machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mlxvid
from mlxvid.media.clip import Clip
from tests.machines.launched import launched, told
from tests.run.unchanged_clips import CASES, writers

SCRIPT = Path(__file__).with_name("shared_clips.py")
FLAGS = ["-m", "mlxvid.generate", "--prompt", "a red ball", "--frames", 5, "--steps", 2]
FLAGS += ["--seed", 7, "--parallel", "layers", "-o", "x.mkv", "--progress", "none"]


def check(found: list[dict], cases: list[str]) -> None:
    assert list(found[0]["found"]) == cases
    for case, (difference, settings_equal, spread) in found[0]["found"].items():
        assert difference <= 2 and settings_equal and spread > 3, case


def test_the_command(tmp_path):
    """The embedded model has three heads."""
    out, err = launched(tmp_path, 3, *FLAGS)
    assert out.split() == ["x.mkv"] and "layers" in err
    one = mlxvid.load("mini").generate("a red ball", frames=5, steps=2, seed=7)
    made = Clip.load(tmp_path / "x.mkv")
    assert np.abs(made.frames.astype(int) - one.frames.astype(int)).max() <= 2
    assert made.settings == one.settings


def test_heads_that_cant_be_shared(tmp_path):
    out, err = launched(tmp_path, 2, *FLAGS)
    assert err.count("3 heads") == 1 and "take 3 machines" in err
    assert not out and not list(tmp_path.glob("x.*"))


@pytest.mark.slow
def test_the_embedded_model(tmp_path):
    cases = ["mini", "mini-pictures", "mini-easy", "mini-tea", "mini-quantized"]
    check(told(tmp_path, 3, SCRIPT, tmp_path, *cases), cases)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "cases"),
    [
        (2, ["wan-t2v", "wan-flf2v", "latte", "latte-full", "ltx", "hunyuan", "opensora"]),
        (4, ["cogvideox-2b", "cogvideox-5b"]),
    ],
)
def test_tiny_models(tmp_path, count, cases):
    pytest.importorskip("diffusers")
    from tests.models.hunyuan.tiny import write_model

    written = {**writers(), "hunyuan": lambda folder: write_model(folder, "text")}
    for name in {CASES[case][0] if case in CASES else case for case in cases}:
        written[name](tmp_path / name)
    check(told(tmp_path, count, SCRIPT, tmp_path, *cases), cases)
