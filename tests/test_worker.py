"""The worker in a process of its own, as a client meets it: jobs, cancelling, previews, and
whatever garbage a client may send.
"""

from __future__ import annotations

import base64
import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip
from mlxvid.worker import MAX_LINE, lines, parse


class Client:
    """Sends lines and reads events."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlxvid.generate", "--worker"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._events: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._events.put(
                json.loads(line)
            )  # whatever is no JSON fails the test: the events then end
        self._events.put(None)

    def send(self, **request) -> None:
        self.raw(json.dumps(request).encode() + b"\n")

    def raw(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def event(self) -> dict:
        event = self._events.get(timeout=60)
        assert event is not None, self.process.stderr.read().decode()
        return event

    def until(self, *names: str, **facts) -> dict:
        """The next event of one of these names with these facts; those before it are in `passed`."""
        self.passed = []
        while True:
            event = self.event()
            if event["event"] in names and facts.items() <= event.items():
                return event
            self.passed.append(event)

    def end(self, code: int = 0) -> list[dict]:
        """Close its input and wait: the events that still came, and nothing on standard error."""
        self.process.stdin.close()
        rest = list(iter(lambda: self._events.get(timeout=60), None))
        assert self.process.wait(timeout=60) == code
        assert self.process.stderr.read().decode() == ("" if code != 130 else "Stopped.\n")
        return rest


@pytest.fixture
def client(tmp_path, own_cache):
    (tmp_path / "here").mkdir()
    client = Client(tmp_path / "here")
    ready = client.event()
    assert ready.pop("machine")["total"] > 2**28 and ready == {
        "event": "ready",
        "mlxvid": "0.1.0",
        "protocol": 1,
    }
    yield client
    client.process.kill()
    client.process.wait()


@pytest.fixture
def loaded(client, tiny_folder):
    client.send(op="load", id="model", model=str(tiny_folder))
    event = client.until("loaded")
    assert (event["id"], event["model"]) == ("model", str(tiny_folder)) and event["defaults"][
        "frames"
    ] == 9
    assert event["samplers"] == ["euler", "heun"] and event["attention_modes"] == [
        "factored",
        "full",
        "spatial",
    ]
    assert "image" in event["capabilities"] and event["multiples"] == [16, 16]
    return client


def long_job(client, job, **settings) -> None:
    settings = {
        "prompt": "a red ball",
        "steps": 1000,
        "width": 64,
        "height": 64,
        "seed": 1,
        **settings,
    }
    client.send(op="generate", id=job, output=f"{job}.mp4", settings=settings)


def test_a_clip(loaded, tmp_path):
    loaded.send(
        op="generate",
        id=1,
        output="clip.mp4",
        settings={"prompt": "a purple ball", "seed": 3, "width": None},
    )
    saved = loaded.until("saved")
    assert (saved["id"], saved["path"], saved["seed"]) == (1, "clip.mp4", 3)
    clip = Clip.load(tmp_path / "here" / "clip.mp4")
    assert clip.settings == saved["settings"] and clip.frames.shape == (9, 32, 32, 3)
    assert {
        "event": "note",
        "text": "Not known to this model: purple. It knows balls and stars.",
    } in loaded.passed
    progress = [event for event in loaded.passed if event["event"] == "progress"]
    assert {event["id"] for event in progress} == {1} and not any(
        event["event"] == "preview" for event in loaded.passed
    )
    assert list(dict.fromkeys(event["stage"] for event in progress)) == [
        "encode",
        "denoise",
        "decode",
        "save",
    ]
    loaded.send(op="quit")
    assert loaded.end() == []


def test_pictures_by_frame_number(loaded, tmp_path):
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(tmp_path / "here" / "first.png")
    settings = {"prompt": "a ball", "image": "first.png", "keyframes": {"4": "first.png"}}
    loaded.send(op="generate", id=1, output="clip", settings=settings)
    path = str(tmp_path / "here" / "first.png")
    assert loaded.until("saved")["settings"]["keyframes"] == {"0": path, "4": path}
    loaded.send(
        op="generate", id=2, output="two", settings={**settings, "keyframes": {"0": "first.png"}}
    )
    assert (
        loaded.until("error")["message"]
        == "Two pictures are given for frame 0; leave one of them out."
    )


def test_previews(loaded):
    loaded.send(
        op="generate",
        id=1,
        output="clip.mp4",
        settings={"prompt": "a ball", "width": 512, "height": 16, "frames": 5},
        previews=True,
    )
    preview = loaded.until("preview")
    assert (
        preview["id"],
        preview["step"],
        preview["frames"],
        preview["width"],
        preview["height"],
    ) == (1, 1, 5, 256, 8)
    strip = Image.open(io.BytesIO(base64.b64decode(preview["png"])))
    assert strip.format == "PNG" and strip.size == (256, 40)
    loaded.until("saved")


def test_the_same_request_gives_the_same_clip(loaded, tmp_path):
    for name in ("one", "two"):
        loaded.send(
            op="generate", id=name, output=name, settings={"prompt": "a red ball", "seed": 3}
        )
    assert [loaded.until("saved")["id"], loaded.until("saved")["id"]] == ["one", "two"]
    assert np.array_equal(*(Clip.load(tmp_path / "here" / name).frames for name in ("one", "two")))


def test_cancelling_a_running_job_and_one_that_waits(loaded, tmp_path):
    long_job(loaded, "running")
    long_job(loaded, "waiting")
    loaded.send(op="generate", id="last", output="last.mp4", settings={"prompt": "a red ball"})
    loaded.until("progress", stage="denoise", step=2)
    loaded.send(op="cancel", id="waiting")
    loaded.send(op="cancel", id="running")
    assert loaded.until("cancelled") == {"event": "cancelled", "id": "running"}
    assert max((event["step"] for event in loaded.passed), default=2) < 900
    assert loaded.event() == {"event": "cancelled", "id": "waiting"}
    assert loaded.until("saved")["id"] == "last"
    loaded.send(op="cancel", id="running")
    assert loaded.event() == {"event": "note", "text": 'There is no job "running" to cancel.'}
    assert os.listdir(tmp_path / "here") == ["last.mp4"]


def test_cancelling_without_an_id_cancels_everything(loaded):
    for job in ("a", "b"):
        long_job(loaded, job)
    loaded.until("progress", stage="denoise", step=1)
    loaded.send(op="cancel")
    assert [loaded.until("cancelled")["id"] for _ in "ab"] == ["a", "b"]
    loaded.send(op="cancel")
    assert loaded.event() == {"event": "note", "text": "There is no job null to cancel."}


def test_an_id_may_be_used_again_after_it_was_cancelled(loaded):
    long_job(loaded, "job")
    loaded.send(op="cancel", id="job")
    loaded.until("cancelled", id="job")
    loaded.send(op="generate", id="job", output="clip.mp4", settings={"prompt": "a red ball"})
    assert loaded.until("saved", "cancelled")["event"] == "saved"


def test_quit_stops_what_runs_and_what_waits(loaded, tmp_path):
    for job in ("a", "b"):
        long_job(loaded, job)
    loaded.until("progress", stage="denoise", step=1)
    loaded.send(op="quit")
    loaded.send(op="generate", id="late", output="late.mp4", settings={"prompt": "a ball"})
    rest = loaded.end()
    assert [event["id"] for event in rest if event["event"] != "progress"] == ["a", "b"] and rest[
        -1
    ]["event"] == "cancelled"
    assert os.listdir(tmp_path / "here") == []


def test_the_end_of_input_lets_the_queue_finish(loaded, tmp_path):
    for job in ("a", "b"):
        long_job(loaded, job, steps=2, width=32, height=32)
    loaded.raw(
        b'{"op": "generate", "id": "c", "output": "c.mp4", "settings": {"prompt": "a ball"}}'
    )  # a last line without its end
    assert [event["id"] for event in loaded.end() if event["event"] == "saved"] == ["a", "b", "c"]
    assert sorted(os.listdir(tmp_path / "here")) == ["a.mp4", "b.mp4", "c.mp4"]


NO_JSON = f"This line is no JSON, or is longer than {MAX_LINE} characters: "
NO_OP = 'A request is an object with an "op" among: load, generate, cancel, quit.'
GARBAGE = [
    (b"hello", NO_JSON + "'hello'."),
    (b'{"op": "generate", "id": 1', NO_JSON + '\'{"op": "generate", "id": 1\'.'),
    (b"[" * 50_000, "This line's JSON is nested too deeply."),
    (b"\xff\xfe\x00", NO_JSON + "'\ufffd\ufffd\\x00'."),
    (
        b'{"op": "load", "model": "' + b"x" * (2 * MAX_LINE) + b'"}',
        NO_JSON + '\'{"op": "load", "model": "' + "x" * 35 + "'.",
    ),
    (b"5", NO_OP),
    (b"[]", NO_OP),
    (b"null", NO_OP),
    (b"{}", NO_OP),
    (b'{"op": "dance"}', NO_OP),
    (b'{"op": ["load"]}', NO_OP),
    (b'{"op": "generate", "settings": []}', '"settings" is an object of settings.'),
    (b'{"op": "generate", "settings": null}', '"settings" is an object of settings.'),
    (b'{"op": "cancel", "id": {}}', '"id" is a string or a whole number.'),
    (b'{"op": "cancel", "id": true}', '"id" is a string or a whole number.'),
    (b'{"op": "cancel", "id": 1.5}', '"id" is a string or a whole number.'),
    (b'{"seed": ' + b"9" * 5000 + b"}", None),
]


def test_garbage_is_answered_and_nothing_else_happens(loaded):
    for line, message in GARBAGE:
        loaded.raw(line + b"\n")
        event = loaded.event()
        assert (event["event"], event["id"], event["kind"]) == ("error", None, "SettingError")
        assert message is None or event["message"] == message
    loaded.raw(b"\n  \n\r\n")  # blank lines are nothing
    loaded.send(op="generate", id=1, output="clip.mp4", settings={"prompt": "a red ball"})
    assert loaded.until("saved", "error")["event"] == "saved"
    assert loaded.end() == []


NO_OUTPUT = 'A generate request needs "output" (a path) and settings with a "prompt".'
BALL = {"prompt": "a ball"}
BAD_JOBS = [
    ({}, NO_OUTPUT),
    ({"output": "clip.mp4"}, NO_OUTPUT),
    ({"output": "clip.mp4", "settings": {"prompt": None}}, NO_OUTPUT),
    ({"output": 5, "settings": BALL}, NO_OUTPUT),
    (
        {"output": "clip.mp4", "settings": {"prompt": ["a ball"]}},
        'The settings give prompt as ["a ball"], which no clip can have.',
    ),
    (
        {"output": "clip.mp4", "settings": {"prompt": "\ud800"}},
        "The prompt must be text (in UTF-8, where it comes from a terminal or file).",
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "width": "wide"}},
        'The settings give width as "wide", which no clip can have.',
    ),
    (
        {"output": "clip.png", "settings": {**BALL, "frames": "x"}},
        'The settings give frames as "x", which no clip can have.',
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "steps": True}},
        "The settings give steps as true, which no clip can have.",
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "guidance": float("nan")}},
        "Guidance must be a number from 0 to 100, not nan.",
    ),
    ({"output": "clip.mp4", "settings": {**BALL, "fps": 10**400}}, None),
    (
        {"output": "clip.mp4", "settings": {**BALL, "seed": -1}},
        "A seed is a whole number from 0 to 2^63 - 1, not -1.",
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "image": 5}},
        "The settings give image as 5, which no clip can have.",
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "keyframes": []}},
        "The settings give keyframes as [], which no clip can have.",
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "keyframes": {"9" * 5000: "a.png"}}},
        'Keyframes are paths by frame number, as in {"16": "middle.png"}.',
    ),
    (
        {"output": "clip.mp4", "settings": {**BALL, "mood": "good"}},
        "There is no setting 'mood'; there are: prompt, negative_prompt, width, height, frames, fps, steps, guidance, seed, sampler, "
        "attention, shift, image, last_image, keyframes, extend, join, resolution, aspect, options.",
    ),
    ({"output": "clip.avi", "settings": BALL}, None),
    ({"output": "a\0b.mp4", "settings": BALL}, None),
    (
        {"output": "clip.png", "settings": BALL},
        "One .png holds one picture and this clip has 9 frames: end the name in .mp4, .gif or .webm, or in / for a folder of pictures.",
    ),
]


def test_bad_jobs_are_errors_of_one_sentence(loaded, tmp_path):
    for number, (request, message) in enumerate(BAD_JOBS):
        loaded.send(op="generate", id=number, **request)
        event = loaded.until("error", "saved")
        assert event["event"] == "error" and event["id"] == number, request
        assert "\n" not in event["message"] and event["message"].endswith(".")
        assert message is None or event["message"] == message
    loaded.send(op="load", id="a", model=5)
    assert loaded.event()["message"] == "The requests give model as 5, which no clip can have."
    loaded.send(op="load", id="b", model="minni")
    event = loaded.event()
    assert (event["kind"], event["id"]) == (
        "ModelNotFoundError",
        "b",
    ) and "did you mean mini?" in event["message"]
    # The model that was asked for, or none: never the one before.
    loaded.send(op="generate", id="c", output="clip.mp4", settings=BALL)
    assert loaded.event()["message"] == event["message"]
    assert os.listdir(tmp_path / "here") == [] and loaded.end() == []


def test_latents_of_a_broken_result_are_named(client, tiny_folder, tmp_path):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    path = broken / "vae" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(path))
    mx.eval(weights)
    mx.save_safetensors(
        str(path),
        {**weights, "decoder.up.bias": mx.full(weights["decoder.up.bias"].shape, float("nan"))},
    )
    client.send(op="load", model=str(broken))
    client.send(op="generate", id=1, output="clip.mp4", settings=BALL)
    event = client.until("error")
    assert (
        event["kind"] == "DegenerateClipError"
        and os.path.isfile(event["latents"])
        and event["latents"] in event["message"]
    )


def test_a_client_that_goes_away_ends_the_worker(tiny_folder, tmp_path):
    """Only its reading end closes: the worker notices by itself, its input still open, and finishes
    nothing.
    """
    worker = subprocess.Popen(
        [sys.executable, "-m", "mlxvid.generate", "--worker"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    load = {"op": "load", "model": str(tiny_folder)}
    generate = {
        "op": "generate",
        "output": "gone.mp4",
        "settings": {"prompt": "a ball", "steps": 1000},
    }
    worker.stdin.write(f"{json.dumps(load)}\n{json.dumps(generate)}\n")
    worker.stdin.flush()
    while json.loads(worker.stdout.readline()).get("stage") != "denoise":
        pass
    worker.stdout.close()
    assert (worker.wait(timeout=60), worker.stderr.read()) == (141, "")
    worker.stdin.close()
    assert not (tmp_path / "gone.mp4").exists()


def test_garbage_from_a_client_that_does_not_listen_ends_the_worker(tmp_path):
    worker = subprocess.Popen(
        [sys.executable, "-m", "mlxvid.generate", "--worker"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    worker.stdout.readline()
    worker.stdout.close()
    worker.stdin.write("garbage\n")
    worker.stdin.flush()
    assert (worker.wait(timeout=60), worker.stderr.read()) == (141, "")
    worker.stdin.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_worker_within_a_step(loaded, tmp_path, number):
    long_job(loaded, "job")
    loaded.until("progress", stage="denoise", step=1)
    loaded.process.send_signal(number)
    start = time.monotonic()
    assert loaded.process.wait(timeout=30) == 130, time.monotonic() - start
    assert (
        loaded.process.stderr.read().startswith(b"Stopped; ")
        and os.listdir(tmp_path / "here") == []
    )


def test_lines_that_are_too_long_are_read_in_one_piece():
    text = (
        "a\n"
        + "b" * (3 * MAX_LINE)
        + "\n \nc\n"
        + "d" * (MAX_LINE - 1)
        + "\n"
        + "e" * (2 * MAX_LINE)
    )
    assert [(line[0], len(line)) for line in lines(io.StringIO(text))] == [
        ("a", 2),
        ("b", MAX_LINE),
        ("c", 2),
        ("d", MAX_LINE),
        ("e", MAX_LINE),
    ]


def test_parse_takes_requests_as_they_are():
    assert parse('{"op": "cancel", "id": "x", "more": 1}') == {"op": "cancel", "id": "x", "more": 1}
