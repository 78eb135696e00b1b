"""A GPU that fails underway: the run goes on by itself in smaller pieces, or says what helps.

A stub raises what MLX raises, at a given call of the network or of the decoder.
"""

from __future__ import annotations

import io
import json
import logging

import numpy as np
import pytest

import mlxvid
from mlxvid.errors import DoesNotFitError, GpuError
from mlxvid.generate import main
from mlxvid.layers import bounds
from mlxvid.metal_errors import MEMORY, OTHER, RELAXED, VICTIM, WATCHDOG, metal_error
from mlxvid.run import checkpoint
from mlxvid.worker import serve

from .resuming import saved_runs

FAILED = "[METAL] Command buffer execution failed: "
CODE = "kIOGPUCommandBufferCallbackError"
WORDS = [
    (f"{FAILED}Impacting Interactivity (0000000e:{CODE}ImpactingInteractivity).", WATCHDOG),
    (f"{FAILED}Caused GPU Timeout Error (00000002:{CODE}Timeout)", WATCHDOG),
    (f"{FAILED}Insufficient Memory (00000008:{CODE}OutOfMemory)", MEMORY),
    ("[metal::malloc] Attempting to allocate 99 bytes which is greater than the maximum", MEMORY),
    (f"{FAILED}Discarded (victim of GPU error/recovery) (00000005:{CODE}InnocentVictim)", VICTIM),
    (f"{FAILED}Internal Error (0000000e:Internal Error)", OTHER),
    (f"libc++abi: terminating due to uncaught exception: {FAILED}{CODE}PageFault", OTHER),
    ("[metal::Device] Unable to load kernel", OTHER),
    ("There is no Stream(gpu, 1) in current thread.", None),
    ("GPU Timeout of a clip called so", None),
]


@pytest.mark.parametrize(("words", "kind"), WORDS)
def test_each_kind_is_told_by_its_words(words, kind):
    assert metal_error(words) is kind
    assert metal_error(words.upper()) is kind


def test_the_watchdogs_remedies_are_named():
    for fact in ("display sleep", "smaller", f"{RELAXED}=1"):
        assert fact in WATCHDOG.remedy


class Gpu:
    """Fails at some of the calls of a model's method."""

    def __init__(self, monkeypatch, model: type, method: str):
        self.calls = 0
        self.at: set[int] = set()
        self.words = WORDS[0][0]
        self.shares: list[float] = []
        original = getattr(model, method)

        def called(*args):
            self.calls += 1
            self.shares.append(bounds.share())
            if self.calls in self.at:
                raise RuntimeError(self.words)
            return original(*args)

        monkeypatch.setattr(model, method, called)


@pytest.fixture
def kept(monkeypatch):
    """Every step is in the checkpoint."""
    monkeypatch.setattr(checkpoint, "CHECKPOINT_SECONDS", 0)


SETTINGS = {"seed": 1, "steps": 6}


@pytest.mark.parametrize("words", [WORDS[0][0], WORDS[1][0], WORDS[4][0], WORDS[5][0]])
@pytest.mark.parametrize("at", [{1}, {3}, {6}, {2, 5}, {4, 5}])
def test_a_run_goes_on_in_smaller_pieces(tiny, monkeypatch, caplog, words, at):
    caplog.set_level(logging.WARNING, "mlxvid")
    whole = tiny.generate("a red ball", **SETTINGS).frames
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.words = words
    gpu.at = at
    clip = tiny.generate("a red ball", **SETTINGS)
    assert np.array_equal(clip.frames, whole)
    assert gpu.calls == SETTINGS["steps"] + len(at)  # no good step is made again
    assert gpu.shares[-1] == 0.5 ** len(at)
    assert len(caplog.messages) == len(at)
    assert all("smaller pieces" in message for message in caplog.messages)
    assert bounds.share() == 1


@pytest.mark.parametrize("method", ["encode_text", "decode"])
def test_encoding_and_decoding_go_on_as_well(tiny, monkeypatch, method):
    whole = tiny.generate("a red ball", **SETTINGS).frames
    gpu = Gpu(monkeypatch, type(tiny.model), method)
    gpu.at = {1}
    assert np.array_equal(tiny.generate("a red ball", **SETTINGS).frames, whole)
    assert gpu.shares == [1, 0.5]


