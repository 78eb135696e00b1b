"""What outlives an accident: latents of clips that were not saved, and denoising that goes on where
it was interrupted.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid.errors import (
    CancelledError,
    DegenerateClipError,
    DoesNotFitError,
    MediaError,
    WeightsError,
)
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.run import checkpoint as keep


def latents() -> mx.array:
    return mx.random.normal((1, 3, 4, 4, 5), key=mx.random.key(1))


def files(folder) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture
def every_step(monkeypatch):
    """A checkpoint after every step, however quick."""
    monkeypatch.setattr(keep, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture
def stopped(tiny, every_step):
    """Start a run and stop it after its second step."""

    def start(**settings):
        cancel = threading.Event()

        def on_progress(progress):
            if progress.stage == "denoise" and progress.step == 2:
                cancel.set()

        with pytest.raises(
            CancelledError,
            match=r"^Stopped; what is done so far is kept, and --resume goes on from there\.$",
        ):
            tiny.generate(
                "a red ball", seed=3, steps=7, on_progress=on_progress, cancel=cancel, **settings
            )

    return start


def test_latents_are_kept_with_their_settings_until_told_otherwise(own_cache):
    kept = keep.keep(latents(), {"seed": 7, "prompt": "a ball"})
    assert kept.path.parent == own_cache / "latents"
    again, settings = keep.read_latents(kept.path)
    assert mx.array_equal(again, latents()) and settings == {"seed": 7, "prompt": "a ball"}
    path = kept.path
    del kept
    gc.collect()
    assert path.exists()  # as after a crash
    keep.Kept(path).until_saved()
    gc.collect()
    assert not path.exists()


def test_only_the_newest_are_kept(own_cache):
    for seed in range(keep.KEPT + 3):
        path = keep.keep(latents(), {"seed": seed}).path
        os.utime(path, (seed, seed))
    assert len(files(own_cache / "latents")) == keep.KEPT


def test_a_saved_clip_leaves_nothing_and_one_that_can_not_be_saved_leaves_its_latents(
    tiny, tmp_path, own_cache, monkeypatch
):
    clip = tiny.generate("a red ball", seed=1)
    assert len(files(own_cache / "latents")) == 1
    clip.save(tmp_path / "clip.mp4")
    assert files(own_cache / "latents") == [] and files(own_cache / "runs") == []
    clip.save(tmp_path / "clip.gif")

    clip = tiny.generate("a red ball", seed=1)
    (tmp_path / "full").mkdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlxvid.media.clip.os.replace", full)
    with pytest.raises(MediaError) as caught:
        clip.save(tmp_path / "full" / "clip.mp4")
    monkeypatch.undo()
    (name,) = files(own_cache / "latents") if own_cache.exists() else [None]
    path = own_cache / "latents" / name
    assert f"`decode_saved` {path}" in str(caught.value)
    assert files(tmp_path / "full") == []
    del clip
    gc.collect()
    assert path.exists()
    again = tiny.decode_saved(path)
    assert np.array_equal(
        again.frames, Clip.load(tmp_path / "clip.gif").frames
    ) or again.frames.shape == (9, 32, 32, 3)


def test_memory_that_runs_out_while_decoding_names_the_latents(tiny, monkeypatch, own_cache):
    def decode(_):
        raise RuntimeError(
            "[metal::malloc] Attempting to allocate 64000000000 bytes which is greater than the maximum allowed buffer size"
        )

    whole = tiny.generate("a red ball", seed=4).frames
    monkeypatch.setattr(
        tiny.family, "decode", decode
    )  # what Metal raises; without Metal there is no memory to exhaust safely
    with pytest.raises(DoesNotFitError) as caught:
        tiny.generate("a red ball", seed=4)
    gc.collect()
    (name,) = files(own_cache / "latents")
    path = own_cache / "latents" / name
    assert (
        str(caught.value)
        == f"The machine ran out of memory; close other programs, and --decode-only {path} ends the run."
    )
    monkeypatch.undo()
    assert np.array_equal(tiny.decode_saved(path).frames, whole)


def test_stopping_in_the_decoder_keeps_the_latents(tiny, own_cache):
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "decode" and progress.step:
            cancel.set()

    with pytest.raises(
        CancelledError,
        match=r"^Stopped; --decode-only .*\.safetensors makes the clip of what is done\.$",
    ):
        tiny.generate("a red ball", seed=1, frames=33, on_progress=on_progress, cancel=cancel)
    assert len(files(own_cache / "latents")) == 1 and files(own_cache / "runs") == []


def test_a_degenerate_result_names_the_latents_before_it(own_cache):
    kept = keep.keep(latents(), {"seed": 1})
    error = DegenerateClipError("The clip is black; try another seed.", kept.leave())
    assert (
        str(error) == f"The clip is black; try another seed; the latents are kept in {kept.path}."
    )


def test_where_nothing_can_be_kept_the_clip_goes_on(tiny, own_cache, caplog, every_step):
    own_cache.write_text("a file where the folder should be")
    clip = tiny.generate("a red ball", seed=1)
    assert clip.kept.path is None and clip.kept.leave() is None
    assert all(
        record.getMessage().startswith(f"The latents could not be kept in {own_cache}/")
        for record in caplog.records
    )
    assert len(caplog.records) == 4  # three steps and the end


@pytest.mark.parametrize("sampler", ["euler", "heun"])
def test_a_resumed_run_gives_the_same_clip_bit_for_bit(tiny, stopped, own_cache, sampler):
    whole = tiny.generate("a red ball", seed=3, steps=7, sampler=sampler).frames
    stopped(sampler=sampler)
    assert len(files(own_cache / "runs")) == 1
    seen = []
    clip = tiny.generate(
        "a red ball", seed=3, steps=7, sampler=sampler, resume=True, on_progress=seen.append
    )
    assert np.array_equal(clip.frames, whole) and files(own_cache / "runs") == []
    denoise = [progress for progress in seen if progress.stage == "denoise"]
    assert [progress.step for progress in denoise] == [2, 3, 4, 5, 6, 7] and denoise[
        0
    ].remaining is None


def test_a_run_with_other_settings_is_not_taken_for_it(tiny, stopped, caplog):
    stopped()
    seen = []
    tiny.generate("a red ball", seed=4, steps=7, resume=True, on_progress=seen.append)
    assert min(progress.step for progress in seen if progress.stage == "denoise") == 0
    sentence = (
        "There is no interrupted run with these settings, so this one starts at the beginning."
    )
    assert [record.getMessage() for record in caplog.records] == [sentence]
    pictures = [np.full((32, 32, 3), value, np.uint8) for value in (10, 200)]
    stopped(image=pictures[0])
    tiny.generate("a red ball", seed=3, steps=7, image=pictures[1], resume=True)
    assert len(caplog.records) == 2


def test_without_resume_a_run_starts_at_the_beginning(tiny, stopped, own_cache):
    stopped()
    seen = []
    tiny.generate("a red ball", seed=3, steps=7, on_progress=seen.append)
    assert (
        min(progress.step for progress in seen if progress.stage == "denoise") == 0
        and files(own_cache / "runs") == []
    )


def test_a_damaged_checkpoint_is_no_checkpoint(tiny, stopped, own_cache):
    stopped()
    (path,) = (own_cache / "runs").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    assert tiny.generate("a red ball", seed=3, steps=7, resume=True).frames.shape == (9, 32, 32, 3)


def test_killed_in_mid_denoise_and_resumed_by_the_command(tiny_folder, tmp_path, own_cache, capsys):
    """kill -9, then --resume: the clip of an unbroken run, bit for bit."""
    flags = [
        "--model",
        str(tiny_folder),
        "--prompt",
        "a red ball",
        "--seed",
        "5",
        "--steps",
        "900",
        "-o",
        str(tmp_path / "a/"),
    ]
    (tmp_path / "a").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "mlxvid.generate", *flags, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if json.loads(line).get("step", 0) > 1 and files(own_cache / "runs"):
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait(timeout=60) == -signal.SIGKILL and files(tmp_path / "a") == []
    process.stdout.close()
    process.stderr.close()
    assert main(["--resume", "-o", str(tmp_path / "a/"), "--progress", "none"]) == 0
    assert main([*flags[:-1], str(tmp_path / "b/"), "--progress", "none"]) == 0
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own
    a, b = Clip.load(tmp_path / "a"), Clip.load(tmp_path / "b")
    assert np.array_equal(a.frames, b.frames) and a.settings == b.settings
    assert files(own_cache / "runs") == [] and files(own_cache / "latents") == []


@pytest.fixture
def command(capsys):
    def run(*flags: object) -> tuple[int, str]:
        code = main([*map(str, flags)])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return code, capsys.readouterr().err

    return run


def test_resume_with_nothing_to_resume(command, tmp_path):
    assert command("--resume") == (
        2,
        "There is no interrupted run to resume; begin one with --prompt.\n",
    )
    other = tmp_path / "other.safetensors"
    mx.save_safetensors(str(other), {"x": mx.zeros(3)})
    for path in (other, tmp_path / "none.safetensors"):
        assert command("--resume", path) == (
            2,
            f"{path} is no interrupted run: give --resume alone for the last one.\n",
        )
        assert command("--decode-only", path) == (
            2,
            f"{path} holds no kept latents: give the file that the failed run named.\n",
        )


def test_resume_takes_no_other_settings(command):
    code, message = command("--resume", "--steps", 9, "--prompt", "a ball")
    assert (
        code == 2
        and message
        == "--resume goes on with a run as it was: leave out --prompt, --steps, or start a new run.\n"
    )


def test_decode_only_from_the_command_line(tiny, command, own_cache, tmp_path):
    clip = tiny.generate("a red ball", seed=6)
    path = clip.kept.leave()
    code, message = command("--decode-only", path, "-o", tmp_path / "clip/", "--progress", "none")
    assert code == 0, message
    again = Clip.load(tmp_path / "clip")
    assert (
        np.array_equal(again.frames, clip.frames)
        and again.settings == clip.settings
        and not os.path.exists(path)
    )


def test_resume_of_a_run_that_died_in_the_decoder_names_its_latents(
    tiny, stopped, command, own_cache
):
    """Nothing of such a run is left but its latents, and whoever killed it let nobody say where
    they are.
    """
    stopped()
    path = tiny.generate("a red ball", seed=6).kept.leave()
    (run,) = (own_cache / "runs").iterdir()
    os.utime(run, (1, 1))
    said = f"The last run kept its latents; make the clip of them with --decode-only {path}"
    assert command("--resume") == (2, f"{said}, or go on with an earlier run by --resume {run}.\n")
    run.unlink()
    assert command("--resume") == (2, f"{said}.\n")


def test_a_later_interrupted_run_is_the_one_to_resume(tiny, stopped, command, own_cache, tmp_path):
    os.utime(tiny.generate("a red ball", seed=6).kept.leave(), (1, 1))
    stopped()
    code, message = command("--resume", "-o", tmp_path / "clip/", "--progress", "none")
    assert code == 0 and Clip.load(tmp_path / "clip").settings["seed"] == 3, message


def test_latents_named_by_a_relative_path_go_too(tiny, command, own_cache, tmp_path, monkeypatch):
    path = tiny.generate("a red ball", seed=6).kept.leave()
    monkeypatch.chdir(own_cache)
    code, message = command(
        "--decode-only", os.path.relpath(path), "-o", tmp_path / "clip/", "--progress", "none"
    )
    assert code == 0 and not os.path.exists(path), message


def test_latents_of_another_model(tiny, tmp_path):
    mx.save_safetensors(
        str(tmp_path / "other.safetensors"),
        {"latents": latents()},
        {"settings": '{"model": "wan", "seed": 1}'},
    )
    with pytest.raises(WeightsError, match=r"were made by wan; load that model to decode them\.$"):
        tiny.decode_saved(tmp_path / "other.safetensors")
    assert (tmp_path / "other.safetensors").exists() and mlxvid.__version__
