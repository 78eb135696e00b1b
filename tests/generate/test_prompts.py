"""Several clips of one command: of the prompts in a file, and where one of them fails."""

from __future__ import annotations

import io
import json
import os
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import DegenerateClipError
from mlxvid.media.clip import Clip, read_settings
from mlxvid.run import checks

QUICK = ("--progress", "none", "--frames", 5, "--steps", 1)


@pytest.fixture
def prompts(here) -> str:
    (here / "prompts.txt").write_text("a red ball\n# not this\na blue star\n", encoding="utf-8")
    return "prompts.txt"


def stdin(monkeypatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_a_clip_for_each_prompt_with_the_same_seeds(run, make, prompts):
    code, out, err = run("--prompt-file", prompts, "--count", 2, "--seed", 5, *QUICK)
    names = ["a-red-ball-1.mp4", "a-red-ball-2.mp4", "a-blue-star-1.mp4", "a-blue-star-2.mp4"]
    assert (code, out.split()) == (0, names)
    made = [read_settings(name) for name in names]
    assert [settings["seed"] for settings in made] == [5, 6, 5, 6]
    assert [settings["prompt"] for settings in made] == [*2 * ["a red ball"], *2 * ["a blue star"]]
    assert [line for line in err.splitlines() if "3 of 4" in line] == ["Clip 3 of 4: a blue star"]
    make("--prompt", "a blue star", "-o", "one.mp4", "--seed", 6, *QUICK)
    assert np.array_equal(Clip.load("one.mp4").frames, Clip.load(names[3]).frames)


def test_the_model_is_loaded_once(run, prompts):
    flags = ("--frames", 1, "--progress", "json", "-o", "x.png")
    code, out, _ = run("--prompt-file", prompts, *flags)
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [event["event"] for event in events].count("load") == 1
    assert [event["path"] for event in events if event["event"] == "saved"] == [
        "x-1.png",
        "x-2.png",
    ]


def test_prompts_from_standard_input(run, here, monkeypatch):
    stdin(monkeypatch, "a green ball\na red star\n")
    assert run("--prompt-file", "-", *QUICK)[1] == "a-green-ball.mp4\na-red-star.mp4\n"
    stdin(monkeypatch, "a blue ball\n")
    assert run("--prompt", "-", *QUICK)[1] == "a-blue-ball.mp4\n"


def test_prompts_stand_in_for_that_of_a_clip(run, make, prompts):
    make("-o", "one.mp4", "--seed", 7, *QUICK)
    code, out, _ = run("--from", "one.mp4", "--prompt-file", prompts, *QUICK, model=False)
    assert (code, out) == (0, "a-red-ball.mp4\na-blue-star.mp4\n")
    assert read_settings("a-blue-star.mp4")["seed"] == 7


@pytest.mark.parametrize(
    ("flags", "facts"),
    [
        (["--prompt-file", "none.txt"], ("none.txt", "No such file", "a prompt a line")),
        (["--prompt-file", "prompts.txt", "--prompt", "x"], ("--prompt-file", "--prompt")),
        (["--prompt-file", "prompts.txt", "--count", "501"], ("--count", "1000")),
        (["--resume", "--prompt-file", "prompts.txt"], ("--resume", "--prompt-file")),
        (["--worker", "--prompt-file", "prompts.txt"], ("--worker", "no other flag")),
    ],
)
def test_what_can_not_be_asked_for(refused, prompts, here, flags, facts):
    said = refused(*flags)
    for fact in facts:
        assert fact in said
    assert os.listdir(here) == [prompts]


@pytest.fixture
def one_breaks(monkeypatch):
    """Have the latents of the second clip come out broken."""
    real = checks.check_latents
    clips = []

    def check(latents: mx.array, where: str) -> None:
        clips.append(where)
        if len(clips) == 2:
            raise DegenerateClipError("The latents are not finite.")
        real(latents, where)

    monkeypatch.setattr(checks, "check_latents", check)


@pytest.mark.parametrize("how", ["prompts", "count"])
def test_a_clip_that_fails_does_not_cost_the_others(run, here, one_breaks, how):
    (here / "three.txt").write_text("a ball\na star\na red ball\n", encoding="utf-8")
    which = {
        "prompts": ["--prompt-file", "three.txt", "-o", "x.mp4"],
        "count": ["--prompt", "a ball", "--count", 3, "-o", "x.mp4"],
    }
    code, out, err = run(*which[how], *QUICK)
    assert (code, out) == (2, "x-1.mp4\nx-3.mp4\n")
    assert "Clip 2 of 3 failed. The latents are not finite" in err
    last = err.splitlines()[-1]
    for fact in ("3 clips", "failed: 2;"):
        assert fact in last


def test_one_clip_that_fails_is_said_once(refused, one_breaks, here):
    said = refused("--prompt", "a ball", "--steps", 3, "--progress", "none")
    assert "not finite" in said
    assert "failed" not in said
    assert os.listdir(here) == []
