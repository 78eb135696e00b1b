"""How a worker ends: when it is told to, when its client goes away, and on a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from subprocess import PIPE

import pytest

from .client import COMMAND, PIPES, SECONDS


def test_quit_stops_what_runs_and_what_waits(loaded):
    loaded.generate_for_long("a")
    loaded.generate_for_long("b")
    loaded.until("progress", stage="denoise", step=1)
    loaded.send(op="quit")
    loaded.generate("late", "late.mp4")
    rest = loaded.end()
    assert [event["id"] for event in rest if event["event"] != "progress"] == ["a", "b"]
    assert rest[-1]["event"] == "cancelled"
    assert loaded.files() == []


def test_the_end_of_input_lets_the_queue_finish(loaded):
    for job in ("a", "b"):
        loaded.generate_for_long(job, steps=2, width=32, height=32)
    last = {"op": "generate", "id": "c", "output": "c.mp4", "settings": {"prompt": "a ball"}}
    loaded.raw(json.dumps(last).encode())  # a last line without its end
    assert [event["id"] for event in loaded.end() if event["event"] == "saved"] == ["a", "b", "c"]
    assert loaded.files() == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_client_that_goes_away_ends_the_worker(tiny_folder, tmp_path):
    """Only its reading end closes: the worker notices by itself, its input still open, and finishes
    nothing.
    """
    worker = subprocess.Popen(COMMAND, cwd=tmp_path, text=True, **PIPES)
    settings = {"prompt": "a ball", "steps": 1000}
    for request in (
        {"op": "load", "model": str(tiny_folder)},
        {"op": "generate", "output": "gone.mp4", "settings": settings},
    ):
        worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.flush()
    while json.loads(worker.stdout.readline()).get("stage") != "denoise":
        pass
    worker.stdout.close()
    assert worker.wait(timeout=SECONDS) == 141
    assert worker.stderr.read() == ""
    worker.stdin.close()
    assert not (tmp_path / "gone.mp4").exists()


def test_garbage_from_a_client_that_does_not_listen_ends_the_worker(tmp_path):
    worker = subprocess.Popen(COMMAND, cwd=tmp_path, text=True, **PIPES)
    worker.stdout.readline()
    worker.stdout.close()
    worker.stdin.write("garbage\n")
    worker.stdin.flush()
    assert worker.wait(timeout=SECONDS) == 141
    assert worker.stderr.read() == ""
    worker.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_worker_within_a_step(loaded, number):
    loaded.generate_for_long("job")
    loaded.until("progress", stage="denoise", step=1)
    loaded.process.send_signal(number)
    start = time.monotonic()
    assert loaded.process.wait(timeout=30) == 128 + number, time.monotonic() - start
    assert loaded.process.stderr.read().startswith(b"Stopped; ")
    assert loaded.files() == []


def test_the_latents_of_a_job_that_a_signal_ends_are_named(loaded):
    loaded.generate("job", "job.mp4", steps=3, frames=801, width=64, height=64)
    loaded.until("progress", stage="save", step=0)
    loaded.process.send_signal(signal.SIGHUP)
    end = loaded.until("cancelled")
    assert end["id"] == "job" and os.path.exists(end["latents"])
    assert loaded.process.wait(timeout=SECONDS) == 129
    assert loaded.files() == []


def test_quitting_while_the_clip_is_saved_loses_nothing(loaded, own_cache):
    loaded.generate("job", "job.mp4", steps=3, frames=801, width=64, height=64)
    loaded.until("progress", stage="save", step=0)
    loaded.send(op="quit")
    end = loaded.until("cancelled")
    assert os.listdir(own_cache / "latents") == [os.path.basename(end["latents"])]
    assert loaded.end() == []


def test_events_that_can_not_be_written_end_the_worker(tmp_path):
    with open("/dev/full", "w") as full:
        worker = subprocess.run(COMMAND, stdin=subprocess.DEVNULL, stdout=full, stderr=PIPE)
    assert (worker.returncode, worker.stderr) == (141, b"")
