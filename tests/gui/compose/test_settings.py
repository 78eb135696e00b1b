"""Settings that go out of the compose panel and come back into it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit

from mlxvid.gui.compose.wells import ClipWell
from mlxvid.gui.core.job_requests import making_of
from mlxvid.gui.core.jobs import Job
from tests.gui.cards import WITH_CLIPS
from tests.gui.clips import write_clip
from tests.gui.compose.conftest import complaints


def test_the_model_s_defaults_and_a_seed(panel):
    panel.prompt.set_text("  a red ball ")
    settings = panel.settings()
    seed = settings.pop("seed")
    assert settings == {
        "model": "mini",
        "prompt": "a red ball",
        "negative_prompt": "",
        "width": 96,
        "height": 96,
        "frames": 33,
        "fps": 16.0,
        "steps": 20,
        "guidance": 3.0,
        "sampler": "euler",
        "attention": "factored",
    }
    assert 0 <= seed < 2**31


def test_generate_hands_over_a_job_for_each_take(panel, database):
    panel.prompt.set_text("a red ball")
    panel.takes.setValue(3)
    panel.seed.set_value(40)
    panel.button.click()
    assert [job.settings["seed"] for job in panel.jobs] == [40, 41, 42]
    assert panel.seed.value() != 40
    panel.seed.set_value(50)
    panel.seed.set_locked(True)
    panel.button.click()
    assert panel.jobs[-1].settings["seed"] == 52
    assert panel.seed.value() == 50
    assert database.prompts() == ["a red ball"]


def test_without_words_there_is_nothing_to_make(panel):
    panel.prompt.set_text("   ")
    panel.button.click()
    (message,) = complaints(panel)
    assert "prompt" in message
    assert panel.jobs == []


def test_seeds_up_to_the_largest(panel, qtbot):
    panel.seed.set_value(2**63 - 1)
    assert panel.settings()["seed"] == 2**63 - 1
    field = panel.findChild(QLineEdit, "seed")
    field.clear()
    qtbot.keyClicks(field, "9999999999999999999x")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert panel.settings()["seed"] == 2**63 - 1


def test_a_clip_s_settings(panel, picture):
    clip = {
        "mlxvid": "0.1.0",
        "model": "mini",
        "revision": None,
        "quantize": 8,
        "dtype": "float16",
        "prompt": "a star",
        "negative_prompt": "a ball",
        "width": 128,
        "height": 64,
        "frames": 17,
        "fps": 12.0,
        "steps": 4,
        "guidance": 1.5,
        "seed": 77,
        "sampler": "euler",
        "attention": "full",
        "shift": 2.5,
        "keyframes": {"0": str(picture), "8": str(picture), "16": str(picture)},
    }
    panel.apply_settings(clip)
    settings = panel.settings()
    same = {
        name: value
        for name, value in clip.items()
        if name not in ("mlxvid", "revision", "sampler", "keyframes")
    }
    assert same.items() <= settings.items()
    assert settings["image"] == settings["last_image"] == str(picture)
    assert settings["keyframes"] == {"8": str(picture)}
    assert panel.seed.locked
    assert panel.messages == []
    panel.apply_settings({"prompt": "a ball", "model": "mini"})
    left = {"image", "last_image", "keyframes", "quantize", "shift"} & panel.settings().keys()
    assert not left
    assert panel.settings()["steps"] == 20


def test_settings_of_a_model_that_is_not_here(panel, home, qtbot):
    panel.apply_settings(
        {
            "prompt": "a star",
            "model": "/gone",
            "steps": 3,
            "keyframes": {"0": str(home / "gone.png")},
        }
    )
    (about_model,) = panel.messages
    assert "/gone" in about_model
    complaint = panel.complaints[panel.pictures]
    qtbot.waitUntil(complaint.isVisible)
    assert "gone.png" in complaint.text()
    assert panel.settings()["steps"] == 3
    assert "image" not in panel.settings()


def test_extending_a_clip(panel, picture):
    panel.apply_settings(
        {
            "prompt": "a star",
            "model": "mini",
            "steps": 3,
            "seed": 5,
            "keyframes": {"8": str(picture)},
        }
    )
    panel.seed.set_locked(False)
    panel.extend(
        {"prompt": "a ball", "model": "mini", "steps": 4, "seed": 9},
        picture,
        picture.with_suffix(".mp4"),
    )
    settings = panel.settings()
    assert settings["prompt"] == "a ball"
    assert settings["steps"] == 4
    assert settings["image"] == str(picture)
    assert "keyframes" not in settings


def test_a_model_that_goes_on_from_clips_is_given_the_clip(panel, picture, home):
    clip = write_clip(home / "clip.mp4")
    panel.set_start_image(picture)
    panel.extend({"prompt": "a ball", "model": WITH_CLIPS, "seed": 9}, picture, clip)
    settings = panel.settings()
    assert settings["model"] == WITH_CLIPS
    assert settings["extend"] == str(clip)
    assert not {"image", "join"} & settings.keys()
    # As the settings stand in a clip that was made so.
    panel.apply_settings({**settings, "extend": None, "join": str(clip)})
    assert panel.settings()["join"] == str(clip)
    assert "extend" not in panel.settings()
    assert making_of(panel.settings())["join"] == str(clip)
    panel.picker.set_name("mini")
    assert panel.findChild(ClipWell, "join").isHidden()
    assert "join" not in panel.settings()


def test_editing_a_job(panel, qtbot):
    job = Job({**panel.settings(), "prompt": "a star", "seed": 5}, id=3)
    panel.edit(job)
    assert (
        panel.button.text() == "Save Changes"
        and panel.findChild(QLabel, "editing_banner").isVisible()
    )
    panel.steps.setValue(6)
    with qtbot.waitSignal(panel.edited) as edited:
        panel.button.click()
    assert edited.args[0] is job
    assert edited.args[1]["steps"] == 6
    assert edited.args[1]["seed"] == 5
    assert panel.jobs == []
    assert panel.button.text() == "Generate"


@pytest.mark.parametrize("end", ["generate", "stop_editing"])
def test_the_draft_comes_back_after_an_edit(panel, make_panel, end):
    panel.apply_settings({"prompt": "my draft", "model": "mini", "steps": 7, "seed": 4})
    draft = panel.settings()
    for name in ("a star", "a ring"):  # another, before the first is done
        panel.edit(Job({**draft, "prompt": name, "steps": 3, "seed": 5}, id=3))
    panel.save()
    assert make_panel().settings() == draft
    getattr(panel, end)()
    assert panel.settings() == draft


def test_a_complaint_stands_beside_its_field_until_it_is_met(panel, qtbot):
    complaint = panel.complaints[panel.prompt]
    panel.prompt.set_text("")
    panel.button.click()
    assert complaint.isVisible()
    assert "prompt is empty" in complaint.text()
    assert panel.messages == []
    qtbot.wait(10)
    panel.prompt.set_text("a")
    assert complaint.isHidden()
    panel.loras.message.emit("That is no LoRA.")
    assert panel.complaints[panel.loras].text() == "That is no LoRA."
    qtbot.wait(10)
    panel.button.click()
    assert panel.complaints[panel.loras].isHidden()


def test_all_is_as_it_was_at_the_next_start(panel, make_panel):
    panel.apply_settings({"prompt": "a star", "model": "mini", "steps": 3, "seed": 5})
    panel.takes.setValue(2)
    panel.advanced.set_open(True)
    panel.save()
    again = make_panel()
    assert again.settings() == panel.settings()
    assert again.seed.locked
    assert again.takes.value() == 2
    assert again.advanced.open


@pytest.mark.parametrize(
    "rubbish", ['"compose"', "[]", '{"settings": {"prompt": "a"}, "takes": null}', "{"]
)
def test_a_state_that_makes_no_sense(make_panel, preferences, rubbish):
    preferences._settings.setValue("compose", rubbish)
    assert make_panel().settings()["steps"] == 20
