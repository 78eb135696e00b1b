"""Latte's clips made from others, with every sampler."""

from __future__ import annotations

import pytest

import mlxvid
from mlxvid.models.latte.card import SAMPLERS
from tests.models import clip_to_clip

pytest.importorskip("torch")
from . import tiny as tiny_latte  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("latte") / "tiny"
    tiny_latte.pipeline().save_pretrained(path)
    return path


@pytest.mark.parametrize("sampler", SAMPLERS.values())
def test_all_that_the_pipeline_promises(folder, monkeypatch, sampler):
    pipe = mlxvid.load(str(folder))
    size = {"width": 32, "height": 16, "frames": 3}
    # Of this VAE, which is random, the latents are only seven times the schedule's least noise.
    clip_to_clip.check(pipe, monkeypatch, near=0.5, sampler=sampler, guidance=1.0, **size)
