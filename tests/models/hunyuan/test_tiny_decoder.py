"""Drafts of HunyuanVideo, whose tiny decoder takes the latents of the steps."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("diffusers")

from tests.models import drafts  # noqa: E402

from . import tiny  # noqa: E402


def test_a_draft(tmp_path, monkeypatch):
    tiny.write_model(tmp_path, "text")
    drafts.check(tmp_path, monkeypatch, width=48, height=32, frames=9)


def test_a_draft_leaves_out_the_frames_that_the_model_hides(tmp_path, monkeypatch):
    tiny.write_model(tmp_path, "latent concat")
    colours = np.random.default_rng(5).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    drafts.check(tmp_path, monkeypatch, hidden=4, width=48, height=32, frames=9, image=image)
