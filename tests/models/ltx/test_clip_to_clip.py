"""Clips of LTX-Video that are made from others."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
import pytest

from tests.models.clip_to_clip import check

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from . import tiny as tiny_ltx  # noqa: E402


def test_from_another_clip(tmp_path, monkeypatch):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    folder = tiny_ltx.saved(pipe, tmp_path / "m", "0.9.5")
    options = {"decode_noise": 0, "stg": 0}
    check(
        mlxvid.load(str(folder)),
        monkeypatch,
        width=64,
        height=96,
        frames=17,
        guidance=1.0,
        options=options,
    )
