"""Pictures and clips that are given for frames: where they stand, and how strongly."""

from __future__ import annotations

import dataclasses
import logging

import numpy as np
import pytest
from PIL import Image

from mlxvid.catalog import CATALOG
from mlxvid.errors import MediaError, SettingError
from mlxvid.media.clip import Clip
from mlxvid.model.card import ABILITIES
from mlxvid.model.geometry import Geometry
from mlxvid.run.complete import complete
from tests.facts import facts
from tests.media.moving import moving

PLAIN = CATALOG["mini"]
WHOLE = dataclasses.replace(PLAIN, takes=PLAIN.takes | ABILITIES)
SMALL = {"prompt": "a ball", "width": 32, "height": 32, "frames": 33, "seed": 1}


class AnyFrame(Geometry):
    """Pictures stand at any frame, and clips at every fourth."""

    def place(self, frame: int, count: int, frames: int) -> tuple[int, int]:
        if count == 1:
            return frame, 1
        return super().place(frame, count, frames)


FREE = dataclasses.replace(
    WHOLE,
    geometry=AnyFrame(
        **{f.name: getattr(PLAIN.geometry, f.name) for f in dataclasses.fields(Geometry)}
    ),
)


def completed(card=WHOLE, **settings):
    return complete(card, {**SMALL, **settings})


def picture(value=0, width=32, height=32):
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def notes(caplog):
    caplog.set_level(logging.WARNING, "mlxvid")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def files(tmp_path):
    """The paths of a picture, a clip of 12 frames, and the same as a folder and as an animation."""
    paths = {"picture": str(tmp_path / "a.jpg")}
    Image.fromarray(picture(90)).save(paths["picture"])
    clip = Clip(moving(12, 32, 32), 8, {})
    for ending in ("mp4", "gif", ""):
        paths[ending or "folder"] = str(clip.save(tmp_path / f"clip{ending and '.'}{ending}"))
    return paths


# --- strength ------------------------------------------------------------------------------------


def test_each_has_a_strength_of_its_own(files):
    request = completed(
        image=picture(1),
        keyframes={8: (files["picture"], 0.25), 16: [picture(3), 1], -1: (picture(4), 0)},
    )
    assert [(item.frame, item.strength) for item in request.placed] == [
        (0, 1),
        (8, 0.25),
        (16, 1),
        (32, 0),
    ]
    assert {item.frames.shape for item in request.placed} == {(1, 32, 32, 3)}
    assert {slot: int(pixels.mean()) for slot, pixels in request.pictures.items()} == {
        0: 1,
        2: 90,
        4: 3,
        8: 4,
    }
    settings = request.settings()["keyframes"]
    assert settings["8"] == [files["picture"], 0.25]
    assert settings["16"] == "a picture in memory"
    assert settings["32"] == ["a picture in memory", 0.0]


@pytest.mark.parametrize("strength", [2, -0.1, float("nan"), float("inf"), "1", None, True, [1]])
def test_a_strength_beyond_0_to_1_is_refused(strength):
    with pytest.raises(SettingError, match=facts("frame 8", "from 0 to 1")) as caught:
        completed(keyframes={8: (picture(), strength)})
    assert caught.value.setting == "keyframes"


@pytest.mark.parametrize("value", [(), (picture(),), (picture(), 1, 1), []])
def test_what_is_no_pair_is_refused(value):
    with pytest.raises(SettingError, match=facts("`keyframes`", "frame 8", "things")):
        completed(keyframes={8: value})


def test_a_model_that_takes_no_strength_says_so():
    for settings in ({"keyframes": {8: (picture(), 0.5)}}, {"keyframes": {0: (picture(), 0)}}):
        with pytest.raises(SettingError, match=facts("no strength", "`keyframes`")):
            completed(PLAIN, **settings)
    assert completed(PLAIN, keyframes={8: (picture(), 1.0)}).pictures.keys() == {2}


# --- clips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "gif", "folder"])
def test_a_clip_gives_as_many_whole_latent_frames_as_are_left(files, kind, notes):
    whole = Clip.load(files[kind]).frames
    request = completed(keyframes={8: (files[kind], 0.5), 28: files[kind]})
    first, last = request.placed
    assert (first.frame, first.strength) == (8, 0.5)
    assert np.array_equal(first.frames, whole[:9])
    assert (last.frame, last.strength) == (28, 1)
    assert np.array_equal(last.frames, whole[:5])
    assert np.array_equal(request.pictures[2], whole[:9])
    assert request.settings()["keyframes"] == {"8": [files[kind], 0.5], "28": files[kind]}
    assert files[kind] in request.digests
    assert len(notes()) == 2
    assert "frame 8" in notes()[0] and "first 9 frames" in notes()[0]
    assert "frame 28" in notes()[1] and "first 5 frames" in notes()[1]


def test_clips_in_memory_are_taken_and_told_apart_by_their_frames():
    frames = moving(9, 32, 32)
    requests = [completed(keyframes={8: given}) for given in (frames, Clip(frames, 8, {}))]
    for request in requests:
        assert np.array_equal(request.placed[0].frames, frames)
    assert requests[0].digests == requests[1].digests
    assert requests[0].digests != completed(keyframes={8: frames[::-1].copy()}).digests


