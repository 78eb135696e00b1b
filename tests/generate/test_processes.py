"""The command in processes of its own: signals, a full disk, a reader that goes away.

Signals are sent by the process to itself, right after it has told of a stage and step: so they
always come at the same moment, and the second one while the first is dealt with.
"""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mlxvid.media.clip import Clip

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


SIGNALLED = """
import os, sys
from mlxvid.cli import console
from mlxvid.generate import main
where, numbers = sys.argv[1], sys.argv[2]
told = console._Json.progress
def send(number, *others):
    try:
        os.kill(os.getpid(), int(number))
    finally:
        if others:
            send(*others)
def progress(self, now):
    told(self, now)
    if f"{now.stage} {now.step}" == where:
        send(*numbers.split())
console._Json.progress = progress
sys.exit(main(sys.argv[3:]))
"""
EARLY = ["encode 1", "denoise 0"]
MOMENTS = [*EARLY, "denoise 3", "decode 0", "decode 9", "save 0", "save 4", "save 9"]


@pytest.fixture
def command(tiny_folder):
    """The command that makes a clip of a red ball."""

    def arguments(*flags: object) -> list[str]:
        fixed = ["--model", str(tiny_folder), "--prompt", "a red ball"]
        return [sys.executable, "-m", "mlxvid.generate", *fixed, *map(str, flags)]

    return arguments


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_mid_denoise_stops_within_a_step_and_leaves_nothing(
    command, here, own_cache, number
):
    size = ("--steps", 1000, "--sampler", "heun", "--width", 128, "--height", 128)
    flags = ("-o", "clip.mp4", "--progress", "json", *size)
    process = subprocess.Popen(command(*flags), **PIPES)
    for line in process.stdout:
        event = json.loads(line)
        if event.get("stage") == "denoise" and event["step"] == 3:
            break
    process.send_signal(number)
    sent = time.monotonic()
    rest = [json.loads(line) for line in process.stdout]
    took = time.monotonic() - sent
    assert process.wait(timeout=60) == 128 + number
    assert process.stderr.read().startswith("Stopped; ")
    steps = [event["step"] for event in rest if event.get("stage") == "denoise"]
    assert max(steps, default=3) < 500, f"went on for {took:.1f} s"
    assert [event["event"] for event in rest] == ["progress"] * len(steps) + ["cancelled"]
    assert os.listdir(here) == []
    assert not (own_cache / "latents").exists()


@pytest.fixture(scope="session")
def unbroken(tiny_folder, tmp_path_factory) -> bytes:
    """The file of a run that nothing came into."""
    path = tmp_path_factory.mktemp("unbroken") / "clip.mp4"
    flags = ["--model", tiny_folder, "--prompt", "a red ball", "--seed", 7, "-o", path]
    arguments = [sys.executable, "-m", "mlxvid.generate", *map(str, flags)]
    subprocess.run(arguments, check=True, capture_output=True)
    return path.read_bytes()


@pytest.fixture
def signalled(command, here, run, unbroken):
    """Run the command until signals come at a moment, check how it ended, and go on with it: the
    clip is that of an unbroken run, byte for byte.
    """

    def check(moment: str, *numbers: int) -> None:
        flags = ("--seed", 7, "-o", "clip.mp4", "--progress", "json")
        signals = " ".join(str(int(number)) for number in numbers)
        arguments = [sys.executable, "-c", SIGNALLED, moment, signals, *command(*flags)[3:]]
        done = subprocess.run(arguments, timeout=120, **PIPES)
        assert done.returncode == 128 + numbers[0], done.stderr
        assert os.listdir(here) == []
        end = json.loads(done.stdout.splitlines()[-1])
        assert end["event"] == "cancelled" and end["message"] == done.stderr.strip()
        assert done.stderr.startswith("Stopped; ") and done.stderr.count("\n") == 1
        if moment in EARLY:
            assert "nothing was written" in done.stderr
            return
        if not moment.startswith("denoise"):
            assert f"--decode-only {end['latents']} " in done.stderr
            assert os.path.exists(end["latents"])
        assert run("--resume", "-o", "clip.mp4", "--progress", "none", model=False)[0] == 0
        with open("clip.mp4", "rb") as file:
            assert file.read() == unbroken

    return check


def kept_runs(cache: Path) -> list[Path]:
    """The checkpoints and latents in the cache."""
    return [*cache.glob("runs/*"), *cache.glob("latents/*")]


@pytest.mark.parametrize(
    ("moment", "numbers"),
    [
        ("encode 1", [signal.SIGHUP]),
        ("denoise 3", [signal.SIGHUP]),
        ("decode 0", [signal.SIGTERM]),
        ("decode 9", [signal.SIGINT, signal.SIGINT]),
        ("save 0", [signal.SIGHUP, signal.SIGTERM]),
        ("save 4", [signal.SIGINT]),
        ("save 9", [signal.SIGTERM, signal.SIGTERM]),
    ],
)
def test_from_the_last_step_on_no_signal_loses_the_run(signalled, own_cache, moment, numbers):
    signalled(moment, *numbers)
    left = kept_runs(own_cache)
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", SIGNALS)
def test_no_signal_at_any_moment_loses_the_run(signalled, moment, number, count):
    signalled(moment, *[number] * count)


