"""A family is one folder and one line: a copied one goes through every door of the package."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .copied_tree import copied_tree, run

PRELUDE = """
import json, os, sys
import numpy as np
import mlxvid
assert mlxvid.__file__.startswith(sys.path[1]) or os.environ["PYTHONPATH"] in mlxvid.__file__
SMALL = dict(width=64, height=48, frames=9, steps=3, seed=7)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return copied_tree(tmp_path_factory.mktemp("tree"))


@pytest.fixture
def python(tree, tmp_path):
    def call(code: str, *arguments: str) -> str:
        return run(tree, PRELUDE + code, *arguments, cache=tmp_path)

    return call


def test_it_loads_and_makes_the_clips_of_the_original(python):
    python("""
clip = mlxvid.load("copied-mini").generate("a red ball", **SMALL)
original = mlxvid.load("mini").generate("a red ball", **SMALL)
assert clip.settings["model"] == "copied-mini"
assert np.array_equal(clip.frames, original.frames)
""")


def test_it_is_planned_and_its_attention_measured(python):
    text = python("""
from mlxvid.plan import main
assert main(["--model", "copied-mini", "--growth", "--frames", "9"]) == 0
""")
    assert "copied-mini" in text and "full / factored" in text


def test_it_is_listed_and_generates_from_the_command_line(python, tmp_path):
    python("""
from mlxvid.generate import main
assert main(["--list-models"]) == 0
assert main(["--model", "copied-mini", "--prompt", "a red ball", "--steps", "2", "--frames", "9",
             "-o", "ball.mp4"]) == 0
""")
    assert (tmp_path / "ball.mp4").is_file()


def test_it_resumes(python):
    python("""
import threading
from mlxvid.run import checkpoint
checkpoint.CHECKPOINT_SECONDS = 0
pipe = mlxvid.load("copied-mini")
whole = pipe.generate("a red ball", **SMALL)
cancel = threading.Event()
def stop(progress):
    if progress.stage == "denoise" and progress.step == 2:
        cancel.set()
try:
    pipe.generate("a red ball", **SMALL, on_progress=stop, cancel=cancel)
    raise AssertionError("it was not cancelled")
except mlxvid.CancelledError:
    pass
steps = []
resumed = pipe.generate("a red ball", **SMALL, resume=True, on_progress=steps.append)
assert [p.step for p in steps if p.stage == "denoise"] == [2, 3]
assert np.array_equal(whole.frames, resumed.frames)
""")


def test_it_is_converted_and_quantized(python):
    python("""
from mlxvid.convert import convert
from mlxvid import catalog
source = catalog.find("copied-mini").folder
out = convert(source, "converted", "float32", quantize=4)
config = json.loads((out / "transformer" / "config.json").read_text())
assert config["quantization"]["bits"] == 4
pipe = mlxvid.load(str(out))
clip = pipe.generate("a red ball", **SMALL)
quantized = mlxvid.load("copied-mini", quantize=4).generate("a red ball", **SMALL)
assert np.abs(clip.frames.astype(int) - quantized.frames).max() <= 1
""")


def test_the_worker_makes_its_clips(tree, tmp_path):
    requests = [
        {"op": "load", "id": 1, "model": "copied-mini"},
        {
            "op": "generate",
            "id": 2,
            "output": str(tmp_path / "clip.mp4"),
            "settings": {"prompt": "a red ball", "steps": 2, "frames": 9, "seed": 1},
        },
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run(
        [sys.executable, "-m", "mlxvid.generate", "--worker"],
        input=lines,
        env={"PYTHONPATH": str(tree), "MLXVID_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] in ("loaded", "saved")] == [
        "loaded",
        "saved",
    ], done.stderr[-2000:]
    assert "keyframes" in next(e for e in events if e["event"] == "loaded")["takes"]


def test_the_window_lists_it(python):
    pytest.importorskip("PySide6")
    names = python("""
from PySide6.QtWidgets import QApplication
app = QApplication([])
from PySide6.QtCore import QSettings
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.preferences import Preferences
from mlxvid.model.machine import this_machine
choices = Choices(Preferences(QSettings("x.ini", QSettings.Format.IniFormat)), this_machine())
print(json.dumps([choices.at(row).name for row in range(choices.rowCount())]))
""")
    assert "copied-mini" in json.loads(names)
