"""What outlives an accident: latents of clips that were not saved, and denoising that goes on where
it was interrupted.
"""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import (
    CancelledError,
    DegenerateClipError,
    DoesNotFitError,
    MediaError,
    WeightsError,
)
from mlxvid.media.clip import Clip
from mlxvid.run import checkpoint
from mlxvid.run.checkpoint import Checkpoint, KeptLatents, RunState, keep_latents, read_latents
from tests.facts import facts

OUT_OF_MEMORY = (
    "[metal::malloc] Attempting to allocate 64000000000 bytes which is greater than the maximum "
    "allowed buffer size"
)


def latents() -> mx.array:
    return mx.random.normal((1, 3, 4, 4, 5), key=mx.random.key(1))


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


def only_kept(own_cache: Path) -> Path:
    """The one file of latents in the cache."""
    (name,) = files(own_cache / "latents")
    return own_cache / "latents" / name


def steps_of(seen: list) -> list[int]:
    return [progress.step for progress in seen if progress.stage == "denoise"]


@pytest.fixture
def every_step(monkeypatch):
    """A checkpoint after every step, however quick."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture
def stopped(tiny, every_step):
    """Start a run and stop it after its second step."""

    def start(**settings):
        cancel = threading.Event()

        def on_progress(progress):
            if progress.stage == "denoise" and progress.step == 2:
                cancel.set()

        with pytest.raises(CancelledError, match=facts("kept", "`resume`", "goes on")):
            tiny.generate(
                "a red ball", seed=3, steps=7, on_progress=on_progress, cancel=cancel, **settings
            )

    return start


# --- finished latents ----------------------------------------------------------------------------


def test_latents_are_kept_with_their_settings_until_they_are_let_go(own_cache):
    kept = keep_latents(latents(), {"seed": 7, "prompt": "a ball"})
    path = kept.path
    assert path is not None and path.parent == own_cache / "latents"
    again, settings = read_latents(path)
    assert mx.array_equal(again, latents())
    assert settings == {"seed": 7, "prompt": "a ball"}
    del kept
    gc.collect()
    assert path.exists()  # as after a crash
    KeptLatents(path).until_saved()
    gc.collect()
    assert not path.exists()


def test_only_the_newest_are_kept(own_cache):
    for seed in range(checkpoint.MOST_KEPT + 3):
        path = keep_latents(latents(), {"seed": seed}).path
        os.utime(path, (seed, seed))
    assert len(files(own_cache / "latents")) == checkpoint.MOST_KEPT


def test_a_saved_clip_leaves_nothing(tiny, tmp_path, own_cache):
    clip = tiny.generate("a red ball", seed=1)
    assert len(files(own_cache / "latents")) == 1
    clip.save(tmp_path / "clip.mp4")
    assert files(own_cache / "latents") == []
    assert files(own_cache / "runs") == []
    clip.save(tmp_path / "clip.gif")


def test_a_clip_that_can_not_be_saved_leaves_its_latents(tiny, tmp_path, own_cache, monkeypatch):
    clip = tiny.generate("a red ball", seed=1)
    frames = clip.frames
    (tmp_path / "full").mkdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        with pytest.raises(MediaError) as caught:
            clip.save(tmp_path / "full" / "clip.mp4")
    path = only_kept(own_cache)
    assert str(path) in str(caught.value) and "without denoising" in str(caught.value)
    assert files(tmp_path / "full") == []
    del clip
    gc.collect()
    assert path.exists()
    assert np.array_equal(tiny.decode_saved(path).frames, frames)


def test_memory_that_runs_out_while_decoding_names_the_latents(tiny, monkeypatch, own_cache):
    def decode(*_):
        raise RuntimeError(OUT_OF_MEMORY)

    whole = tiny.generate("a red ball", seed=4).frames
    with monkeypatch.context() as short:
        # What Metal raises; without Metal there is no memory to exhaust safely.
        short.setattr(tiny.model, "decode", decode)
        with pytest.raises(DoesNotFitError) as caught:
            tiny.generate("a red ball", seed=4)
    gc.collect()
    path = only_kept(own_cache)
    message = str(caught.value)
    assert "out of memory" in message and f"`decode_saved` {path}" in message
    assert np.array_equal(tiny.decode_saved(path).frames, whole)


def test_stopping_in_the_decoder_keeps_the_latents(tiny, own_cache):
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "decode" and progress.step:
            cancel.set()

    remedy = facts("Stopped", "`decode_saved`", ".safetensors")
    with pytest.raises(CancelledError, match=remedy):
        tiny.generate("a red ball", seed=1, frames=33, on_progress=on_progress, cancel=cancel)
    only_kept(own_cache)
    assert files(own_cache / "runs") == []


def test_a_degenerate_result_names_the_latents_before_it(own_cache):
    kept = keep_latents(latents(), {"seed": 1})
    error = DegenerateClipError("The clip is black; try another seed.", kept.leave())
    assert str(error).startswith("The clip is black; try another seed;")
    assert str(error).endswith(f"{kept.path}.")
    assert error.latents_path == str(kept.path)


def test_where_nothing_can_be_kept_the_clip_goes_on(tiny, own_cache, caplog, every_step):
    own_cache.write_text("a file where the folder should be")
    clip = tiny.generate("a red ball", seed=1)
    assert clip.kept.path is None
    assert clip.kept.leave() is None
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 4  # three steps and the end
    for message in messages:
        assert f"{own_cache}/" in message and "MLXVID_CACHE" in message


def test_latents_of_another_model(tiny, tmp_path):
    file = tmp_path / "other.safetensors"
    settings = {"settings": '{"model": "some-model", "seed": 1}'}
    mx.save_safetensors(str(file), {"latents": latents()}, settings)
    with pytest.raises(WeightsError, match=facts(file, "some-model", "load that model")):
        tiny.decode_saved(file)
    assert file.exists()


# --- runs that are under way ---------------------------------------------------------------------


def test_a_run_s_state_comes_back_as_it_was(own_cache, every_step):
    noise = latents()
    saved = RunState(
        x=noise,
        stage=1,
        step=2,
        y=2 * noise,
        scheduler={"past": noise + 1},
        shot={"cache.k": noise + 2, "cache.v": noise + 3},
    )
    run = Checkpoint({"seed": 1}, [np.array(noise)])
    assert not run.exists and run.read() is None
    run.save(saved)
    assert run.exists and checkpoint.saved_runs() == [run.path]
    again = Checkpoint({"seed": 1}, [np.array(noise)]).read()
    assert again is not None
    assert (again.stage, again.step) == (1, 2)
    for ours, theirs in [
        ({"x": again.x, "y": again.y}, {"x": saved.x, "y": saved.y}),
        (again.scheduler, saved.scheduler),
        (again.shot, saved.shot),
    ]:
        assert ours.keys() == theirs.keys()
        assert all(mx.array_equal(ours[name], theirs[name]) for name in ours)
    assert checkpoint.run_settings(run.path) == {"seed": 1}
    run.remove()
    assert checkpoint.saved_runs() == []


def test_a_run_between_two_stages_has_no_latents_of_a_stage(own_cache, every_step):
    run = Checkpoint({"seed": 1}, [])
    run.save(RunState(latents(), stage=1))
    again = run.read()
    assert again is not None
    assert (again.stage, again.step, again.y) == (1, 0, None)


@pytest.mark.parametrize("other", [({"seed": 2}, 0.0), ({"seed": 1}, 1.0)])
def test_other_settings_or_noise_are_another_run(other, own_cache, every_step):
    settings, value = other
    Checkpoint({"seed": 1}, [np.zeros(3)]).save(RunState(latents(), step=1))
    assert Checkpoint(settings, [np.full(3, value)]).read() is None


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_a_resumed_run_gives_the_same_clip_bit_for_bit(tiny, stopped, own_cache, sampler):
    settings = {"seed": 3, "steps": 7, "sampler": sampler}
    whole = tiny.generate("a red ball", **settings).frames
    stopped(sampler=sampler)
    assert len(files(own_cache / "runs")) == 1
    seen = []
    clip = tiny.generate("a red ball", **settings, resume=True, on_progress=seen.append)
    assert np.array_equal(clip.frames, whole)
    assert files(own_cache / "runs") == []
    assert steps_of(seen) == [2, 3, 4, 5, 6, 7]
    first = next(progress for progress in seen if progress.stage == "denoise")
    assert first.remaining is None


def test_a_run_with_other_settings_is_not_taken_for_it(tiny, stopped, caplog):
    stopped()
    seen = []
    tiny.generate("a red ball", seed=4, steps=7, resume=True, on_progress=seen.append)
    assert min(steps_of(seen)) == 0
    (record,) = caplog.records
    assert "no interrupted run with these settings" in record.getMessage()
    dark = np.full((32, 32, 3), 10, np.uint8)
    stopped(image=dark)
    tiny.generate("a red ball", seed=3, steps=7, image=dark + 190, resume=True)
    assert len(caplog.records) == 2


def test_without_resume_a_run_starts_at_the_beginning(tiny, stopped, own_cache):
    stopped()
    seen = []
    tiny.generate("a red ball", seed=3, steps=7, on_progress=seen.append)
    assert min(steps_of(seen)) == 0
    assert files(own_cache / "runs") == []


def test_a_damaged_checkpoint_is_no_checkpoint_and_that_is_said(tiny, stopped, own_cache, caplog):
    stopped()
    (path,) = (own_cache / "runs").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    seen = []
    tiny.generate("a red ball", seed=3, steps=7, resume=True, on_progress=seen.append)
    assert min(steps_of(seen)) == 0
    (record,) = caplog.records
    assert "starts at the beginning" in record.getMessage()


# --- files that are neither ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["other.safetensors", "none.safetensors", "clip.mp4"])
def test_any_other_file_is_refused(name, tiny, tmp_path):
    path = tmp_path / name
    if name == "other.safetensors":
        mx.save_safetensors(str(path), {"x": mx.zeros(3)})
    elif name == "clip.mp4":
        Clip(np.zeros((2, 16, 16, 3), np.uint8), 8).save(path)
    with pytest.raises(MediaError, match=facts(path, "no interrupted run", "`resume`")):
        checkpoint.run_settings(path)
    with pytest.raises(MediaError, match=facts(path, "no kept latents")):
        tiny.decode_saved(path)