def test_only_the_frames_that_are_needed_are_read(tmp_path):
    path = Clip(moving(40, 32, 32), 12, {}).save(tmp_path / "frames")
    for index in range(5, 40):
        (path / f"frame_{index:04d}.png").write_bytes(b"no picture")
    (item,) = completed(keyframes={28: path}).placed
    assert len(item.frames) == 5


def test_the_clip_has_the_proportions_of_the_first(tmp_path):
    path = Clip(moving(9, 64, 32), 8, {}).save(tmp_path / "wide.mp4")
    request = completed(keyframes={0: path}, width=None, height=None)
    assert request.width == 2 * request.height
    assert request.placed[0].frames.shape == (9, request.height, request.width, 3)


def test_all_pictures_are_cropped_where_it_is_asked(notes):
    wide = np.concatenate([picture(10), picture(200)], axis=1)
    request = completed(image=wide, last_image=wide, focus=1)
    assert request.settings()["focus"] == 1
    assert [(placed.frames == 200).all() for placed in request.placed] == [True, True]
    plain = completed(image=wide)
    assert "focus" not in plain.settings()
    assert len(notes()) == 3
    completed(focus=0.5)
    assert "`focus`" in notes()[-1]
    with pytest.raises(SettingError, match="focus"):
        completed(image=wide, focus=1.5)


@pytest.mark.parametrize("kind", ["mp4", "folder"])
def test_a_model_that_takes_no_clips_says_so(files, kind):
    for place in ({"image": files[kind]}, {"keyframes": {8: files[kind]}}):
        with pytest.raises(SettingError, match=facts("no clips", files[kind], "picture")):
            completed(PLAIN, **place)
    with pytest.raises(SettingError, match=facts("frame 8", "a path", "not Clip")):
        completed(PLAIN, keyframes={8: Clip(moving(9), 8, {})})


def test_what_is_not_there_or_neither_picture_nor_clip_is_a_media_error(tmp_path):
    odd = tmp_path / "odd.png"
    odd.write_bytes(b"neither")
    for card in (PLAIN, WHOLE):
        with pytest.raises(MediaError, match=facts("odd.png")):
            completed(card, keyframes={8: odd})
        with pytest.raises(MediaError, match=facts("gone.png")):
            completed(card, keyframes={8: tmp_path / "gone.png"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(b"neither")
    with pytest.raises(MediaError, match=facts("cut.mp4", "not a clip")):
        completed(WHOLE, keyframes={8: cut})


# --- places --------------------------------------------------------------------------------------


def test_frames_are_counted_from_the_end_too():
    request = completed(keyframes={-33: picture(1), -1: picture(2)})
    assert [item.frame for item in request.placed] == [0, 32]
    with pytest.raises(SettingError, match=facts("frame -34", "0 to 32")):
        completed(keyframes={-34: picture()})
    with pytest.raises(SettingError, match=facts("frame 33", "0 to 32")):
        completed(keyframes={33: picture()})
    with pytest.raises(SettingError, match=facts("Two pictures", "frame 32")):
        completed(keyframes={-1: picture(), 32: picture()})


def test_what_overlaps_is_refused():
    clip = moving(9, 32, 32)
    with pytest.raises(
        SettingError, match=facts("frame 8", "frame 16", "frame 12", "another frame")
    ):
        completed(keyframes={8: clip, 12: picture()})
    with pytest.raises(SettingError, match=facts("frame 0", "frame 8", "another")):
        completed(keyframes={8: picture(), 0: moving(33, 32, 32)})
    assert len(completed(keyframes={8: clip, 20: picture()}).placed) == 2


def test_a_geometry_may_have_pictures_at_any_frame(notes):
    keyframes = {3: picture(3), 5: (picture(5), 0.5), 9: moving(9, 32, 32), 32: picture(32)}
    request = completed(FREE, keyframes=keyframes)
    assert [item.frame for item in request.placed] == [3, 5, 8, 32]
    # By latent frame are only those that stand on one.
    assert request.pictures.keys() == {2, 8}
    assert request.settings()["keyframes"].keys() == {"3", "5", "8", "32"}
    (note,) = notes()
    assert "clip for frame 9" in note and "frame 8" in note
    with pytest.raises(SettingError, match=facts("Two pictures", "frame 8")):
        completed(FREE, keyframes={8: picture(), 9: moving(9, 32, 32)})


@pytest.mark.parametrize(
    ("frame", "count", "frames", "placed"),
    [
        (0, 1, 33, (0, 1)),
        (9, 1, 33, (8, 1)),
        (32, 1, 33, (32, 1)),
        (0, 12, 33, (0, 9)),
        (0, 100, 33, (0, 33)),
        (29, 12, 33, (28, 5)),
        (32, 12, 33, (32, 1)),
        (0, 3, 1, (0, 1)),
    ],
)
def test_a_place_is_on_the_latent_grid_by_default(frame, count, frames, placed):
    assert PLAIN.geometry.place(frame, count, frames) == placed


@pytest.mark.parametrize("name", CATALOG)
def test_every_models_pictures_stand_at_their_frame_or_where_their_slot_is(name):
    card = CATALOG[name]
    frames = card.defaults.frames
    for frame in range(0, frames, 3):
        at, count = card.geometry.place(frame, 1, frames)
        assert count == 1 and at in (frame, card.geometry.slot(frame, frames)[1])
