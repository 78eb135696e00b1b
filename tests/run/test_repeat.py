"""What stands in a clip's settings of what it was made from, and what is said of it later."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlxvid.media.clip import Clip
from mlxvid.run.repeat import changes, digests_of, note_commit
from mlxvid.run.sources import digest, digest_of_pixels

QUICK = {"frames": 5, "steps": 1, "seed": 1}


def pixels(value: int) -> np.ndarray:
    return np.full((32, 32, 3), value, np.uint8)


def test_pictures_in_memory_have_a_digest_of_their_pixels(tiny):
    array = pixels(90)
    clip = tiny.generate("a ball", image=array, last_image=Image.fromarray(pixels(9)), **QUICK)
    assert clip.settings["digests"] == {
        "frame 0": digest_of_pixels(array),
        "frame 4": digest_of_pixels(pixels(9)),
    }


def test_files_have_a_digest_of_their_bytes(tiny, tmp_path):
    path = tmp_path / "first.png"
    Image.fromarray(pixels(90)).save(path)
    clip = tiny.generate("a ball", image=path, keyframes={4: pixels(9)}, **QUICK)
    assert clip.settings["digests"] == {
        str(path): digest(path),
        "frame 4": digest_of_pixels(pixels(9)),
    }
    assert "digests" not in tiny.generate("a ball", **QUICK).settings


def test_the_clip_is_saved_with_them(tiny, tmp_path):
    path = tmp_path / "first.png"
    Image.fromarray(pixels(90)).save(path)
    made = tiny.generate("a ball", image=path, **QUICK)
    settings = Clip.load(made.save(tmp_path / "clip.webm")).settings
    assert list(changes(settings, settings, "clip.webm")) == []
    path.write_bytes(b"another")
    (note,) = changes(settings, settings, "clip.webm")
    assert str(path) in note


@pytest.mark.parametrize("odd", [None, [], "x", 5, {"a.png": 5}, {"a.png": None}])
def test_odd_digests_are_none(odd):
    assert digests_of(odd) == {}


LOADED = {"model": "owner/name", "revision": None, "commit": "b" * 40}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"model": "owner/name", "commit": "a" * 40}, True),
        ({"model": "owner/name", "commit": "b" * 40}, False),
        ({"model": "owner/name"}, False),
        ({"model": "owner/other", "commit": "a" * 40}, False),
        ({}, False),
    ],
)
def test_another_commit_of_the_model_is_named(caplog, made, said):
    note_commit(LOADED, made, "one.mp4")
    assert bool(caplog.messages) == said
    for fact in ("one.mp4", "owner/name", "a" * 12, "b" * 12, "`revision` " + "a" * 40):
        assert not said or fact in caplog.text
