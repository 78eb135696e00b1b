"""Keyframes and clips to make anew in the window, with a strength where the model takes one."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox, QToolButton

from mlxvid.gui.compose.pictures import PicturesBox
from mlxvid.gui.compose.wells import ClipWell, PictureWell
from mlxvid.gui.core.job_requests import plan_of
from mlxvid.model.card import ABILITIES, CLIP_TO_CLIP
from mlxvid.model.machine import GIB, Machine
from mlxvid.run.evaluations import passes_of
from tests.gui.clips import write_clip

PLAIN = frozenset({"image", "last_image", "keyframes"})
WHOLE = PLAIN | ABILITIES


@pytest.fixture
def box(qtbot):
    box = PicturesBox()
    box.messages = []
    box.message.connect(box.messages.append)
    qtbot.addWidget(box)
    box.set_takes(WHOLE)
    box.set_frames(33)
    box.show()
    return box


@pytest.fixture
def clip(home):
    return write_clip(home / "clip.mp4")


def keyframes(box) -> list[tuple[PictureWell, QSpinBox, QDoubleSpinBox]]:
    """The well, the frame and the strength of each."""
    kinds = ((PictureWell, "keyframe"), (QSpinBox, "keyframe_number"))
    parts = [box.findChildren(kind, name) for kind, name in kinds]
    return list(zip(*parts, box.findChildren(QDoubleSpinBox, "keyframe_strength"), strict=True))


def new(box) -> PictureWell:
    return box.findChild(PictureWell, "keyframes")


def test_a_keyframe_has_a_strength_where_the_model_takes_one(box, picture):
    new(box).set_path(picture)
    ((_, frame, strength),) = keyframes(box)
    assert strength.isVisible()
    assert (strength.minimum(), strength.maximum()) == (0, 1)
    frame.setValue(9)
    assert box.settings() == {"keyframes": {"8": str(picture)}}
    strength.setValue(0.25)
    assert box.settings() == {"keyframes": {"8": [str(picture), 0.25]}}
    box.set_takes(PLAIN)
    assert not strength.isVisible()
    assert box.settings() == {"keyframes": {"8": str(picture)}}
    box.set_takes(WHOLE)
    assert box.settings() == {"keyframes": {"8": [str(picture), 0.25]}}


def test_a_clip_is_a_keyframe_where_the_model_takes_one(box, clip):
    new(box).set_path(clip)
    ((well, _, _),) = keyframes(box)
    assert box.messages == []
    assert box.settings() == {"keyframes": {"16": str(clip)}}
    box.set_takes(PLAIN)
    assert not well.isVisible()
    assert box.settings() == {}
    new(box).set_path(clip)
    assert "is a video" in box.messages[-1]
    assert len(keyframes(box)) == 1


def test_what_a_clip_holds_is_shown_again(box, picture, clip):
    settings = {
        "frames": 33,
        "keyframes": {
            "0": [str(picture), 0.5],
            "8": str(clip),
            "16": [str(clip), 0.25],
            "32": str(picture),
        },
    }
    box.set_settings(settings)
    last = settings["keyframes"].pop("32")
    assert box.settings() == {"last_image": last, "keyframes": settings["keyframes"]}
    box.set_settings({"frames": 33, "keyframes": {"0": str(picture)}})
    assert box.settings() == {"image": str(picture)}


def test_a_clip_for_the_first_frame_stays_one(box, clip):
    box.set_settings({"frames": 33, "keyframes": {"0": str(clip)}})
    assert box.settings() == {"keyframes": {"0": str(clip)}}
    assert box.messages == []


def test_a_clip_to_make_anew_has_its_strength(box, clip):
    box.set_takes(PLAIN | CLIP_TO_CLIP)
    well = box.findChild(ClipWell, "video")
    strength = box.findChild(QDoubleSpinBox, "strength")
    assert well.isVisible() and not strength.isVisible()  # of nothing
    assert box.settings() == {}
    well.set_path(clip)
    assert strength.isVisible()
    strength.setValue(0.5)
    assert box.settings() == {"video": str(clip), "strength": 0.5}
    box.set_takes(PLAIN)
    assert not well.isVisible() and not strength.isVisible()
    assert box.settings() == {}
    box.set_settings({"video": str(clip), "strength": 0.25})
    box.set_takes(PLAIN | CLIP_TO_CLIP)
    assert box.settings() == {"video": str(clip), "strength": 0.25}
    box.set_settings({})
    assert box.settings() == {}


def test_a_clip_made_anew_costs_fewer_steps_and_its_encoding():
    settings = {"model": "mini", "steps": 20, "guidance": 1, "prompt": "a ball"}
    whole = passes_of(settings)
    assert passes_of({**settings, "video": "a.mp4", "strength": 0.5}) == whole / 2
    assert passes_of({**settings, "strength": 0.5}) == whole
    machine = Machine("test", 64 * GIB, 48 * GIB, metal=True)
    encoding = plan_of({**settings, "video": "a.mp4"}, machine).stage_bytes["encode"]
    assert encoding > plan_of(settings, machine).stage_bytes["encode"]


def test_pictures_for_the_same_frame_are_told_of_and_none_is_dropped(box, picture):
    for _ in range(2):
        new(box).set_path(picture)
    first, second = (frame for _, frame, _ in keyframes(box))
    assert first.value() != second.value()
    assert box.conflict() == ""
    second.setValue(first.value())
    assert f"frame {first.value()}:" in box.conflict()
    second.setValue(33)
    assert box.conflict() == ""
    box.findChild(PictureWell, "last_image").set_path(picture)
    assert "frame 33:" in box.conflict()


def test_a_picture_that_a_shorter_clip_moves_is_told_of_and_comes_back(box, picture):
    new(box).set_path(picture)
    ((_, frame, _),) = keyframes(box)
    frame.setValue(30)
    box.set_frames(17)
    assert frame.value() == 17
    assert "30" in box.messages[-1]
    assert "17" in box.messages[-1]
    box.set_frames(33)
    assert frame.value() == 30
    assert len(box.messages) == 1


def test_frames_are_counted_and_taken_as_the_player_shows_them(window, picture, qtbot):
    box = window.compose.pictures
    playhead = window.stage.player.playhead
    box.follow_playhead(8)
    new(box).set_path(picture)
    ((_, frame, _),) = keyframes(box)
    assert frame.value() == 9
    frame.setValue(2)
    playhead.moved.emit(11)
    box.findChild(QToolButton, "at_playhead").click()
    assert frame.value() == 12
    assert box.settings()["keyframes"] == {"11": str(picture)}
    for _ in range(40):  # more than there are frames between
        new(box).set_path(picture)
    assert all(1 <= number.value() <= 33 for _, number, _ in keyframes(box))
    assert box.conflict()


def test_two_pictures_for_a_frame_make_no_clip(panel, picture, until_read):
    panel.prompt.set_text("a ball")
    for _ in range(2):
        panel.pictures.findChild(PictureWell, "keyframes").set_path(picture)
    first, second = (frame for _, frame, _ in keyframes(panel.pictures))
    second.setValue(first.value())
    until_read(panel)
    panel.button.click()
    assert panel.jobs == []
    assert "Two pictures" in panel.complaints[panel.pictures].text()
