"""Every mistake is one sentence on standard error, and nothing is left behind."""

from __future__ import annotations

import os
import shutil

import mlx.core as mx
import pytest

from mlxvid.catalog import CATALOG
from mlxvid.media.clip import read_settings
from mlxvid.model.machine import Machine

HELP = "python -m mlxvid.generate --help lists the flags."
PROMPT = ["--prompt", "x"]
WHAT = ("What should the clip show?", "--prompt", "--from")
BAD_FLAGS = {
    "nothing": ([], WHAT),
    "empty": (["--prompt", " "], WHAT),
    "unknown": (["--promt", "x"], ("--promt", "did you mean --prompt?", HELP)),
    "stray": (["--prompt", "a", "red", "ball"], ("'red'", "quotes", HELP)),
    "no value": (["--prompt"], ("--prompt", "expected one argument", HELP)),
    "width": ([*PROMPT, "--width", "0"], ("--width", "from 1 to 16384", "'0'", HELP)),
    "height": ([*PROMPT, "--height", "1e3"], ("--height", "from 1 to 16384", "'1e3'", HELP)),
    "frames": ([*PROMPT, "--frames", "-1"], ("--frames", "from 1 to 100000", "'-1'", HELP)),
    "seconds": ([*PROMPT, "--seconds", "nan"], ("--seconds", "above 0", "'nan'", HELP)),
    "both": ([*PROMPT, "--seconds", "1", "--frames", "9"], ("--seconds", "--frames", "not")),
    "both sizes": (
        [*PROMPT, "--resolution", "480p", "--width", "96"],
        ("--resolution", "--width", "not by both"),
    ),
    "no names": ([*PROMPT, "--resolution", "480p"], ("--resolution", "--width", "no names")),
    "fps": ([*PROMPT, "--fps", "2000"], ("--fps", "from 0.1 to 1000", "'2000'", HELP)),
    "steps": ([*PROMPT, "--steps", "0"], ("--steps", "from 1 to 1000", "'0'", HELP)),
    "many steps": ([*PROMPT, "--steps", "1001"], ("--steps", "from 1 to 1000", "'1001'", HELP)),
    "guidance": ([*PROMPT, "--guidance", "-1"], ("--guidance", "from 0 to 100", "'-1'", HELP)),
    "seed": ([*PROMPT, "--seed", "-1"], ("--seed", "2^63 - 1", "'-1'", HELP)),
    "sampler": ([*PROMPT, "--sampler", "dpm"], ("--sampler", "'dpm'", "euler", "heun")),
    "attention": (
        [*PROMPT, "--attention", "all"],
        ("--attention", "'all'", "factored", "full", "spatial"),
    ),
    "quantize": ([*PROMPT, "--quantize", "3"], ("--quantize", "3", "4", "8", HELP)),
    "dtype": ([*PROMPT, "--dtype", "int8"], ("--dtype", "int8", "float32", "bfloat16", HELP)),
    "count": ([*PROMPT, "--count", "1001"], ("--count", "1000")),
    "last seed": (
        [*PROMPT, "--count", "2", "--seed", str(2**63 - 1)],
        ("--count", "2^63 - 1", "seed"),
    ),
    "keyframe": ([*PROMPT, "--keyframe", "first.png"], ("--keyframe", "FILE@FRAME", HELP)),
    "keyframes": (
        [*PROMPT, "--keyframe", "4=a", "--keyframe", "4=b"],
        ("Two pictures", "frame 4"),
    ),
    "keyframe beyond": ([*PROMPT, "--keyframe", "9=a"], ("frame 9", "--frames", "0 to 8")),
    "worker": (["--worker"], ("--worker", "no other flag", "standard input")),
    "no format": ([*PROMPT, "-o", "clip.avi"], ("clip.avi", ".avi", ".mp4", ".png", "folder")),
    "no name": ([*PROMPT, "-o", ""], ("''", "clip.mp4")),
    "only an ending": ([*PROMPT, "-o", ".mp4", "--count", "2"], (".mp4", "nothing before")),
    "standard output": ([*PROMPT, "-o", "-"], ("standard output", "clip.mp4")),
    "this folder": ([*PROMPT, "-o", ".", "--count", "2"], ("'.'", "clip.mp4")),
    "a file and a folder": ([*PROMPT, "-o", "clip.mp4/"], ("clip.mp4/", "folder", ".mp4")),
    "a pattern": ([*PROMPT, "-o", "%03d.mp4", "--count", "2"], ("%03d", "numbered")),
    "a long name": ([*PROMPT, "-o", "x" * 252 + ".mp4"], ("name too long", "another name")),
    "a name that numbers make too long": (
        [*PROMPT, "-o", "x" * 250 + ".mp4", "--count", "2"],
        ("-1.mp4", "name too long"),
    ),
    "nul": ([*PROMPT, "-o", "nul\0.mp4"], ("another name",)),
    "no image": ([*PROMPT, "--image", "none.png"], ("{here}/none.png",)),
    "no model": (
        [*PROMPT, "--model=minni"],
        ("'minni'", "did you mean mini?", "--list-models"),
    ),
    "a picture of 9 frames": (
        [*PROMPT, "-o", "clip.png"],
        (".png", "9 frames", ".mp4", ".gif", ".webm", "folder"),
    ),
    "no folder": ([*PROMPT, "-o", "nowhere/clip.mp4"], ("{here}/nowhere", "clip.mp4")),
    "not text": (["--prompt", "a \udcff"], ("--prompt", "UTF-8")),
    "far too long": ([*PROMPT, "--seconds", "1e9"], ("--frames", "100000", "8000000000")),
    "an option of others": ([*PROMPT, "--extend", "clip.mp4"], ("--extend", "leave it out")),
    "a model's name too long": ([*PROMPT, "--model", "x" * 5000], ("no model", "--list-models")),
    "a clip's name too long": (["--from", "x" * 5000], ("xxx", "File name too long")),
    "a LoRA": ([*PROMPT, "--lora", "style.safetensors"], ("LoRA",)),
    "two ways back": (["--from", "a", "--resume"], ("--resume", "--from", HELP)),
    "settings for a run": (["--resume", "--steps", "4"], ("--resume", "--model", "--steps")),
    "a preset of others": ([*PROMPT, "--preset", "draft"], ("--preset draft", "leave it out")),
    "a preset of none": ([*PROMPT, "--preset", "slow"], ("--preset", "slow", HELP)),
}


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_every_bad_flag_is_one_sentence_and_leaves_nothing(refused, here, name):
    flags, facts = BAD_FLAGS[name]
    said = refused(*flags, "--progress", "none")
    for fact in facts:
        assert fact.replace("{here}", str(here)) in said
    assert os.listdir(here) == []


