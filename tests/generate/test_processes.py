"""The command in processes of its own: signals, a full disk, a reader that goes away."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mlxvid.media.clip import Clip

PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


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


def test_a_reader_that_goes_away_costs_no_clip(command, here):
    process = subprocess.Popen(command("-o", "clip.mp4", "--progress", "json"), **PIPES)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141
    assert os.listdir(here) == ["clip.mp4"]


def test_the_clip_is_the_same_in_another_process(command, make):
    flags = ("--seed", 4, "--progress", "none")
    make("-o", "here", *flags)
    subprocess.run(command("-o", "there", *flags), check=True, timeout=120, capture_output=True)
    assert np.array_equal(Clip.load("here").frames, Clip.load("there").frames)
