"""Previews of models whose decoder has no room beside the denoiser, and rough ones of others."""

from __future__ import annotations

import logging
import threading

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.errors import CancelledError
from mlxvid.run import latent_map

from .unchanged_clips import Models

PROMPT = {"prompt": "a red ball", "seed": 1}


@pytest.fixture(autouse=True)
def few_clips(monkeypatch):
    monkeypatch.setattr(latent_map, "CLIPS", 6)


@pytest.fixture
def large(tiny):
    """A model whose components are in memory one at a time."""
    tiny.model.components.usable = 0
    return tiny


def seen(pipe, rough=False, **more):
    """What is told of a run: stages in order, the previews, the clip."""
    stages = []
    shown = []

    def on_progress(progress):
        stages.append((progress.stage, *pipe.model.components._loaded))
        if progress.stage == "denoise" and progress.step:
            shown.append(progress.preview(rough))

    clip = pipe.generate(**PROMPT, on_progress=on_progress, **more)
    return list(dict.fromkeys(stages)), shown, clip


def test_a_model_too_large_to_keep_its_decoder_has_previews(large, caplog):
    stages, shown, clip = seen(large, previews=True)
    assert stages == [
        ("encode", "text_encoder"),
        ("encode", "vae"),
        ("denoise", "transformer"),
        ("decode", "vae"),
    ]
    assert {frames.shape for frames in shown} == {(9, 4, 4, 3)}
    assert {frames.dtype for frames in shown} == {np.dtype(np.uint8)}
    assert np.array_equal(clip.frames, large.generate(**PROMPT).frames)
    notes = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len([note for note in notes if "previews" in note]) == 1


def test_the_last_preview_is_like_the_clip(large):
    _, shown, clip = seen(large, previews=True)
    small = clip.frames.reshape(9, 4, 8, 4, 8, 3).mean((2, 4))
    assert np.corrcoef(shown[-1].ravel(), small.ravel())[0, 1] > 0.5


def test_the_second_run_has_them_at_once_and_without_asking(large, tiny_folder, caplog):
    seen(large, previews=True)
    caplog.clear()
    other = mlxvid.load(str(tiny_folder))
    other.model.components.usable = 0
    stages, shown, _ = seen(other)
    assert ("encode", "vae") not in stages
    assert all(frames is not None for frames in shown)
    assert "previews" not in caplog.text


def test_who_does_not_ask_pays_nothing(large, own_cache):
    stages, shown, _ = seen(large)
    assert ("encode", "vae") not in stages
    assert shown and all(frames is None for frames in shown)
    assert not (own_cache / "previews").exists()


def test_beside_its_decoder_a_model_is_decoded_and_rough_only_where_asked(tiny, own_cache):
    _, exact, clip = seen(tiny, previews=True)
    assert {frames.shape for frames in exact} == {(9, 32, 32, 3)}
    assert not (own_cache / "previews").exists()
    _, rough, again = seen(tiny, rough=True)
    assert {frames.shape for frames in rough} == {(9, 4, 4, 3)}
    assert len(list((own_cache / "previews").iterdir())) == 1
    assert np.array_equal(clip.frames, again.frames)


def test_cancel_is_heard_while_they_are_prepared(large, own_cache):
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "encode" and progress.total == 6 and progress.step == 2:
            cancel.set()

    with pytest.raises(CancelledError):
        large.generate(**PROMPT, previews=True, on_progress=on_progress, cancel=cancel)
    assert not (own_cache / "previews").exists()


@pytest.mark.parametrize("error", [RuntimeError("[metal] no luck"), ValueError("odd")])
def test_a_run_goes_on_without_them(large, monkeypatch, caplog, error):
    def fail(model, watch):
        raise error

    monkeypatch.setattr(latent_map, "fitted", fail)
    _, shown, clip = seen(large, previews=True)
    assert shown and all(frames is None for frames in shown)
    assert len(clip.frames) == 9
    assert str(error) in caplog.text


def test_a_decoder_that_makes_no_numbers_has_none(large, monkeypatch):
    broken = np.full((3, 4, 4, 4), np.nan), np.ones((9, 32, 32, 3))
    monkeypatch.setattr(latent_map, "_samples", lambda model: iter([broken]))
    with pytest.raises(ValueError, match="finite"):
        latent_map.fitted(large.model)


# --- every family --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    pytest.importorskip("diffusers")
    return Models(tmp_path_factory.mktemp("previews"))


@pytest.mark.parametrize("case", ["mini", "wan-i2v", "latte", "opensora-extend"])
def test_every_family_has_them_and_the_same_clips(models, case):
    plain = models.frames(case)
    models.loaded(case).model.components.usable = 0
    shown = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            shown.append(progress.preview())

    clip = models.frames(case, previews=True, on_progress=on_progress)
    assert np.array_equal(clip, plain)
    count, height, width, _ = clip.shape
    assert shown[-1].shape == (count, height // 8, width // 8, 3)
    assert shown[-1].std() > 1