@pytest.fixture
def files(here, run, picture) -> list[str]:
    """A picture, a clip made from it, and other names for the two."""
    shutil.copy(picture("a.png"), "a.png")
    flags = ("--frames", 1, "--steps", 1, "--progress", "none")
    assert run(*PROMPT, "--image", "a.png", "-o", "one.mp4", *flags)[0] == 0
    os.symlink("a.png", "link.png")
    os.link("one.mp4", "hard.mp4")
    return sorted(os.listdir(here))


@pytest.mark.parametrize(
    ("flags", "facts"),
    [
        (["--from", "one.mp4", "-o", "one.mp4"], ("one.mp4", "--from")),
        (["--from", "one.mp4", "-o", "hard.mp4"], ("hard.mp4", "one.mp4", "--from")),
        (["--from", "one.mp4", "-o", "a.png"], ("a.png", "--image")),
        (["--from", "one.mp4", "-o", "./link.png"], ("./link.png", "a.png", "--image")),
        ([*PROMPT, "--image", "a.png", "-o", "link.png", "--frames", "1"], ("a.png", "--image")),
        ([*PROMPT, "--keyframe", "4=a.png", "-o", "a.png"], ("a.png", "--keyframe")),
        ([*PROMPT, "--extend", "one.mp4", "-o", "one.mp4"], ("one.mp4", "--extend")),
        ([*PROMPT, "--join", "hard.mp4", "-o", "one.mp4"], ("one.mp4", "--join")),
    ],
)
def test_no_clip_replaces_what_it_is_made_from(
    refused, files, here, tiny_folder, monkeypatch, flags, facts
):
    before = {name: (here / name).read_bytes() for name in files}
    monkeypatch.setattr("mlxvid.load", lambda **_: pytest.fail("loaded"), raising=False)
    said = refused(*flags, "--progress", "none", model="--from" not in flags)
    for fact in (*facts, "another name"):
        assert fact in said
    assert {name: (here / name).read_bytes() for name in files} == before


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "frames/"])
def test_what_is_there_is_replaced_with_a_note_or_kept(run, refused, here, name):
    flags = (*PROMPT, "-o", name, "--frames", 5, "--steps", 1, "--progress", "none")
    assert "replaced" not in run(*flags, "--seed", 1)[2]
    said = refused(*flags, "--seed", 2, "--no-overwrite")
    for fact in (name.rstrip("/"), "there already", "another name"):
        assert fact in said
    assert read_settings(name)["seed"] == 1
    code, _, err = run(*flags, "--seed", 3)
    (note,) = [line for line in err.splitlines() if "replaced" in line]
    assert (code, note.split()[0]) == (0, name)
    assert read_settings(name)["seed"] == 3
    assert os.listdir(here) == [name.rstrip("/")]


