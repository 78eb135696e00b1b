"""Drafts of CogVideoX: its tiny decoder takes the latents as the VAE's encoder makes them."""

from __future__ import annotations

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import pytest

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tests.models import drafts  # noqa: E402

from . import tiny  # noqa: E402


@pytest.mark.parametrize("kind", ["5b", "1.5"])
def test_a_draft(tmp_path, monkeypatch, kind):
    folder = tiny.write_model(tmp_path / "model", kind)
    scale = mlxvid.load(str(folder)).model.folder.json("vae")["scaling_factor"]
    assert scale != 1
    drafts.check(folder, monkeypatch, scale=scale, width=48, height=32, frames=17)
