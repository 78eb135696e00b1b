"""Whatever a run has passes for: each evaluated on another machine, the clip is the same."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid.model.base import Model

from .launched import launched
from .passes import PROMPT, Cases, with_tea

MINI = {"width": 32, "height": 32, "frames": 5, "steps": 4, "seed": 7, "guidance": 4.0}
CACHED = {**MINI, "steps": 12, "cache_threshold": 0.3}
CASES: Cases = {
    "second order": ("mini", {**MINI, "sampler": "heun"}),
    "guidance in some steps": ("mini", {**MINI, "guidance_start": 0.3, "guidance_stop": 0.7}),
    "another guidance": ("mini", {**MINI, "guidance_method": "apg"}),
    "no guidance": ("mini", {**MINI, "guidance": 1.0}),
    "three passes": ("mini", {**MINI, "skip_layers": "1", "skip_start": 0, "skip_stop": 1}),
    "easy": ("mini", {**CACHED, "cache": "easy"}),
    "tea": ("mini", {**CACHED, "cache": "tea"}),
    "tea and three passes": ("mini", {**CACHED, "cache": "tea", "skip_layers": "1"}),
}


def shared(folder: Path, count: int, cases: Cases) -> dict[str, Any]:
    """What `count` machines make of the cases."""
    (folder / "cases").write_bytes(pickle.dumps(cases))
    _, err = launched(folder, count, "-m", "tests.machines.passes", "cases", "out")
    assert (folder / "out").exists(), err
    return pickle.loads((folder / "out").read_bytes())


def require_same(made: dict[str, Any], cases: Cases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit-equal frames, and equal settings, as one process has them without batches."""
    monkeypatch.setattr(Model, "batched", lambda *_: False)
    pipes: dict[str, mlxvid.Pipeline] = {}
    for name, (model, settings) in cases.items():
        if model not in pipes:
            pipes[model] = with_tea(mlxvid.load(model))
        one = pipes[model].generate(PROMPT, **settings)
        frames, made_settings = made[name]
        assert np.array_equal(frames, one.frames), name
        assert made_settings == one.settings, name


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_every_kind_of_pass(tmp_path, monkeypatch, count):
    made = shared(tmp_path, count, CASES)
    mx.reset_peak_memory()
    require_same(made, CASES, monkeypatch)
    print(f"peaks: {made['peaks']}, of one process {mx.get_peak_memory()}")
    assert max(made["peaks"]) <= 1.1 * mx.get_peak_memory()
    assert 0 < made["tea"][1]["skipped"][0] < 12
