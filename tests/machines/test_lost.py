"""Machines that die, are stopped, or don't agree: none hangs, and what is done is kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

import mlxvid
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.model.base import Model
from mlxvid.run.cache_files import newest, runs_folder
from tests.run.resuming import saved_runs

from .launched import launched, said, start
from .test_same_clips import FLAGS, SMALL, difference

# The command, whose state is kept at every step; after one of them a machine gets a signal.
SIGNALLED = """
import os, sys
from mlxvid import machines
from mlxvid.run import checkpoint, denoising
checkpoint.CHECKPOINT_SECONDS = 0.0
victim, where, number = sys.argv[1:4]
check = denoising.checks.check_latents
def checked(y, place):
    check(y, place)
    if f"step {where} " in place and machines.number() == int(victim):
        os.kill(os.getpid(), int(number))
denoising.checks.check_latents = checked
from mlxvid.generate import main
sys.exit(main(sys.argv[4:]))
"""
OUTPUT = ("--progress", "none", "-o", "x.mkv")


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "signalled.py"
    path.write_text(SIGNALLED)
    return path


def mine(err: str) -> list[str]:
    """The lines on standard error that are neither mlx.launch's nor of MLX's connections."""
    return [line for line in err.splitlines() if "[WARN]" not in line and "[ring]" not in line]


@pytest.mark.parametrize("victim", [1, 2])
def test_a_killed_machine_ends_the_run_which_goes_on_alone(tmp_path, script, victim, monkeypatch):
    begun = time.monotonic()
    _, err = launched(tmp_path, 2, script, victim, 3, int(signal.SIGKILL), *FLAGS[2:], *OUTPUT)
    assert time.monotonic() - begun < 60
    (line,) = mine(err)[1:]
    assert f"Machine {victim} of 2 was lost" in line
    assert line.startswith("Machine 2: ") == (victim == 1)
    assert "--resume" in line
    assert len(saved_runs()) == 1
    assert not (tmp_path / "x.mkv").exists()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Model, "batched", lambda *_: False)
    assert main(["--resume", *OUTPUT]) == 0
    resumed = Clip.load("x.mkv")
    whole = mlxvid.load("mini").generate("a red ball", **SMALL)
    assert difference(resumed, whole) == 0
    assert saved_runs() == []


def test_what_two_began_two_go_on_with(tmp_path, script, monkeypatch):
    cached = ["--steps", 14, "--cache", "easy", "--cache-threshold", 0.3]
    flags = [*FLAGS[2:], *cached, *OUTPUT]
    _, err = launched(tmp_path, 2, script, 2, 8, int(signal.SIGTERM), *flags)
    assert "Machine 2 of 2 was lost" in err
    resume = ["-m", "mlxvid.generate", "--resume", "--parallel", "guidance"]
    out, err = launched(tmp_path, 2, *resume, *OUTPUT)
    assert out.split() == ["x.mkv"], err
    monkeypatch.setattr(Model, "batched", lambda *_: False)
    settings = {**SMALL, "steps": 14, "cache": "easy", "cache_threshold": 0.3}
    whole = mlxvid.load("mini").generate("a red ball", **settings)
    made = Clip.load(tmp_path / "x.mkv")
    assert difference(made, whole) == 0
    assert made.settings["skipped"] == whole.settings["skipped"]


@pytest.mark.parametrize("frozen", [False, True])
def test_ctrl_c_ends_all(tmp_path, script, frozen):
    """Also where a machine stands still and answers nothing."""
    victim, number = (2, signal.SIGSTOP) if frozen else (0, 0)
    # It would take minutes, however long a machine or this process stands still.
    flags = ["--steps", 1000, "--frames", 33, "--width", 160, "--height", 160, *OUTPUT]
    process = start(tmp_path, 2, script, victim, 3, int(number), *FLAGS[2:], *flags)
    while not newest(runs_folder()) and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1.0)
    if frozen:
        os.killpg(process.pid, signal.SIGCONT)
    _, err = said(process)
    # mlx.launch prints no more of what they say, but how they end.
    assert all(f"rank {rank} exited with code 130" in err for rank in (0, 1)), err
    assert len(saved_runs()) == 1