def test_settings_that_are_left_out_can_not_be_repeated(run, refused, here):
    flags = ("--frames", 1, "--steps", 1, "--progress", "none", "--no-metadata")
    assert run("--prompt", "a secret", "-o", "clip.mp4", *flags)[0] == 0
    assert b"secret" not in (here / "clip.mp4").read_bytes()
    said = refused("--from", "clip.mp4", model=False)
    for fact in ("clip.mp4", "no mlxvid settings", "without them"):
        assert fact in said


def test_an_unknown_kind_of_progress(refused):
    said = refused(*PROMPT, "--progress", "xml")
    for fact in ("--progress", "xml", "bar", "json", "none", HELP):
        assert fact in said


# --- before anything is loaded -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "frames"),
    [
        ([], CATALOG["mini"].defaults.frames),
        (["--model", "MINI", "--seconds", "1"], 16),
    ],
)
def test_a_picture_of_many_frames_is_refused_before_anything_is_loaded(
    refused, monkeypatch, flags, frames
):
    monkeypatch.setattr("mlxvid.load", lambda **_: pytest.fail("loaded"), raising=False)
    said = refused(*PROMPT, "-o", "clip.png", *flags, model=False)
    assert f"{frames} frames" in said


def test_a_clip_that_can_not_fit_is_refused_before_anything_is_loaded(refused, here, monkeypatch):
    monkeypatch.setattr("mlxvid.load", lambda **_: pytest.fail("loaded"), raising=False)
    size = ("--width", 16384, "--height", 16384, "--frames", 99997)
    said = refused(*PROMPT, *size, model=False)
    for fact in ("mini", "GiB", "99,997 frames at 16384x16384", "what fits"):
        assert fact in said
    assert os.listdir(here) == []


def test_force_begins_even_so(refused, run, here, monkeypatch):
    small = Machine("a small one", 2**20, 2**19, metal=False)
    monkeypatch.setattr("mlxvid.run.planning.this_machine", lambda: small)
    flags = (*PROMPT, "--seed", 1, "-o", "clip.mp4", "--progress", "none")
    assert "0.5 MiB" in refused(*flags)
    assert os.listdir(here) == []
    assert run(*flags, "--force")[0] == 0
    assert os.listdir(here) == ["clip.mp4"]


# --- after it ------------------------------------------------------------------------------------


def test_a_broken_result_is_an_error_that_says_where_the_latents_are(
    refused, here, tiny_folder, tmp_path, own_cache
):
    broken = shutil.copytree(tiny_folder, tmp_path / "broken")
    path = broken / "transformer" / "diffusion_pytorch_model.safetensors"
    weights = mx.load(str(path))
    mx.eval(weights)
    mx.save_safetensors(str(path), {**weights, "proj_out.bias": mx.full((16,), float("nan"))})
    flags = ("--model", broken, "-o", "clip.mp4", "--progress", "none")
    said = refused("--prompt", "a ball", *flags, model=False)
    (kept,) = (own_cache / "latents").iterdir()
    for fact in ("not finite", "step 1 of 3", "--dtype float32", "--guidance", str(kept)):
        assert fact in said
    assert os.listdir(here) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(refused, here):
    here.chmod(0o555)
    try:
        assert "Permission denied" in refused(*PROMPT, "-o", "clip.mp4")
    finally:
        here.chmod(0o755)


def test_a_folder_that_nobody_can_write_to(refused):
    said = refused(*PROMPT, "-o", "/proc/clip.mp4")
    assert "can't be written" in said
    assert "/proc" in said
