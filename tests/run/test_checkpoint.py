"""Denoising that goes on where it was interrupted."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid import in_use
from mlxvid.errors import (
    CancelledError,
    MediaError,
)
from mlxvid.media.clip import Clip
from mlxvid.run import checkpoint
from mlxvid.run.checkpoint import Checkpoint, RunState
from tests.facts import facts

from .resuming import saved_runs


def latents() -> mx.array:
    return mx.random.normal((1, 3, 4, 4, 5), key=mx.random.key(1))


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


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
    assert run.exists and saved_runs() == []  # while somebody is at it
    run.close()
    assert saved_runs() == [run.path]
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
    run.close()
    Checkpoint({"seed": 1}, [np.array(noise)]).remove()
    assert saved_runs() == []


def test_a_run_between_two_stages_has_no_latents_of_a_stage(own_cache, every_step):
    run = Checkpoint({"seed": 1}, [])
    run.save(RunState(latents(), stage=1))
    run.close()
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


# --- several runs at once ------------------------------------------------------------------------


def test_runs_with_the_same_settings_have_a_file_each(own_cache, every_step):
    runs = [Checkpoint({"seed": 1}, []) for _ in range(2)]
    for step, run in enumerate(runs, 1):
        run.save(RunState(latents(), step=step))
    assert len(files(own_cache / "runs")) == 2
    assert Checkpoint({"seed": 1}, []).read() is None  # somebody is at both
    runs[1].remove()
    assert runs[0].exists
    runs[0].close()
    assert Checkpoint({"seed": 1}, []).read().step == 1


def test_of_several_states_the_furthest_is_gone_on_from(own_cache, every_step):
    for stage, step in [(0, 7), (1, 2), (1, 1)]:
        run = Checkpoint({"seed": 1}, [])
        run.save(RunState(latents(), stage, step))
        run.close()
    state = Checkpoint({"seed": 1}, []).read()
    assert (state.stage, state.step) == (1, 2)


def test_an_earlier_run_s_state_stays_until_the_new_one_has_come_as_far(own_cache, every_step):
    earlier = Checkpoint({"seed": 1}, [])
    earlier.save(RunState(latents(), step=3))
    earlier.close()
    new = Checkpoint({"seed": 1}, [])
    for step in (1, 2):
        new.save(RunState(latents(), step=step))
        assert earlier.path.exists()
    new.save(RunState(latents(), step=3))
    assert not earlier.path.exists() and new.exists


def test_what_a_dead_process_was_writing_is_removed(own_cache, every_step):
    (own_cache / "runs").mkdir(parents=True)
    (own_cache / "runs" / ".dead.safetensors").touch()
    live = in_use.create(own_cache / "runs" / ".live.safetensors")
    run = Checkpoint({"seed": 1}, [])
    run.save(RunState(latents(), step=1))
    assert files(own_cache / "runs") == sorted([".live.safetensors", run.path.name])
    live.release()


def test_the_same_run_again_keeps_the_old_state_and_says_so(tiny, stopped, own_cache, caplog):
    stopped()
    (old,) = (own_cache / "runs").iterdir()
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == 1:
            assert old.exists()
            cancel.set()

    with pytest.raises(CancelledError, match="`resume`"):
        tiny.generate("a red ball", seed=3, steps=7, on_progress=on_progress, cancel=cancel)
    (record,) = caplog.records
    assert "step 2" in record.getMessage() and "`resume`" in record.getMessage()
    assert old.exists()
    seen = []
    tiny.generate("a red ball", seed=3, steps=7, resume=True, on_progress=seen.append)
    assert min(steps_of(seen)) == 2
    assert files(own_cache / "runs") == []


def test_a_run_that_is_under_way_is_not_resumed(tiny, stopped, own_cache, caplog):
    stopped()
    (path,) = (own_cache / "runs").iterdir()
    other = in_use.take(path)
    seen = []
    tiny.generate("a red ball", seed=3, steps=7, resume=True, on_progress=seen.append)
    assert min(steps_of(seen)) == 0
    (record,) = caplog.records
    assert "under way" in record.getMessage()
    assert path.exists()
    other.release()


@pytest.mark.parametrize("stage", ["denoise", "decode"])
def test_stopped_after_the_last_step_nothing_is_denoised_again(tiny, own_cache, stage):
    """However quick it was: the last state is saved whatever the time."""
    whole = tiny.generate("a red ball", seed=3).frames
    cancel = threading.Event()

    def on_progress(progress):
        if (progress.stage, progress.step) == (stage, progress.total):
            cancel.set()

    with pytest.raises(CancelledError):
        tiny.generate("a red ball", seed=3, on_progress=on_progress, cancel=cancel)
    seen = []
    clip = tiny.generate("a red ball", seed=3, resume=True, on_progress=seen.append)
    assert np.array_equal(clip.frames, whole)
    assert set(steps_of(seen)) <= {3}
