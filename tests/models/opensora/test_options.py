"""What only Open-Sora can be given: scores, sizes by name, texts for the pieces of a long clip; and
that clips repeat.
"""

from __future__ import annotations

import io
import json
import os
import signal
from typing import Any

import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.generate import main
from mlxvid.media.clip import Clip
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.run.complete import complete
from mlxvid.worker import Worker
from tests.facts import facts

SMALL = {"width": 48, "height": 32, "steps": 2}


def noisy(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def request_of(pipe, prompt: str, frames: int = 17, **options: Any) -> Request:
    settings = {"prompt": prompt, "frames": frames, "options": options, **SMALL}
    return complete(pipe.model.card, settings)


@pytest.fixture
def run(folder, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder: (exit code, standard output, standard error)."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def command(*flags, model: str | None = str(folder)) -> tuple[int, str, str]:
        capsys.readouterr()
        chosen = ["--model", model] if model else []
        code = main([*chosen, *map(str, flags)])
        return code, *capsys.readouterr()

    yield command
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # main is made for a process of its own


# --- in Python -----------------------------------------------------------------------------------


def test_options_are_in_the_settings_and_change_the_clip(pipe):
    plain = pipe.generate("a star", seed=1, **SMALL)
    assert plain.settings["options"] == {"aesthetic": 6.5}
    options = {"aesthetic": 0, "motion_score": 2, "camera_motion": " pan left "}
    told = pipe.generate("a star", seed=1, options=options, **SMALL)
    expected = {"aesthetic": 0.0, "motion_score": 2.0, "camera_motion": "pan left"}
    assert told.settings["options"] == expected
    assert (told.frames != plain.frames).any()
    assert (pipe.generate("a star", seed=1, **SMALL).frames == plain.frames).all()


@pytest.mark.parametrize(
    ("prompt", "options", "words"),
    [
        ("a star", {}, "a star aesthetic score: 6.5."),
        ("a star", {"aesthetic": 0}, "a star"),
        (
            "a star",
            {"aesthetic": 0, "motion_score": 5, "camera_motion": "zoom in"},
            "a star motion score: 5.0. camera motion: zoom in.",
        ),
        ("a star. aesthetic score: 4.0.", {}, "a star. aesthetic score: 4.0."),
    ],
)
def test_what_the_text_encoder_reads(pipe, prompt, options, words):
    assert pipe.model.prompt(request_of(pipe, prompt, **options)) == words


def test_a_text_for_a_piece_that_the_clip_has_not(pipe):
    request = request_of(pipe, "|0|a ball|1|a star")
    with pytest.raises(SettingError, match=facts("`prompt`", "piece 1", "made in 1", "from 0")):
        pipe.model.prompt(request)


def test_texts_of_pieces_each_get_the_scores(pipe, short_pieces):
    request = request_of(pipe, "|0|a ball|1|a star", frames=51, aesthetic=5)
    prompt = pipe.model.prompt(request)
    assert prompt == "|0|a ball aesthetic score: 5.0.|1|a star aesthetic score: 5.0."
    encoded = pipe.model.encode_text(["", prompt], Watch(None, None))
    assert encoded["text"].shape[:2] == (2, 2)
    assert encoded["prompted"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aesthetic": 11}, ("`aesthetic`", 0, 10, "not 11")),
        ({"motion_score": "much"}, ("`motion_score`", 0, 100, "not 'much'")),
        ({"edit": float("nan")}, ("`edit`", 0, 1, "not nan")),
        ({"camera_motion": "  "}, ("`camera_motion`", "200 characters", "'  '")),
        ({"camera_motion": "pan\nleft"}, ("`camera_motion`", "200 characters", r"'pan\nleft'")),
        ({"zoom": 1}, ("'zoom'", "aesthetic, motion_score, camera_motion, edit")),
        ("aesthetic", ("`options`", "by name", "'aesthetic'")),
    ],
)
def test_wrong_options(pipe, options, words):
    with pytest.raises(SettingError, match=facts(*words)):
        pipe.generate("a star", options=options, **SMALL)


def test_a_model_that_does_not_take_them(tiny):
    for settings, words in [
        ({"options": {"aesthetic": 5}}, ("takes no", "`aesthetic`")),
        ({"extend": noisy(1, 20, 32, 32)}, ("takes no", "`extend`")),
        ({"resolution": "480p"}, ("no names", "`width`", "`height`", "`resolution`", "`aspect`")),
    ]:
        with pytest.raises(SettingError, match=facts(*words)):
            tiny.generate("a red ball", **settings)


def test_no_negative_prompt(pipe):
    with pytest.raises(SettingError, match=facts("takes no", "`negative_prompt`", "leave it out")):
        pipe.generate("a star", negative_prompt="ugly", **SMALL)


# --- on the command line -------------------------------------------------------------------------


def test_flags_travel_in_the_clip_and_are_repeated(run):
    size = "--resolution 144p --aspect 1:1 --frames 5 --steps 1 --seed 4".split()
    options = ["--aesthetic", "5", "--motion-score", "3", "--camera-motion", "pan left"]
    assert run("--prompt", "a star", *size, *options, "-o", "one.mp4")[0] == 0
    assert run("--from", "one.mp4", "-o", "two.mp4", model=None)[0] == 0
    one = Clip.load("one.mp4")
    two = Clip.load("two.mp4")
    assert one.settings == two.settings
    assert (one.frames == two.frames).all()
    expected = {"aesthetic": 5.0, "motion_score": 3.0, "camera_motion": "pan left"}
    assert one.settings["options"] == expected
    assert one.frames.shape == (5, 192, 192, 3)
    assert "resolution" not in one.settings


def test_flags_beside_from_win(run):
    size = "--resolution 144p --aspect 1:1 --frames 5 --steps 1".split()
    options = "--aesthetic 5 --motion-score 3".split()
    assert run("--prompt", "a star", *size, *options, "-o", "one.mp4")[0] == 0
    changes = "--aesthetic 0 --resolution 144p --aspect 16:9".split()
    assert run("--from", "one.mp4", *changes, "-o", "two.mp4", model=None)[0] == 0
    changed = Clip.load("two.mp4")
    assert changed.frames.shape == (5, 144, 256, 3)
    assert changed.settings["options"] == {"aesthetic": 0.0, "motion_score": 3.0}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--aesthetic", 20), ("--aesthetic", 0, 10, 20)),
        (
            ("--resolution", "480p", "--width", 64),
            ("--width", "--height", "--resolution", "--aspect", "not by both"),
        ),
        (("--aspect", "5:4"), ("aspect", "'5:4'", "width to height", "8:3", "16:9", "27:50")),
        (("--extend", "nothing.mp4"), ("here/nothing.mp4", "check the name")),
        (("--sampler", "heun"), ("--sampler", "'heun'", "euler")),
    ],
)
def test_mistakes_on_the_command_line(run, flags, words):
    code, out, err = run("--prompt", "a star", "--frames", 5, *flags, "-o", "clip.mp4")
    assert (code, out) == (2, "")
    *_, message = err.splitlines()
    position = 0
    for word in words:
        assert str(word) in message[position:], message
        position = message.index(str(word), position)
    assert "`" not in message
    assert os.listdir() == []


