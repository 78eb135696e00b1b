"""From a prompt to a file: what is written, what is printed, and several clips at once."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from mlxvid import models
from mlxvid.cli.asked import say_preset
from mlxvid.generate import parser, settings_of
from mlxvid.media.clip import Clip, read_settings
from mlxvid.model.settings import loading


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "clip.webm", "clip.mov", "clip", "clip/"])
def test_prompt_to_file(run, here, name):
    code, out, err = run("--prompt", "a red ball", "-o", name, "--seed", 3)
    assert (code, out) == (0, f"{name}\n")
    assert "seed 3, " in err
    assert "denoise" in err
    assert os.listdir(here) == [name.rstrip("/")]
    clip = Clip.load(name)
    assert clip.frames.shape == (9, 32, 32, 3)
    assert clip.fps == 8
    assert clip.settings["seed"] == 3


def test_one_picture(make):
    make("-o", "ball.png", "--frames", 1)
    assert Image.open("ball.png").size == (32, 32)


# --- what is printed -----------------------------------------------------------------------------


def test_json_is_all_there_is_on_standard_output(run):
    flags = ("-o", "clip.mp4", "--progress", "json", "--width", 40, "--seed", 3)
    code, out, err = run("--prompt", "a purple ball", *flags)
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    told = [event for event in events if event["event"] != "progress"]
    assert [event["event"] for event in told] == ["load", "note", "note", "saved"]
    _, size, word, saved = told
    for fact in ("40x32 is rounded to 32x32", "multiples of 16"):
        assert fact in size["text"]
    assert "purple" in word["text"]
    assert (saved["path"], saved["seed"]) == ("clip.mp4", 3)
    assert saved["settings"] == read_settings("clip.mp4")


def test_progress_goes_through_the_stages(run):
    _, out, _ = run("--prompt", "a red ball", "-o", "clip.mp4", "--progress", "json")
    events = [json.loads(line) for line in out.splitlines()]
    progress = [event for event in events if event["event"] == "progress"]
    stages = dict.fromkeys(event["stage"] for event in progress)
    assert list(stages) == ["encode", "denoise", "decode", "save"]
    assert progress[-1]["step"] == progress[-1]["total"] == 9
    facts = {"event", "stage", "step", "total", "fraction", "elapsed", "remaining"}
    assert progress[-1].keys() == facts


def test_quiet_prints_the_path_and_notes(run):
    flags = ("-o", "clip.mp4", "--progress", "none", "--frames", 6)
    code, out, err = run("--prompt", "a red ball", *flags)
    assert (code, out) == (0, "clip.mp4\n")
    assert err.count("\n") == 1
    assert "6 frames are rounded to 5" in err


def test_what_a_format_changes_is_said(run):
    flags = ("-o", "clip.gif", "--progress", "none", "--fps", 30)
    code, _, err = run("--prompt", "a red ball", *flags)
    assert code == 0
    assert "GIF" in err
    assert "10 ms" in err


def test_notes_name_flags(run):
    flags = ("-o", "clip.mp4", "--progress", "none", "--frames", 1)
    *_, err = run("--prompt", "x", "--negative-prompt", "a star", "--guidance", 1, *flags)
    assert "--guidance" in err
    assert "`" not in err


def test_list_models(run):
    code, out, err = run("--list-models", model=False)
    assert (code, err) == (0, "")
    assert out.startswith("mini ")


# --- several clips -------------------------------------------------------------------------------


def test_names_after_the_prompt_replace_nothing(make, here):
    for _ in range(3):
        make("--frames", 1)
    assert sorted(os.listdir(here)) == ["a-red-ball-1.mp4", "a-red-ball-2.mp4", "a-red-ball.mp4"]


def test_several_names_after_the_prompt_replace_nothing(run):
    flags = ("--progress", "none", "--frames", 1, "--count", 2)
    assert run("--prompt", "紅い球", *flags)[1] == "紅い球-1.mp4\n紅い球-2.mp4\n"
    assert run("--prompt", "紅い球", *flags)[1] == "紅い球-1-1.mp4\n紅い球-1-2.mp4\n"


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("clip.mp4", ["clip-1.mp4", "clip-2.mp4"]),
        ("clip", ["clip-1", "clip-2"]),
        ("v1.0/", ["v1.0-1", "v1.0-2"]),
    ],
)
def test_count_makes_several_with_the_seeds_that_follow(make, here, output, names):
    out = make("-o", output, "--count", 2, "--seed", 5, "--frames", 5)
    assert [line.rstrip("/") for line in out.splitlines()] == names
    assert sorted(os.listdir(here)) == names
    assert [read_settings(name)["seed"] for name in names] == [5, 6]


def test_the_second_of_several_is_the_clip_of_its_seed(make):
    make("-o", "clip.mp4", "--count", 2, "--seed", 5, "--frames", 5)
    make("-o", "one.mp4", "--seed", 6, "--frames", 5)
    assert np.array_equal(Clip.load("one.mp4").frames, Clip.load("clip-2.mp4").frames)


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "frames"),
    [
        (["--seconds", 1], 9),
        (["--seconds", 1, "--fps", 16], 17),
        (["--seconds", 0.01], 1),
    ],
)
def test_seconds_count_at_the_models_rate_or_the_given_one(make, flags, frames):
    make("-o", "clip.mp4", "--steps", 1, *flags)
    assert read_settings("clip.mp4")["frames"] == frames


def settings(*flags: str) -> dict:
    """What is made with these flags."""
    return settings_of(parser().parse_args(["--prompt", "x", *flags]))[1]


@pytest.mark.parametrize("name", models.presets())
def test_a_preset_is_its_settings_and_flags_win(name):
    preset = models.presets()[name]
    made = {key: value for key, value in preset.items() if key not in loading()}
    plain = settings()
    assert settings("--preset", name) == {**plain, **made}
    assert settings("--preset", name, "--steps", "6") == {**plain, **made, "steps": 6}
    loaded = settings_of(parser().parse_args(["--prompt", "x", "--preset", name]))[0]
    assert loaded == {key: value for key, value in preset.items() if key in loading()}


def test_a_preset_says_what_it_sets_and_flags_do_not(caplog):
    caplog.set_level("INFO", "mlxvid")
    name, values = next(item for item in models.presets().items() if "sampler" in item[1])
    say_preset(name, settings("--preset", name, "--steps", "6"))
    (said,) = [message for message in caplog.messages if name in message]
    assert f"`sampler` {values['sampler']}" in said and "`steps`" not in said


def test_options_of_a_preset_stay_beside_those_that_are_given():
    presets = models.presets().items()
    name, values = next(preset for preset in presets if "options" in preset[1])
    own = next(iter(values["options"]))
    other = next(o for o in models.options().values() if o.kind == "number" and o.name != own)
    made = settings("--preset", name, f"--{other.dashed}", str(other.low))
    assert made["options"] == {**values["options"], other.name: other.low}


def test_options_of_single_families_are_options():
    option = next(option for option in models.options().values() if option.kind == "number")
    made = settings(f"--{option.dashed}", str(option.low))
    assert made["options"] == {option.name: option.low}
    assert "options" not in settings()
