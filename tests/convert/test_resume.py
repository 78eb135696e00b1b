"""Interrupted conversions: nothing half-written, finished files kept, other jobs' files not."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import mlx.core as mx
import pytest

import mlxvid
from mlxvid.convert import convert

from .contents import assert_states, bytes_in, dtypes_in

SHARD_BYTES = 20_000  # a few files for each network of the tiny model

KILLED = """
import os, signal, sys
from mlxvid.convert import convert
calls, at = 0, int(sys.argv[3])
def counted(function):
    def call(*arguments):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)
    return call
os.fsync, os.replace = counted(os.fsync), counted(os.replace)
convert(sys.argv[1], sys.argv[2], "float16", shard_bytes=20_000)
"""


def convert_until_killed(source: Path, out: Path, at: int) -> None:
    """Convert in a process that is killed before its `at`-th step.

    The steps are, for each file: it is flushed, gets its name, is recorded; then the folder moves.
    """
    command = [sys.executable, "-c", KILLED, source, out, str(at)]
    done = subprocess.run(command, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL


def resumed(caplog) -> list[str]:
    """What was logged of files that an earlier run had finished."""
    return [message for message in caplog.messages if "earlier conversion" in message]


@pytest.mark.parametrize(
    "moment", ["before the first file", "in the middle", "between the old model and the new"]
)
def test_killed_it_leaves_nothing_and_resumes_when_run_again(moment, tiny_folder, tmp_path, caplog):
    whole = convert(tiny_folder, tmp_path / "whole", "float16", shard_bytes=SHARD_BYTES)
    out = tmp_path / "out"
    work = tmp_path / ".converting-out"
    files = len(list(whole.rglob("*.safetensors")))
    at, finished_files = {
        "before the first file": (1, 0),
        "in the middle": (8, 2),
        "between the old model and the new": (3 * files + 2, files),
    }[moment]
    replaces = moment == "between the old model and the new"
    if replaces:
        convert(tiny_folder, out, "float32")
    convert_until_killed(tiny_folder, out, at)
    assert not out.exists() and work.is_dir()
    finished = set()
    for path in work.rglob("*.safetensors"):
        if "old" not in path.parts:
            finished.add((path.name, path.stat().st_ino, path.stat().st_mtime_ns))
    assert len(finished) == finished_files

    if replaces:
        shutil.copytree(tiny_folder, out)  # as if another had been put there in the meantime
    caplog.set_level("INFO", "mlxvid")
    convert(tiny_folder, out, "float16", shard_bytes=SHARD_BYTES)
    assert bytes_in(out) == bytes_in(whole) and not work.exists()
    kept = set()
    for path in out.rglob("*.safetensors"):
        kept.add((path.name, path.stat().st_ino, path.stat().st_mtime_ns))
    assert finished <= kept
    if finished:
        (message,) = resumed(caplog)
        assert f"{finished_files} of {files}" in message
    else:
        assert not resumed(caplog)


def stop_after(files: int):
    """A progress callback that interrupts, as Ctrl-C does, once `files` files are finished."""
    reports = []

    def on_progress(progress):
        reports.append(progress)
        if len(reports) == files + 1:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.parametrize("change", ["source", "options"])
def test_the_files_of_another_conversion_are_not_used(change, tiny_folder, tmp_path, caplog):
    source = shutil.copytree(tiny_folder, tmp_path / "source")
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        convert(source, out, "float16", shard_bytes=SHARD_BYTES, on_progress=stop_after(3))
    assert len(list(tmp_path.glob(".converting-out/model/*/*.safetensors"))) == 3
    if change == "source":
        file = next((source / "vae").glob("*.safetensors"))
        os.utime(file, ns=(time.time_ns(), time.time_ns()))
    dtype = "float16" if change == "source" else "float32"
    caplog.set_level("INFO", "mlxvid")
    convert(source, out, dtype, shard_bytes=SHARD_BYTES)
    assert not resumed(caplog)
    assert dtypes_in(out / "text_encoder") == {getattr(mx, dtype)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_stopped_before_a_file_is_finished_nothing_stays(tiny_folder, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        convert(tiny_folder, tmp_path / "out", on_progress=stop_after(0))
    assert not any(tmp_path.iterdir())
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(mlxvid.CancelledError, match="nothing was written"):
        convert(tiny_folder, tmp_path / "out", cancel=cancelled)
    assert not any(tmp_path.iterdir())


def test_two_conversions_do_not_mix(tiny_folder, tmp_path):
    (tmp_path / ".converting-out").mkdir()
    with open(tmp_path / ".converting-out" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(mlxvid.MediaError) as error:
            convert(tiny_folder, tmp_path / "out")
        assert_states(error.value, "Another conversion", f"{tmp_path / 'out'}", "another folder")
    assert convert(tiny_folder, tmp_path / "out").is_dir()
