"""Passes on two machines in whole runs of every family: the clips are those of one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("diffusers")
from tests.machines.passes import Cases  # noqa: E402
from tests.machines.test_passes import require_same, shared  # noqa: E402
from tests.run.unchanged_clips import CASES, writers  # noqa: E402

QUICK = ("wan-i2v", "opensora-given", "ltx-guided")
CACHED = {"steps": 12, "cache": "tea", "cache_threshold": 0.3}


def written(folder: Path, names: list[str]) -> Cases:
    """Cases, with the folders of their models instead of the names."""
    cases: Cases = {}
    for name in names:
        model, settings = CASES[name]
        if model != "mini" and not (folder / model).exists():
            writers()[model](folder / model)
        place = model if model == "mini" else str(folder / model)
        cases[name] = (place, {**settings, "seed": 7})
    return cases


def test_families_with_shared_passes(tmp_path, monkeypatch):
    cases = written(tmp_path, list(QUICK))
    model, settings = cases["ltx-guided"]
    cases["cached"] = (model, {**settings, **CACHED})
    require_same(shared(tmp_path, 2, cases), cases, monkeypatch)


@pytest.mark.slow
def test_every_family_with_shared_passes(tmp_path, monkeypatch):
    cases = written(tmp_path, [name for name in CASES if not name.startswith("latte-")])
    require_same(shared(tmp_path, 2, cases), cases, monkeypatch)
