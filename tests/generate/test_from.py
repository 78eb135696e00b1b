"""Clips that are made again from their own files."""

from __future__ import annotations

import os
from random import Random

import av
import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip, read_settings
from mlxvid.model.settings import SETTINGS


def frames_of(path: str) -> np.ndarray:
    return Clip.load(path).frames


def test_from_repeats_a_clip_bit_for_bit(make, again, here, picture):
    first = picture("first.png")
    pictures = ["--image", first, "--keyframe", f"4={first}"]
    shape = ["--width", 48, "--frames", 13, "--fps", 12]
    how = ["--steps", 2, "--guidance", 3.5, "--sampler", "heun", "--attention", "full"]
    make("-o", "one", "--negative-prompt", "a star", *pictures, *shape, *how, "--seed", 9)
    again("one", "-o", "two")
    assert np.array_equal(frames_of("one"), frames_of("two"))
    assert read_settings("one") == read_settings("two")
    for name in ("frame_0000.png", "frame_0012.png"):
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()


def test_how_a_model_was_loaded_is_repeated(make, again):
    make("-o", "one.mp4", "--seed", 9, "--dtype", "bfloat16", "--quantize", 8)
    again("one.mp4", "-o", "two.mp4")
    settings = read_settings("two.mp4")
    assert settings["dtype"] == "bfloat16"
    assert settings["quantize"] == 8
    assert np.array_equal(frames_of("one.mp4"), frames_of("two.mp4"))


def test_the_picture_is_found_again_from_another_folder(make, again, refused, here, monkeypatch):
    Image.new("RGB", (32, 32), (90, 90, 90)).save(here / "first.png")
    make("-o", "one.mp4", "--image", "first.png", "--seed", 1)
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    again("../one.mp4", "-o", "two.mp4")
    assert np.array_equal(frames_of("two.mp4"), frames_of("../one.mp4"))
    (here / "first.png").unlink()
    assert str(here / "first.png") in refused("--from", "../one.mp4", model=False)


# --- what has changed since ----------------------------------------------------------------------


def test_a_picture_that_has_changed_is_named(make, run, picture):
    first = picture("first.png")
    other = picture("other.png", 60)
    make("-o", "one.mp4", "--seed", 1, "--image", first, "--keyframe", f"4={other}")
    assert set(read_settings("one.mp4")["digests"]) == {first, other}
    again = ("--from", "one.mp4", "--progress", "none")
    assert run(*again, "-o", "two.mp4", model=False)[2] == ""
    picture("other.png", 200)
    *_, err = run(*again, "-o", "three.mp4", model=False)
    assert err.count("\n") == 1
    for fact in (other, "one.mp4", "changed"):
        assert fact in err
    code, _, err = run(*again, "-o", "four.mp4", "--keyframe", f"4={first}", model=False)
    assert (code, err) == (0, "")
    assert set(read_settings("four.mp4")["digests"]) == {first}


@pytest.mark.parametrize(
    ("flag", "place"), [("--image", "0"), ("--last-image", "8"), ("--keyframe", "4")]
)
def test_a_picture_that_is_gone_is_named_with_its_flag(
    make, refused, run, picture, tmp_path, flag, place
):
    first = picture("first.png")
    make("-o", "one.mp4", "--seed", 1, flag, f"4={first}" if flag == "--keyframe" else first)
    (tmp_path / "first.png").unlink()
    said = refused("--from", "one.mp4", "-o", "two.mp4", "--progress", "none", model=False)
    for fact in (first, "one.mp4", "gone", flag):
        assert fact in said
    other = picture("other.png", 60)
    given = f"4={other}" if flag == "--keyframe" else other
    flags = ("-o", "two.mp4", "--progress", "none", flag, given)
    assert run("--from", "one.mp4", *flags, model=False)[0] == 0
    assert read_settings("two.mp4")["keyframes"] == {place: other}


