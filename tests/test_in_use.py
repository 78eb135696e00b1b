"""Files that a process is at: held from threads and other processes, and free once it is dead."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from mlxvid import in_use

HOLDING = """
import sys, time
from pathlib import Path
from mlxvid import in_use
hold = in_use.create(Path(sys.argv[1]), folder=sys.argv[2] == "folder")
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_another_process_s_is_taken_only_when_it_is_dead(tmp_path, kind):
    path = tmp_path / "it"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path), kind], stdout=subprocess.PIPE
    )
    process.stdout.readline()
    assert in_use.take(path) is None and not in_use.is_free(path)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    assert in_use.is_free(path)
    assert in_use.take(path) is not None


def test_threads_hold_files_from_each_other(tmp_path):
    hold = in_use.create(tmp_path / "it")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(in_use.take(tmp_path / "it")))
    thread.start()
    thread.join()
    assert seen == [None]
    hold.release()
    assert in_use.is_free(tmp_path / "it")


def test_a_hold_that_is_dropped_is_released(tmp_path):
    hold = in_use.create(tmp_path / "it")
    del hold
    gc.collect()
    assert in_use.is_free(tmp_path / "it")


def test_a_hold_goes_with_its_file_not_with_the_name(tmp_path):
    first = in_use.create(tmp_path / "new")
    os.replace(tmp_path / "new", tmp_path / "it")
    assert not in_use.is_free(tmp_path / "it")
    second = in_use.create(tmp_path / "new")
    os.replace(tmp_path / "new", tmp_path / "it")
    first.release()
    assert not in_use.is_free(tmp_path / "it")
    second.release()
    assert in_use.is_free(tmp_path / "it")


def test_what_is_not_there_can_not_be_taken_and_what_is_there_not_created(tmp_path):
    assert in_use.take(tmp_path / "none") is None
    (tmp_path / "it").touch()
    with pytest.raises(FileExistsError):
        in_use.create(tmp_path / "it")
