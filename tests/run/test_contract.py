"""The loop carries what no registered family needs yet: stages, networks by time, state."""

from __future__ import annotations

import threading

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import CancelledError

from .resuming import saved_runs
from .throwaway import CHUNK, MODELS, pipeline

PROMPT = "a red ball"
SETTINGS = {"seed": 5, "steps": 3}
STEPS = {"stages": 6, "networks": 3, "chunks": 9}


pytestmark = pytest.mark.usefixtures("every_step_is_saved")


@pytest.fixture
def pipe(kind, tmp_path):
    return pipeline(kind, tmp_path / "model")


@pytest.mark.parametrize("kind", MODELS)
def test_it_generates_and_reports_every_step(pipe, kind):
    steps = []
    clip = pipe.generate(PROMPT, **SETTINGS, on_progress=steps.append)
    assert clip.frames.shape == (6, 16, 16, 3) and clip.frames.std() > 5
    denoise = [progress for progress in steps if progress.stage == "denoise"]
    assert [progress.step for progress in denoise] == list(range(STEPS[kind] + 1))
    assert {progress.total for progress in denoise} == {STEPS[kind]}
    again = pipe.generate(PROMPT, **SETTINGS)
    assert np.array_equal(again.frames, clip.frames)


@pytest.mark.parametrize("kind", MODELS)
def test_previews_show_the_clip_as_it_is(pipe, kind):
    previews = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step:
            previews.append(progress.preview())

    clip = pipe.generate(PROMPT, **SETTINGS, on_progress=on_progress)
    assert len(previews) == STEPS[kind]
    if kind == "stages":  # half the size at first
        assert previews[0].shape == (6, 8, 8, 3)
    assert previews[-1].shape == clip.frames.shape
    # The last x0 is the clip itself.
    assert np.abs(previews[-1].astype(int) - clip.frames).max() <= 1


@pytest.mark.parametrize(
    ("kind", "after"), [(kind, after) for kind in MODELS for after in range(1, STEPS[kind])]
)
def test_cancelled_anywhere_it_resumes_to_the_same_clip(pipe, kind, after):
    whole = pipe.generate(PROMPT, **SETTINGS)
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == after:
            cancel.set()

    with pytest.raises(CancelledError):
        pipe.generate(PROMPT, **SETTINGS, on_progress=on_progress, cancel=cancel)
    (run,) = saved_runs()
    steps = []
    clip = pipe.generate(PROMPT, **SETTINGS, resume=True, on_progress=steps.append)
    assert np.array_equal(clip.frames, whole.frames)
    first = next(progress for progress in steps if progress.stage == "denoise")
    assert first.step == after
    assert not run.exists()


@pytest.mark.parametrize("kind", ["stages"])
def test_the_second_stage_starts_from_the_first_ones_clip(pipe):
    """Of the noise alone the second stage would make another clip."""
    clip = pipe.generate(PROMPT, **SETTINGS)
    blocks = clip.frames.reshape(6, 4, 4, 4, 4, 3).astype(float).mean(axis=(2, 4))
    small = []

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == 3:
            small.append(progress.preview())

    pipe.generate(PROMPT, **SETTINGS, on_progress=on_progress)
    first = small[0].reshape(6, 4, 2, 4, 2, 3).astype(float).mean(axis=(2, 4))
    assert np.corrcoef(first.ravel(), blocks.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("kind", ["networks"])
def test_only_one_of_two_networks_is_in_memory(pipe, monkeypatch):
    asked = []
    components = pipe.model.components
    components.usable = 0
    load = components._load

    def watched(name, part, watch):
        asked.append((name, set(components._loaded)))
        return load(name, part, watch)

    monkeypatch.setattr(components, "_load", watched)
    pipe.generate(PROMPT, seed=5, steps=8)
    assert [name for name, _ in asked] == ["text_encoder", "transformer", "transformer_2", "vae"]
    assert all(not others for _, others in asked)


@pytest.mark.parametrize("kind", ["networks"])
def test_both_networks_count(pipe):
    clip = pipe.generate(PROMPT, **SETTINGS)
    second = pipe.model.network("transformer_2")
    second.mix.weight = second.mix.weight + 1
    mx.eval(second.parameters())
    assert not np.array_equal(pipe.generate(PROMPT, **SETTINGS).frames, clip.frames)


@pytest.mark.parametrize("kind", ["chunks"])
def test_frames_are_handed_out_as_they_are_done(pipe):
    events = []

    def on_progress(progress):
        events.append((progress.stage, progress.step))

    clip = pipe.generate(
        PROMPT,
        **SETTINGS,
        on_progress=on_progress,
        on_frames=lambda frames: events.append(("frames", len(frames))),
    )
    handed = [i for i, (name, _) in enumerate(events) if name == "frames"]
    assert len(handed) == len(clip.frames)
    # The first chunk is out before the second chunk's first step is reported.
    assert handed[CHUNK - 1] < events.index(("denoise", SETTINGS["steps"] + 1))


@pytest.mark.parametrize("kind", ["chunks"])
def test_a_chunk_depends_on_the_one_before(pipe):
    clip = pipe.generate(PROMPT, **SETTINGS)
    noise = mx.random.normal((1, 4, 6, 8, 8), key=mx.random.key(5))
    other = mx.concatenate([noise[:, :, :CHUNK] + 1, noise[:, :, CHUNK:]], axis=2)
    same = pipe.generate(PROMPT, steps=3, latents=noise)
    changed = pipe.generate(PROMPT, steps=3, latents=other)
    assert np.array_equal(same.frames, clip.frames)
    assert not np.array_equal(changed.frames[CHUNK:], clip.frames[CHUNK:])


def test_every_family_frames_can_be_taken_as_they_are_decoded(tmp_path):
    """Where nothing is finished early, frames come chunk by chunk out of the decoder."""
    pipe = pipeline("networks", tmp_path / "model")
    taken = []
    clip = pipe.generate(PROMPT, **SETTINGS, on_frames=taken.append)
    assert np.array_equal(np.concatenate(taken), clip.frames) and len(taken) == 6