def test_clips_from_before_digests_are_repeated(make, run, picture):
    make("-o", "one.mp4", "--seed", 1, "--image", picture("first.png"))
    clip = Clip.load("one.mp4")
    del clip.settings["digests"]
    del clip.settings["mlxvid"]
    clip.save("old.mp4")
    picture("first.png", 200)
    flags = ("-o", "two.mp4", "--progress", "none")
    assert run("--from", "old.mp4", *flags, model=False) == (0, "two.mp4\n", "")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"mlxvid": "99.0"}, ("old.mp4", "mlxvid 99.0", "newer", "may differ")),
        ({"mlxvid": "0.0.9"}, ("old.mp4", "mlxvid 0.0.9", "may differ")),
        ({"mood": "good", "grain": 2}, ("old.mp4", "'mood', 'grain'", "leaves out")),
        ({"mlxvid": 5}, ()),
        ({"mlxvid": "dev"}, ()),
        ({"digests": ["first.png"]}, ()),
        ({"commit": "x" * 40}, ()),
    ],
)
def test_what_another_version_made(make, run, facts, said):
    make("-o", "one.mp4", "--seed", 1, "--frames", 5)
    clip = Clip.load("one.mp4")
    clip.settings.update(facts)
    clip.save("old.mp4")
    code, _, err = run("--from", "old.mp4", "-o", "two.mp4", "--progress", "none", model=False)
    assert code == 0
    assert err.count("\n") == bool(said)
    for fact in said:
        assert fact in err


def test_the_other_models_settings_are_put_aside(make, run, tiny_folder, tmp_path):
    other = tmp_path / "moved"
    other.symlink_to(tiny_folder)
    make("-o", "one.mp4", "--seed", 1, "--frames", 5, "--shift", 3, "--sampler", "heun")
    flags = ("-o", "two.mp4", "--progress", "none", "--model", "mini", "--steps", 1)
    assert run("--from", "one.mp4", *flags, model=False)[0] == 0
    made = read_settings("two.mp4")
    assert (made["model"], made["sampler"], made["shift"]) == ("mini", "euler", 1.5)
    assert (made["seed"], made["frames"], made["width"]) == (1, 5, 32)


# --- flags win -----------------------------------------------------------------------------------


@pytest.fixture
def with_pictures(make, picture) -> tuple[str, str]:
    """one.mp4, nine frames with the first of two pictures at both ends: the pictures' paths."""
    first = picture("first.png")
    other = picture("other.png", 200)
    make("-o", "one.mp4", "--seed", 9, "--image", first, "--last-image", first)
    return first, other


def test_numbers_that_are_given_win(with_pictures, again):
    again("one.mp4", "-o", "two.mp4", "--steps", 1, "--fps", 16)
    settings = read_settings("two.mp4")
    assert settings["steps"] == 1
    assert settings["fps"] == 16
    assert settings["seed"] == 9
    assert settings["frames"] == 9


def test_pictures_that_are_given_win(with_pictures, again):
    first, other = with_pictures
    again("one.mp4", "-o", "two.mp4", "--image", other)
    assert read_settings("two.mp4")["keyframes"] == {"0": other, "8": first}
    again("one.mp4", "-o", "three.mp4", "--last-image", other, "--keyframe", f"0={other}")
    assert read_settings("three.mp4")["keyframes"] == {"0": other, "8": other}


def test_the_last_picture_goes_to_the_end_of_a_longer_clip(with_pictures, again):
    first, other = with_pictures
    again("one.mp4", "-o", "two.mp4", "--seconds", 2, "--last-image", other)
    settings = read_settings("two.mp4")
    assert settings["frames"] == 17
    assert settings["keyframes"] == {"0": first, "16": other}


def test_a_picture_beyond_a_shorter_clip_is_refused(with_pictures, refused):
    said = refused("--from", "one.mp4", "--frames", 5, model=False)
    for fact in ("frame 8", "0 to 4", "--frames"):
        assert fact in said


# --- files that can't be repeated ----------------------------------------------------------------