def test_a_third_signal_ends_the_process_at_once_and_the_latents_stay(command, here, own_cache):
    flags = ("-o", "clip.mp4", "--progress", "json")
    numbers = " ".join([str(int(signal.SIGINT))] * 3)
    arguments = [sys.executable, "-c", SIGNALLED, "save 4", numbers, *command(*flags)[3:]]
    done = subprocess.run(arguments, timeout=120, **PIPES)
    assert (done.returncode, done.stderr) == (130, "")
    assert len(os.listdir(own_cache / "latents")) == 1


def test_a_hangup_that_nohup_ignores_stays_ignored(command, here):
    """As of any other signal that whoever started the command has ignored."""
    flags = ("-o", "clip.mp4", "--progress", "json")
    numbers = f"{int(signal.SIGHUP)} {int(signal.SIGTERM)}"
    arguments = [sys.executable, "-c", SIGNALLED, "decode 0", numbers, *command(*flags)[3:]]

    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    done = subprocess.run(arguments, preexec_fn=ignore, timeout=120, **PIPES)
    assert done.returncode == 0, done.stderr
    assert os.listdir(here) == ["clip.mp4"]


def test_what_a_killed_run_left_beside_the_output_goes_with_the_next(command, here, own_cache):
    flags = ("-o", "clip.mp4", "--progress", "json")
    kill = str(int(signal.SIGKILL))
    arguments = [sys.executable, "-c", SIGNALLED, "save 4", kill, *command(*flags)[3:]]
    assert subprocess.run(arguments, timeout=120, **PIPES).returncode == -signal.SIGKILL
    (left,) = os.listdir(here)
    assert left.startswith(".mlxvid-")
    subprocess.run(command(*flags), check=True, timeout=120, capture_output=True)
    assert os.listdir(here) == ["clip.mp4"]
    assert len(os.listdir(own_cache / "latents")) == 1  # of the killed run, which had another seed


def test_a_full_disk_is_one_sentence_and_leaves_nothing(command, here):
    """A limit on the size of files stands in for the disk's; the kept latents, 1 kB, still fit."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    arguments = command("-o", "clip.mp4", "--progress", "none", "--frames", 33)
    done = subprocess.run(arguments, preexec_fn=limit, timeout=120, **PIPES)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for fact in ("clip.mp4", "File too large", "--decode-only"):
        assert fact in done.stderr
    assert os.listdir(here) == []


@pytest.mark.parametrize("how", ["bar", "json", "none"])
@pytest.mark.parametrize(
    ("shell", "code"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&- >&- 2>&-", 0),
        (">/dev/full", 2),
        ("2>/dev/full", 0),
        (">/dev/full 2>/dev/full", 2),
    ],
)
def test_streams_that_can_not_be_written_cost_no_clip(command, here, how, shell, code):
    if how == "bar" and code:
        pytest.skip("as of none")
    line = shlex.join(command("-o", "clip.mp4", "--progress", how))
    done = subprocess.run(f"{line} {shell}", shell=True, timeout=120, **PIPES)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if shell == ">/dev/full":
        assert "Standard output" in done.stderr and "No space left" in done.stderr
    assert os.listdir(here) == ["clip.mp4"]
    Clip.load("clip.mp4")


def test_a_reader_that_goes_away_costs_no_clip(command, here):
    process = subprocess.Popen(command("-o", "clip.mp4", "--progress", "json"), **PIPES)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141
    assert os.listdir(here) == ["clip.mp4"]


def test_names_that_the_terminal_s_encoding_does_not_have_cost_no_clip(command, here):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    arguments = command("-o", "球.mp4", "--progress", "none")
    done = subprocess.run(arguments, env=environment, timeout=120, **PIPES)
    assert (done.returncode, done.stdout) == (0, "\\u7403.mp4\n"), done.stderr
    assert os.listdir(here) == ["球.mp4"]


def test_two_runs_at_once_with_the_same_settings_and_output(command, here, own_cache):
    flags = ("--seed", 3, "--steps", 40, "-o", "clip.mp4", "--progress", "none")
    runs = [subprocess.Popen(command(*flags), **PIPES) for _ in range(2)]
    for process in runs:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "clip.mp4\n")
        # The one that starts last may find the other's clip.
        assert err == "" or (err.startswith("clip.mp4 is there already") and err.count("\n") == 1)
    assert os.listdir(here) == ["clip.mp4"]
    Clip.load("clip.mp4")
    assert kept_runs(own_cache) == []


def test_the_clip_is_the_same_in_another_process(command, make):
    flags = ("--seed", 4, "--progress", "none")
    make("-o", "here", *flags)
    subprocess.run(command("-o", "there", *flags), check=True, timeout=120, capture_output=True)
    assert np.array_equal(Clip.load("here").frames, Clip.load("there").frames)
