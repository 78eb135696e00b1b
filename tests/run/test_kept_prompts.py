"""A prompt that was used before needs no text encoder, and makes the same clip."""

from __future__ import annotations

import shutil

import mlxvid

# isort: split
import numpy as np
import pytest

from .unchanged_clips import CASES, PROMPT, writers

SETTINGS = {"seed": 1, "steps": 1, "width": 48, "height": 48, "frames": 5}


def stages(pipe, prompt="a red ball", **settings):
    """The frames of a clip, and the components that were in memory as it was made."""
    loaded: set[str] = set()
    seen = []

    def on_progress(progress):
        seen.append(progress.stage)
        loaded.update(pipe.model.components._loaded)

    clip = pipe.generate(prompt, **{**SETTINGS, **settings}, on_progress=on_progress)
    assert "encode" in seen
    return clip.frames, loaded


def test_another_process_needs_no_text_encoder(tiny_folder):
    first, loaded = stages(mlxvid.load(str(tiny_folder)))
    assert "text_encoder" in loaded
    again, loaded = stages(mlxvid.load(str(tiny_folder)))
    assert "text_encoder" not in loaded and np.array_equal(first, again)


@pytest.mark.parametrize("changed", [{"seed": 2}, {"steps": 2, "frames": 9}, {"width": 64}])
def test_changed_settings_need_none(changed, tiny_folder):
    stages(mlxvid.load(str(tiny_folder)))
    _, loaded = stages(mlxvid.load(str(tiny_folder)), **changed)
    assert "text_encoder" not in loaded


@pytest.mark.parametrize("changed", [{"prompt": "a blue star"}, {"negative_prompt": "blurry"}])
def test_another_prompt_needs_it(changed, tiny_folder):
    stages(mlxvid.load(str(tiny_folder)))
    _, loaded = stages(mlxvid.load(str(tiny_folder)), **changed)
    assert "text_encoder" in loaded


@pytest.mark.parametrize("how", [{"quantize": 8}, {"dtype": "bfloat16"}])
def test_another_use_of_the_weights_needs_it(how, tiny_folder):
    stages(mlxvid.load(str(tiny_folder)))
    _, loaded = stages(mlxvid.load(str(tiny_folder), **how))
    assert "text_encoder" in loaded


def test_other_weights_need_it(tiny_folder, tmp_path):
    stages(mlxvid.load(str(tiny_folder)))
    copy = shutil.copytree(tiny_folder, tmp_path / "copy")
    _, loaded = stages(mlxvid.load(str(copy)))
    assert "text_encoder" in loaded


def test_a_loaded_pipeline_that_keeps_nothing_on_the_disk_needs_it_once(
    tiny_folder, monkeypatch, own_cache
):
    monkeypatch.setenv("MLXVID_PROMPT_CACHE", "0")
    pipe = mlxvid.load(str(tiny_folder))
    pipe.model.components.usable = 0
    first, loaded = stages(pipe)
    assert "text_encoder" in loaded
    again, loaded = stages(pipe, seed=1)
    assert "text_encoder" not in loaded and np.array_equal(first, again)
    assert not (own_cache / "prompts").exists()


def test_a_prompt_that_is_cut_is_told_every_time(tiny_folder, caplog):
    for _ in range(2):
        caplog.clear()
        stages(mlxvid.load(str(tiny_folder)), prompt="a red ball and a blue star " * 40)
        assert "read only as far as" in caplog.text


@pytest.mark.parametrize("case", ["wan-t2v", "latte", "opensora", "mini"])
def test_the_clip_is_the_same_block_by_block_and_from_the_cache(case, tmp_path, monkeypatch):
    pytest.importorskip("diffusers")
    name, settings = CASES[case]
    model = name
    if name != "mini":
        writers()[name](tmp_path / name)
        model = str(tmp_path / name)

    def clip(usable: int, cache: str):
        monkeypatch.setenv("MLXVID_CACHE", str(tmp_path / cache))
        pipe = mlxvid.load(model)
        pipe.model.components.usable = usable
        return stages(pipe, PROMPT, **settings)

    whole, loaded = clip(2**60, "whole")
    assert "text_encoder" in loaded
    piecewise, loaded = clip(0, "piecewise")
    assert "text_encoder" in loaded
    cached, loaded = clip(0, "whole")
    assert "text_encoder" not in loaded
    assert np.array_equal(whole, piecewise) and np.array_equal(whole, cached)