def test_every_odd_setting_is_a_sentence_or_a_clip(run, tiny_folder):
    """500 changes to a clip's settings, from a fixed seed."""
    random = Random(17)
    frames = np.full((1, 8, 8, 3), 9, np.uint8)
    usual = {"prompt": "a ball", "model": str(tiny_folder), "frames": 1, "steps": 1}
    names = [*SETTINGS, "mlxvid", "digests", "commit", "latents", "mood"]
    values = ["", "x", "\0", "a\nb", 0, -1, 1, 5, 2**70, 1.5, 1e300, True, None, [], {}, ["x"]]
    values += [{"x": 1}, {"0": "x"}, {"0": 5}, [[]], [None], "/", ".", "9" * 300, [{}]]
    for _ in range(500):
        odd = {random.choice(names): random.choice(values) for _ in range(random.randint(1, 3))}
        Clip(frames, 8, {**usual, **odd}).save("odd.png")
        flags = ("-o", "new.png", "--progress", "none", "--model", tiny_folder)
        code, _, err = run("--from", "odd.png", *flags, model=False)
        assert code in (0, 2), odd
        assert "Traceback" not in err, odd
        assert code == 0 or err.splitlines()[-1].endswith((".", "?")), (odd, err)


def write_foreign(path: str) -> None:
    """A video that mlxvid did not make."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = 16
        stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_what_is_no_clip(refused, here):
    (here / "text.mp4").write_text("no clip at all")
    assert "text.mp4" in refused("--from", "text.mp4")
    assert "none.mp4" in refused("--from", "none.mp4")


def test_a_clip_that_mlxvid_did_not_make(refused):
    write_foreign("foreign.mp4")
    said = refused("--from", "foreign.mp4")
    assert "foreign.mp4" in said
    assert "settings" in said


def test_a_clip_without_a_prompt(refused):
    Clip(np.full((1, 8, 8, 3), 9, np.uint8), 8, {}).save("bare.mp4")
    assert "--prompt" in refused("--from", "bare.mp4")


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"seed": "7"}, ("odd.mp4", "--seed", '"7"')),
        ({"width": True}, ("odd.mp4", "--width", "true")),
        ({"prompt": 5}, ("odd.mp4", "--prompt", "5")),
        ({"loras": [5]}, ("odd.mp4", "--lora")),
        ({"keyframes": [1]}, ("odd.mp4", "--keyframe", "[1]")),
        ({"keyframes": {"x": "a.png"}}, ("--keyframe", "frame number")),
        ({"keyframes": {"0": 5}}, ("--keyframe", "frame number")),
        ({"frames": -9}, ("--frames", "from 1 to 100000", "-9")),
        ({"dtype": "int8"}, ("--dtype", "float32", "int8")),
        ({"latents": "given"}, ("odd.mp4", "arrays", "Python")),
        ({"keyframes": {"0": "a picture in memory"}}, ("odd.mp4", "arrays", "Python")),
        ({"model": "/gone/model"}, ("'/gone/model'", "odd.mp4", "--model", "--list-models")),
        ({"frames": 9, "keyframes": {"40": "odd.mp4"}}, ("frame 40", "--frames", "0 to 8")),
        ({"frames": 9, "image": "odd.mp4", "keyframes": {"0": "odd.mp4"}}, ("odd.mp4",)),
        ({"width": 64, "resolution": "480p"}, ("--width", "--resolution")),
        ({"width": 99999}, ("99999", "16384")),
        ({"fps": 0}, ("--fps", "0.1")),
        ({"seed": 2**70}, ("--seed", "2^63 - 1")),
        ({"steps": 0}, ("--steps", "from 1 to 1000")),
        ({"sampler": "ddim"}, ("--sampler", "ddim", "euler")),
        ({"options": {"mood": 1}}, ("'mood'",)),
        ({"options": []}, ("--options", "[]")),
        ({"quantize": 3}, ("--quantize", "3")),
        ({"extend": "before.mp4"}, ("before.mp4", "gone", "--extend")),
        ({"extend": "odd.mp4"}, ("--extend", "leave it out")),
        ({"loras": ["./style.safetensors@1"]}, ("style.safetensors", "gone", "--lora")),
    ],
)
def test_a_clip_with_odd_settings(refused, here, tiny_folder, settings, facts):
    usual = {"prompt": "a ball", "model": str(tiny_folder)}
    Clip(np.full((1, 8, 8, 3), 9, np.uint8), 8, {**usual, **settings}).save("odd.mp4")
    said = refused("--from", "odd.mp4", "--progress", "none", model=False)
    for fact in facts:
        assert fact in said
    assert os.listdir(here) == ["odd.mp4"]
