"""Latents of clips that were not saved: kept until they are, and named."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
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
from mlxvid.run import checkpoint
from mlxvid.run.cache_files import MOST_KEPT
from mlxvid.run.jobs import save
from mlxvid.run.latents import KeptLatents, keep_latents, read_latents
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


@pytest.fixture
def every_step(monkeypatch):
    """A checkpoint after every step, however quick."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)


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
    kept = KeptLatents(path)
    kept.until_dropped()
    assert path.exists()
    del kept
    gc.collect()
    assert not path.exists()


def test_only_the_newest_are_kept(own_cache):
    for seed in range(MOST_KEPT + 3):
        path = keep_latents(latents(), {"seed": seed}).path
        os.utime(path, (seed, seed))
    assert len(files(own_cache / "latents")) == MOST_KEPT


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
    (message,) = messages  # not one for each step, and another for the end
    assert f"{own_cache}/" in message and "MLXVID_CACHE" in message
    assert "Errno" not in caplog.text


def test_latents_of_another_model(tiny, tmp_path):
    file = tmp_path / "other.safetensors"
    settings = {"settings": '{"model": "some-model", "seed": 1}'}
    mx.save_safetensors(str(file), {"latents": latents()}, settings)
    with pytest.raises(WeightsError, match=facts(file, "some-model", "load that model")):
        tiny.decode_saved(file)
    assert file.exists()


def test_the_names_of_kept_latents_are_never_shared(own_cache):
    """Not between threads of one process, with the same settings, nor with a dead process's."""
    kept = [keep_latents(latents(), {"seed": 1}, "same") for _ in range(3)]
    assert len({one.path for one in kept}) == 3
    assert len(files(own_cache / "latents")) == 3


def test_those_that_somebody_is_at_are_not_the_oldest_to_go(own_cache):
    held = [keep_latents(latents(), {"seed": seed}) for seed in range(MOST_KEPT + 2)]
    assert all(kept.path.exists() for kept in held)


def test_of_clips_in_memory_that_nobody_saved_the_newest_five_have_a_file(tiny, own_cache):
    clips = [tiny.generate("a red ball", seed=seed) for seed in range(MOST_KEPT + 2)]
    assert [clip.kept.path is not None for clip in clips] == [False] * 2 + [True] * MOST_KEPT
    assert len(files(own_cache / "latents")) == MOST_KEPT


@pytest.mark.parametrize("end", [KeyboardInterrupt, CancelledError, BrokenPipeError, SystemExit])
def test_whatever_ends_the_saving_leaves_the_latents(tiny, tmp_path, own_cache, caplog, end):
    clip = tiny.generate("a red ball", seed=1)
    frames = clip.frames

    def on_progress(done, total):
        raise end("stopped")

    with pytest.raises(end) as caught:
        clip.save(tmp_path / "clip.mp4", on_progress)
    path = only_kept(own_cache)
    told = f"{caught.value} {caplog.text}"
    assert f"`decode_saved` {path}" in told
    del clip
    gc.collect()
    assert np.array_equal(tiny.decode_saved(path).frames, frames)


def gone(folder: Path) -> None:
    folder.rmdir()


def a_file(folder: Path) -> None:
    folder.rmdir()
    folder.write_text("a file now")


def a_loop(folder: Path) -> None:
    folder.rmdir()
    folder.symlink_to(folder)


@pytest.mark.parametrize("become", [gone, a_file, a_loop])
def test_an_output_folder_that_became_something_else(tiny, tmp_path, own_cache, become):
    folder = tmp_path / "out"
    folder.mkdir()
    clip = tiny.generate("a red ball", seed=1)
    become(folder)
    with pytest.raises(MediaError) as caught:
        clip.save(folder / "clip.mp4")
    path = only_kept(own_cache)
    assert str(folder) in str(caught.value) and f"`decode_saved` {path}" in str(caught.value)
    assert caught.value.latents_path == str(path)
    assert str(folder) in caught.value.reason
    assert "decode_saved" not in caught.value.reason
    clip.save(tmp_path / "clip.mp4")  # the clip is still there to be saved elsewhere
    assert files(own_cache / "latents") == []


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip"])
def test_a_target_that_became_a_folder_of_others(tiny, tmp_path, own_cache, name):
    clip = tiny.generate("a red ball", seed=1)
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").touch()
    with pytest.raises(MediaError, match=facts("notes.txt", "`decode_saved`", "latents")):
        clip.save(tmp_path / name)
    only_kept(own_cache)


def test_a_cancel_before_the_first_frame_is_saved_names_the_latents(tiny, tmp_path, own_cache):
    clip = tiny.generate("a red ball", seed=1)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(CancelledError, match=facts("Stopped", "`decode_saved`")) as caught:
        save(clip, str(tmp_path / "clip.mp4"), None, cancel)
    assert caught.value.latents_path == str(only_kept(own_cache))


def test_without_latents_the_run_s_last_state_is_what_the_clip_is_made_of(
    tiny, tmp_path, own_cache
):
    (own_cache / "runs").mkdir(parents=True)
    (own_cache / "latents").write_text("a file where the folder should be")
    clip = tiny.generate("a red ball", seed=1)
    (state,) = (own_cache / "runs").iterdir()
    with pytest.raises(MediaError, match=facts("`resume`", state)):
        clip.save(tmp_path / "none" / "clip.mp4")
    again = tiny.generate("a red ball", seed=1, resume=True)
    assert np.array_equal(again.frames, clip.frames)
    again.save(tmp_path / "clip.mp4")
    assert files(own_cache / "runs") == []


ENDING = """
import sys
import mlxvid
pipe = mlxvid.load(sys.argv[1])
def main():
    clip = pipe.generate("a red ball", seed=1)
    {end}
main()
"""


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        ("sys.exit(3)", 1),
        ("raise ValueError('of another kind')", 1),
        ("global held; held = clip", 1),
        ("del clip", 0),
    ],
)
def test_latents_of_an_unsaved_clip_outlive_the_process_unless_it_was_dropped(
    tiny_folder, own_cache, end, kept
):
    script = ENDING.format(end=end)
    subprocess.run([sys.executable, "-c", script, tiny_folder], capture_output=True, timeout=120)
    assert len(files(own_cache / "latents")) == kept