def test_frames_are_handed_out_once(tiny, monkeypatch):
    """A decoder that fails after its first chunk."""
    settings = {**SETTINGS, "frames": 33, "steps": 1}
    whole = tiny.generate("a red ball", **settings).frames
    decode = type(tiny.model).decode
    failed: list[int] = []

    def fail_once(*args):
        for number, pixels in enumerate(decode(*args)):
            if number and not failed:
                failed.append(number)
                raise RuntimeError(WORDS[0][0])
            yield pixels

    monkeypatch.setattr(type(tiny.model), "decode", fail_once)
    parts: list[np.ndarray] = []
    clip = tiny.generate("a red ball", on_frames=parts.append, **settings)
    assert failed
    assert np.array_equal(clip.frames, whole)
    assert np.array_equal(np.concatenate(parts), whole)


def test_the_third_failure_says_what_helps_and_keeps_the_checkpoint(tiny, monkeypatch, kept):
    whole = tiny.generate("a red ball", **SETTINGS).frames
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.at = {3, 4, 5}
    with pytest.raises(GpuError) as caught:
        tiny.generate("a red ball", **SETTINGS)
    for fact in ("display", f"{RELAXED}=1", "`resume`"):
        assert fact in str(caught.value)
    assert gpu.calls == 5
    gpu.calls = 10
    clip = tiny.generate("a red ball", resume=True, **SETTINGS)
    assert gpu.calls == 14
    assert np.array_equal(clip.frames, whole)


def test_memory_that_runs_out_is_not_tried_again(tiny, monkeypatch):
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.words = WORDS[2][0]
    gpu.at = {1}
    with pytest.raises(DoesNotFitError):
        tiny.generate("a red ball", **SETTINGS)
    assert gpu.calls == 1


def test_what_is_none_of_metals_stays_what_it_is(tiny, monkeypatch):
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.words = "shapes (2,3) and (4,5) cannot be broadcast"
    gpu.at = {1}
    with pytest.raises(RuntimeError, match="broadcast"):
        tiny.generate("a red ball", **SETTINGS)
    assert gpu.calls == 1


# --- the doors -----------------------------------------------------------------------------------


def test_the_command_says_it_in_one_line(tiny, monkeypatch, kept, tmp_path, capsys):
    words = ["--model", tiny.name, "--prompt", "a red ball", "--steps", "6", "--seed", "1"]
    words += ["--progress", "none", "-o", str(tmp_path / "clip.mp4")]
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.at = {3, 4, 5}
    assert main(words) == 2
    *notes, message = capsys.readouterr().err.splitlines()
    assert sum("smaller pieces" in note for note in notes) == 2
    assert f"{RELAXED}=1" in message
    assert "--resume" in message
    assert not (tmp_path / "clip.mp4").exists()
    assert len(saved_runs()) == 1
    assert main(["--resume", "--progress", "none", "-o", str(tmp_path / "clip.mp4")]) == 0
    assert (tmp_path / "clip.mp4").is_file()


def test_the_worker_does_its_next_job(tiny, monkeypatch, kept, tmp_path):
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    gpu.at = {3, 4, 5}
    requests: list[dict] = [{"op": "load", "model": tiny.name}]
    for number in (1, 2):
        output = str(tmp_path / f"{number}.mp4")
        settings = {"prompt": "a red ball", **SETTINGS}
        requests.append({"op": "generate", "id": number, "output": output, "settings": settings})
    events = io.StringIO()
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    assert serve(io.StringIO(lines), events) == 0
    said = [json.loads(line) for line in events.getvalue().splitlines()]
    ends = [(event["event"], event["id"]) for event in said if event["event"] in ("error", "saved")]
    assert ends == [("error", 1), ("saved", 2)]
    (error,) = [event for event in said if event["event"] == "error"]
    assert error["kind"] == "GpuError"
    notes = [event["id"] for event in said if event["event"] == "note"]
    assert notes == [1, 1, 2]  # the second one is told of the first, which could be resumed


def test_the_worker_is_told_to_begin_in_smaller_pieces(tiny, monkeypatch, tmp_path):
    gpu = Gpu(monkeypatch, type(tiny.model), "predict")
    made = {"prompt": "a red ball", "seed": 1, "steps": 1}
    requests = [
        {"op": "load", "model": tiny.name},
        {"op": "generate", "output": str(tmp_path / "a"), "settings": made, "smaller_pieces": True},
        {"op": "generate", "output": str(tmp_path / "b"), "settings": made},
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    assert serve(io.StringIO(lines), io.StringIO()) == 0
    assert gpu.shares == [0.5, 1]


def test_the_class_is_public():
    assert issubclass(mlxvid.GpuError, mlxvid.MlxvidError)
