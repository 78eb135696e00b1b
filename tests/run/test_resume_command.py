"""--resume and --decode-only: interrupted runs taken up from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid import in_use
from mlxvid.errors import CancelledError
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.run import checkpoint

from .resuming import saved_runs

QUIET = ("--progress", "none")


@pytest.fixture
def command(capsys):
    """Run the command: (exit code, standard error)."""

    def run(*flags: object) -> tuple[int, str]:
        code = main([*map(str, flags)])
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def refused(command):
    """Run a command that is refused; returns its one line."""

    def run(*flags: object) -> str:
        code, message = command(*flags)
        assert code == 2
        assert message.count("\n") == 1
        return message

    return run


@pytest.fixture
def interrupted(tiny, monkeypatch):
    """A run that was stopped after its second step."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == 2:
            cancel.set()

    with pytest.raises(CancelledError):
        tiny.generate("a red ball", seed=3, steps=7, on_progress=on_progress, cancel=cancel)
    (run,) = saved_runs()
    return run


def test_killed_in_mid_denoise_and_resumed_by_the_command(
    tiny_folder, tmp_path, own_cache, command
):
    """kill -9, then --resume: the clip of an unbroken run, bit for bit."""
    flags = ["--model", str(tiny_folder), "--prompt", "a red ball", "--seed", "5"]
    flags += ["--steps", "900"]
    to_a = ["-o", str(tmp_path / "a/")]
    (tmp_path / "a").mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "mlxvid.generate", *flags, *to_a, "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if json.loads(line).get("step", 0) > 1 and list((own_cache / "runs").glob("[!.]*")):
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait(timeout=60) == -signal.SIGKILL
    assert os.listdir(tmp_path / "a") == []
    assert command("--resume", *to_a, *QUIET)[0] == 0
    assert command(*flags, "-o", f"{tmp_path / 'b'}/", *QUIET)[0] == 0
    resumed = Clip.load(tmp_path / "a")
    unbroken = Clip.load(tmp_path / "b")
    assert np.array_equal(resumed.frames, unbroken.frames)
    assert resumed.settings == unbroken.settings
    assert os.listdir(own_cache / "runs") == []
    assert os.listdir(own_cache / "latents") == []


def test_a_resumed_run_is_not_begun_again(monkeypatch, capsys, tmp_path):
    """Of the embedded model, whose settings all come from its defaults."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0.0)
    cancel = threading.Event()

    def on_progress(progress):
        if progress.stage == "denoise" and progress.step == 3:
            cancel.set()

    pipe = mlxvid.load("mini")
    with pytest.raises(CancelledError):
        pipe.generate("a red ball", frames=1, steps=6, on_progress=on_progress, cancel=cancel)
    assert main(["--resume", "-o", str(tmp_path / "clip.png"), "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    steps = [event["step"] for event in events if event.get("stage") == "denoise"]
    assert steps[0] == 3
    assert saved_runs() == []


def test_resume_with_nothing_to_resume(refused, tmp_path):
    message = refused("--resume")
    assert "no interrupted run" in message and "--prompt" in message
    other = tmp_path / "other.safetensors"
    mx.save_safetensors(str(other), {"x": mx.zeros(3)})
    for path in (other, tmp_path / "none.safetensors"):
        message = refused("--resume", path)
        assert f"{path} is no interrupted run" in message and "--resume alone" in message
        message = refused("--decode-only", path)
        assert f"{path} holds no kept latents" in message


def test_resume_takes_no_other_settings(refused):
    message = refused("--resume", "--steps", 9, "--prompt", "a ball")
    assert message.startswith("--resume")
    assert "leave out --prompt, --steps" in message


def test_decode_only_from_the_command_line(tiny, command, tmp_path):
    clip = tiny.generate("a red ball", seed=6)
    path = clip.kept.leave()
    code, message = command("--decode-only", path, "-o", f"{tmp_path / 'clip'}/", *QUIET)
    assert code == 0, message
    again = Clip.load(tmp_path / "clip")
    assert np.array_equal(again.frames, clip.frames)
    assert again.settings == clip.settings
    assert not os.path.exists(path)


def test_resume_of_a_run_that_died_in_the_decoder_decodes_its_latents(
    tiny, interrupted, command, tmp_path
):
    """Nothing of such a run is left but its latents, and whoever killed it let nobody say where
    they are.
    """
    clip = tiny.generate("a red ball", seed=6)
    path = clip.kept.leave()
    os.utime(interrupted, (1, 1))
    code, message = command("--resume", "-o", f"{tmp_path / 'clip'}/", *QUIET)
    assert code == 0, message
    assert path in message  # which one it is
    assert np.array_equal(Clip.load(tmp_path / "clip").frames, clip.frames)
    assert not os.path.exists(path) and interrupted.exists()


def test_a_later_interrupted_run_is_the_one_to_resume(tiny, interrupted, command, tmp_path):
    os.utime(tiny.generate("a red ball", seed=6).kept.leave(), (1, 1))
    code, message = command("--resume", "-o", f"{tmp_path / 'clip'}/", *QUIET)
    assert code == 0, message
    assert Clip.load(tmp_path / "clip").settings["seed"] == 3


def test_latents_named_by_a_relative_path_go_too(tiny, command, own_cache, tmp_path, monkeypatch):
    path = tiny.generate("a red ball", seed=6).kept.leave()
    monkeypatch.chdir(own_cache)
    relative = os.path.relpath(path)
    code, message = command("--decode-only", relative, "-o", f"{tmp_path / 'clip'}/", *QUIET)
    assert code == 0, message
    assert not os.path.exists(path)


def test_resume_takes_the_newest_run_that_nobody_is_at(
    tiny, interrupted, command, refused, tmp_path
):
    path = Path(tiny.generate("a red ball", seed=6).kept.leave())
    other = in_use.take(path)
    assert f"{path} is under way in another process" in refused("--resume", path)
    code, message = command("--resume", "-o", f"{tmp_path / 'clip'}/", *QUIET)
    assert code == 0 and str(interrupted) in message
    assert Clip.load(tmp_path / "clip").settings["seed"] == 3
    message = refused("--resume")
    assert "under way in other processes" in message and "--prompt" in message
    assert path.exists()
    other.release()


def test_a_command_that_fails_ends_with_an_event(tiny_folder, capsys, tmp_path):
    for flags, kind in [
        (["--resume"], "SettingError"),
        (["--prompt", "a ball", "--steps", "0"], "SettingError"),
        (["--nonsense"], "SettingError"),
        (["--prompt", "a ball", "-o", str(tmp_path / "none" / "clip.mp4")], "MediaError"),
        (["--prompt", "a ball", "--model", str(tmp_path / "none")], "ModelNotFoundError"),
    ]:
        assert main(["--model", str(tiny_folder), *flags, "--progress=json"]) == 2
        out, err = capsys.readouterr()
        event = json.loads(out.splitlines()[-1])
        assert (event["event"], event["kind"], event["message"]) == ("error", kind, err.strip())
