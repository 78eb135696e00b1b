"""What clips are made from: found in settings, digested, compared, and never replaced."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import MediaError
from mlxvid.media.clip import Clip
from mlxvid.run.sources import (
    DIGEST,
    Source,
    changed_sources,
    digest,
    digest_of_pixels,
    digests,
    require_apart,
    require_sources,
    sources,
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def frames(value: int, count: int = 3) -> np.ndarray:
    return np.full((count, 16, 16, 3), value, np.uint8)


def test_every_file_is_found_under_the_setting_that_names_it(here):
    (here / "style.safetensors").touch()
    settings = {
        "prompt": "first.png",
        "model": "mini",
        "frames": 9,
        "keyframes": {"0": "a.png", "4": "~/b.png", 8: "c.png"},
        "extend": "before.mp4",
        "join": "/after",
        "loras": [
            "style.safetensors@0.5",
            "owner/name",
            "owner/name:file.safetensors@2",
            "/gone@1",
        ],
    }
    assert list(sources(settings)) == [
        Source("image", f"{here}/a.png"),
        Source("keyframes", os.path.expanduser("~/b.png")),
        Source("last_image", f"{here}/c.png"),
        Source("extend", f"{here}/before.mp4"),
        Source("join", "/after"),
        Source("loras", f"{here}/style.safetensors"),
        Source("loras", "/gone"),
    ]
    assert list(sources({"prompt": "x", "keyframes": {}})) == []


def test_a_lora_in_a_folder(here):
    for name in (
        "one/a.safetensors",
        "two/a.safetensors",
        "two/b.safetensors",
        "odd@2/x@1",
        "one/._a.safetensors",
    ):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    loras = ["one", "two@0.5", "two:b.safetensors", "two:b.safetensors@1", "odd@2/x@1"]
    assert [source.path.removeprefix(f"{here}/") for source in sources({"loras": loras})] == [
        "one/a.safetensors",
        "two",
        "two/b.safetensors",
        "two/b.safetensors",
        "odd@2/x@1",
    ]


def test_a_digest_is_of_what_is_read(here):
    (here / "a.png").write_bytes(b"one")
    (here / "b.png").write_bytes(b"one")
    assert digest("a.png") == digest("b.png")
    assert len(digest("a.png")) == DIGEST
    (here / "b.png").write_bytes(b"two")
    assert digest("a.png") != digest("b.png")
    Clip(frames(1), 8, {}).save("clip")
    before = digest("clip")
    (here / "clip" / ".DS_Store").touch()
    (here / "clip" / "notes.txt").touch()
    assert digest("clip") == before
    os.rename("clip/frame_0002.png", "clip/frame_0003.png")
    renamed = digest("clip")
    Image.fromarray(frames(9)[0]).save("clip/frame_0003.png")
    assert len({before, renamed, digest("clip")}) == 3
    assert digests(["a.png", "none.png"]) == {"a.png": digest("a.png")}


def test_a_pipe_in_the_place_of_a_picture_is_not_read(here):
    (here / "a.png").write_bytes(b"a picture")
    known = digests([str(here / "a.png")])
    os.remove("a.png")
    os.mkfifo("a.png")
    assert changed_sources({"image": "a.png"}, known, "one.mp4") == []
    assert digests([str(here / "a.png"), "/dev/zero"]) == {}


def test_a_digest_of_pixels_is_of_their_size_too():
    assert digest_of_pixels(frames(1)) == digest_of_pixels(frames(1))
    assert digest_of_pixels(frames(1)) != digest_of_pixels(frames(2))
    assert digest_of_pixels(frames(1)) != digest_of_pixels(frames(1).reshape(1, 48, 16, 3))


def test_what_has_changed_is_named_once_and_new_files_are_not(here):
    for name in ("a.png", "b.png", "new.png"):
        (here / name).write_text(name)
    made = {"keyframes": {"0": f"{here}/a.png", "4": f"{here}/a.png"}, "extend": f"{here}/b.png"}
    known = digests([f"{here}/a.png", f"{here}/b.png"])
    assert changed_sources(made, known, "one.mp4") == []
    (here / "a.png").write_text("other")
    (note,) = changed_sources({**made, "join": "new.png"}, known, "one.mp4")
    for fact in (f"{here}/a.png", "one.mp4", "changed"):
        assert fact in note
    assert changed_sources(made, {}, "one.mp4") == []  # made before there were digests


def test_what_is_gone_is_named_with_its_setting(here):
    made = {"frames": 9, "keyframes": {"8": f"{here}/a.png"}, "loras": [f"{here}/style@0.5"]}
    with pytest.raises(MediaError, match=r"a\.png, which one\.mp4 .* gone: .* `last_image`"):
        require_sources(made, made, "one.mp4")
    with pytest.raises(MediaError, match=r"style, which .* gone: .* `loras`"):
        require_sources({**made, "keyframes": {}}, made, "one.mp4")
    require_sources({"image": "new.png"}, made, "one.mp4")  # reading it says that it isn't there


# --- no clip in their place ----------------------------------------------------------------------


@pytest.fixture
def made_from(here) -> list[Source]:
    """A picture, a clip, a folder of frames, and names that lead to them."""
    Image.new("RGB", (16, 16)).save("a.png")
    Clip(frames(1), 8, {}).save("clip.mp4")
    Clip(frames(1), 8, {}).save("frames")
    (here / "deep" / "er").mkdir(parents=True)
    Image.new("RGB", (16, 16)).save("deep/er/b.png")
    os.symlink("a.png", "link.png")
    os.link("clip.mp4", "hard.mp4")
    os.symlink("frames", "same")
    os.symlink(".", "round")
    names = ("a.png", "clip.mp4", "frames", "deep/er/b.png")
    return [Source("image", f"{here}/{name}") for name in names]


@pytest.mark.parametrize(
    "target",
    [
        *("a.png", "./a.png", "link.png", "round/a.png", "{here}/a.png"),
        *("clip.mp4", "hard.mp4", "frames", "frames/", "same/", "frames/frame_0001.png"),
        *("frames/new.png", "same/new.PNG", "deep/", "deep/er"),
    ],
)
def test_no_clip_is_saved_over_what_it_is_made_from(here, made_from, target):
    name = target.replace("{here}", str(here))
    with pytest.raises(MediaError, match=r"`image`.*another name"):
        require_apart(name, made_from)


@pytest.mark.parametrize(
    "target",
    ["b.png", "a.mp4", "other/", "frames-1/", "deep/er/c.png", "frames/new.mp4", "nul\0.mp4"],
)
def test_a_clip_beside_its_sources(made_from, target):
    require_apart(target, made_from)