# --- in the worker -------------------------------------------------------------------------------


class Events(list):
    """A stream of JSON, an event a line."""

    def write(self, line: str) -> None:
        self.append(json.loads(line))

    def flush(self) -> None:
        pass


def test_the_worker_takes_options(folder, tmp_path):
    events = Events()
    worker = Worker(events)
    output = str(tmp_path / "clip.mp4")
    settings = {
        "prompt": "a star",
        "frames": 5,
        "seed": 1,
        "resolution": "144p",
        "aspect": "1:1",
        "steps": 1,
        "options": {"aesthetic": 5},
    }
    wrong = {**settings, "options": {"aesthetic": "high"}}
    requests = [
        {"op": "load", "id": 1, "model": str(folder)},
        {"op": "generate", "id": 2, "output": output, "settings": settings},
        {"op": "generate", "id": 3, "output": output, "settings": wrong},
    ]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    worker.listen(io.StringIO(lines))
    worker.run()
    by_kind = {event["event"]: event for event in events}
    assert by_kind["saved"]["settings"]["options"] == {"aesthetic": 5.0}
    assert Clip.load(output).frames.shape == (5, 192, 192, 3)
    assert {"aesthetic", "edit", "extend"} <= set(by_kind["loaded"]["takes"])
    message = events[-1]["message"]
    assert "aesthetic" in message and "0 to 10" in message and "'high'" in message
