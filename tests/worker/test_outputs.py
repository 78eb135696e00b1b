"""What a worker's clips replace, what is stored in them, and what they were made from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip, read_settings

PROMPT = {"prompt": "a red ball", "frames": 5}


def paint(path, value: int) -> str:
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(path)
    return str(path)


@pytest.fixture
def ask(loaded):
    """Ask for a clip: the event that ends the job, and the notes before it."""

    def generate(output: str, settings: dict, **fields) -> tuple[dict, list[str]]:
        loaded.send(op="generate", id=1, output=output, settings={**PROMPT, **settings}, **fields)
        end = loaded.until("saved", "error", id=1)
        return end, [event["text"] for event in loaded.passed if event["event"] == "note"]

    return generate


def test_a_clip_that_is_there_is_replaced_with_a_note_or_kept(loaded, ask):
    assert ask("ball.mp4", {"seed": 1})[1] == []
    end, (note,) = ask("ball.mp4", {"seed": 2})
    assert end["event"] == "saved"
    for fact in ("ball.mp4", "replaced"):
        assert fact in note
    end, notes = ask("ball.mp4", {"seed": 3}, overwrite=False)
    assert (end["kind"], notes) == ("MediaError", [])
    for fact in ("ball.mp4", "there already"):
        assert fact in end["message"]
    assert read_settings(loaded.folder / "ball.mp4")["seed"] == 2
    assert ask("other.mp4", {"seed": 3}, overwrite=False)[0]["event"] == "saved"


def test_no_clip_replaces_its_own_picture(loaded, ask):
    first = paint(loaded.folder / "first.png", 90)
    end, _ = ask("first.png", {"image": first, "frames": 1})
    for fact in ("first.png", "`image`", "another name"):
        assert fact in end["message"]
    assert Image.open(first).size == (32, 32)
    assert loaded.files() == ["first.png"]


def test_settings_can_be_left_out(loaded, ask):
    end, _ = ask("ball.mp4", {}, metadata=False)
    assert end["settings"]["prompt"] == "a red ball"
    assert b"red ball" not in (loaded.folder / "ball.mp4").read_bytes()
    assert Clip.load(loaded.folder / "ball.mp4").settings == {}


def test_files_that_have_changed_since_are_named(loaded, ask):
    first = paint(loaded.folder / "first.png", 90)
    other = paint(loaded.folder / "other.png", 90)
    pictures = {"image": first, "keyframes": {"4": other}}
    digests = ask("one.mp4", pictures)[0]["settings"]["digests"]
    assert set(digests) == {first, other}
    assert ask("two.mp4", pictures, digests=digests)[1] == []
    paint(other, 200)
    (note,) = ask("three.mp4", pictures, digests=digests)[1]
    assert other in note
