"""Composing: controls that follow the model, settings that go out and come back, and a plan that
says what they cost.
"""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QWheelEvent
from PySide6.QtWidgets import QInputDialog

from mlxvid.catalog import CATALOG
from mlxvid.gui.compose.loras import LorasBox
from mlxvid.gui.compose.options import OptionsBox
from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.compose.plan_line import estimate
from mlxvid.gui.compose.wells import ClipWell, PictureWell
from mlxvid.gui.core.choices import Choices
from mlxvid.gui.core.job_requests import making_of
from mlxvid.gui.core.jobs import Job
from mlxvid.model.machine import GIB, Machine
from mlxvid.models import options
from tests.gui.clips import write_clip


@pytest.fixture
def make_panel(database, preferences, choices, qtbot):
    """A function that makes a panel, and what it has said in `said` and handed over in `jobs`."""

    def make(choices=choices) -> ComposePanel:
        panel = ComposePanel(database, choices, preferences)
        panel.said, panel.jobs = [], []
        panel.message.connect(panel.said.append)
        panel.submit.connect(panel.jobs.extend)
        qtbot.addWidget(panel)
        panel.resize(330, 900)
        panel.show()
        return panel

    return make


@pytest.fixture
def panel(make_panel):
    return make_panel()


@pytest.fixture
def picture(home):
    path = home / "first.png"
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(path)
    return path


def plan_text(panel, qtbot, part) -> str:
    qtbot.waitUntil(lambda: part in panel.plan_line.text)
    return panel.plan_line.text


# --- what comes out -------------------------------------------------------------------------------


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
    assert [job.settings["seed"] for job in panel.jobs] == [40, 41, 42] and panel.seed.value() != 40
    panel.seed.set_value(50)
    panel.seed.set_locked(True)
    panel.button.click()
    assert panel.jobs[-1].settings["seed"] == 52 and panel.seed.value() == 50
    assert database.prompts() == ["a red ball"]


def test_without_words_there_is_nothing_to_make(panel):
    panel.prompt.set_text("   ")
    panel.button.click()
    assert panel.said == ["Say first what the clip should show."] and panel.jobs == []


def test_seeds_up_to_the_largest(panel, qtbot):
    panel.seed.set_value(2**63 - 1)
    assert panel.settings()["seed"] == 2**63 - 1
    field = panel.seed._text
    field.clear()
    qtbot.keyClicks(field, "9999999999999999999x")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert panel.settings()["seed"] == 2**63 - 1


# --- sizes and lengths ----------------------------------------------------------------------------


def pick(panel, name, text) -> None:
    field = getattr(panel.size_box, name)
    field.setCurrentIndex(field.findText(text))
    field.activated.emit(field.currentIndex())


def test_shape_and_resolution_give_sizes_that_the_model_can_make(panel):
    pick(panel, "_shape", "Wide 16:9")
    assert panel.size_box.value() == (144, 80)
    pick(panel, "_resolution", "Extra large")
    assert panel.size_box.value() == (256, 144)
    pick(panel, "_shape", "Tall 9:16")
    assert panel.size_box.value() == (144, 256)
    panel.size_box._width.setValue(100)
    assert panel.size_box.value() == (96, 256)
    assert (
        panel.size_box._shape.currentText() == "Custom" == panel.size_box._resolution.currentText()
    )
    panel.size_box.set_value(96, 96)
    assert (panel.size_box._shape.currentText(), panel.size_box._resolution.currentText()) == (
        "Square 1:1",
        "Standard",
    )
    panel.size_box.set_value(320, 320)
    assert (panel.size_box._shape.currentText(), panel.size_box._resolution.currentText()) == (
        "Square 1:1",
        "Custom",
    )


def test_the_model_s_own_shape_is_the_nearest_of_its_kind(panel):
    assert panel.picker.set_name("wan2.1-t2v-1.3b")
    assert (
        panel.size_box.value() == (832, 480) and panel.size_box._shape.currentText() == "Wide 16:9"
    )
    pick(panel, "_shape", "Tall 9:16")
    assert panel.size_box.value() == (480, 832)


def test_seconds_and_frames_follow_each_other(panel):
    assert panel.length_box._seconds.value() == pytest.approx(33 / 16, abs=0.01)
    panel.length_box._seconds.setValue(1.0)
    assert panel.settings()["frames"] == 17 and panel.length_box._seconds.value() == pytest.approx(
        17 / 16, abs=0.01
    )
    panel.length_box._frames.setValue(40)
    assert panel.settings()["frames"] == 41 and panel.length_box._seconds.value() == pytest.approx(
        41 / 16, abs=0.01
    )
    panel.advanced.fps.setValue(8)
    assert panel.settings()["frames"] == 41 and panel.length_box._seconds.value() == pytest.approx(
        41 / 8, abs=0.01
    )


def test_the_wheel_scrolls_past_a_field_that_is_not_in_use(panel, qapp):
    panel.prompt.setFocus()
    field = panel.steps
    place = QPointF(5, 5)
    event = QWheelEvent(
        place,
        place,
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    qapp.sendEvent(field, event)
    assert field.value() == 20


# --- the model decides ----------------------------------------------------------------------------


def test_what_the_model_can_not_do_is_not_shown(panel):
    assert (
        not panel._loras_row.isVisible()
        and panel.pictures.isVisible()
        and panel._negative_row.isVisible()
    )
    assert panel.picker.set_name("wan2.1-t2v-1.3b")
    assert panel._loras_row.isVisible() and not panel.pictures.isVisible()
    panel.advanced.set_open(True)
    assert panel.advanced.presets.isVisible() and not panel.advanced.attention.isVisible()
    assert panel.negative.placeholderText() == "The model's own"
    assert panel.negative.toolTip() == CATALOG["wan2.1-t2v-1.3b"].defaults.negative_prompt
    assert panel.picker.set_name("wan2.1-i2v-14b-480p")
    wells = [well for well in panel.pictures.findChildren(PictureWell) if well.isVisible()]
    assert [well.accessibleName() for well in wells] == ["Start picture"]


def test_samplers_are_the_model_s(panel, choices):
    panel.advanced.set_open(True)
    field = panel.advanced.sampler
    assert field.isVisible()
    assert tuple(field.itemData(row) for row in range(field.count())) == CATALOG["mini"].samplers
    field.setCurrentIndex(field.findData("heun"))
    choices.refresh()
    assert panel.settings()["sampler"] == "heun"


def test_a_loaded_model_is_here(panel, choices):
    assert not choices.find("wan2.1-t2v-1.3b").here
    panel.steps.setValue(7)
    choices.note_loaded("wan2.1-t2v-1.3b")
    assert choices.find("wan2.1-t2v-1.3b").here
    assert panel.settings()["steps"] == 7


def test_each_model_is_found_again_as_it_was_left(panel):
    panel.steps.setValue(9)
    panel.prompt.set_text("a fox")
    panel.picker.set_name("wan2.1-t2v-1.3b")
    own = CATALOG["wan2.1-t2v-1.3b"].defaults
    assert (
        panel.settings()["steps"],
        panel.settings()["frames"],
        panel.settings()["guidance"],
    ) == (own.steps, own.frames, own.guidance)
    panel.picker.set_name("mini")
    assert (panel.settings()["steps"], panel.settings()["width"], panel.settings()["prompt"]) == (
        9,
        96,
        "a fox",
    )


def test_a_picture_that_the_model_needs(panel, picture):
    panel.picker.set_name("wan2.1-flf2v-14b-720p")
    panel.prompt.set_text("she smiles")
    panel.generate()
    assert (
        panel.said
        == ["Wan 2.1 FLF2V 14B 720p needs a start and a last picture: drop it on its place."]
        and panel.jobs == []
    )
    panel.set_start_image(picture)
    panel.pictures._last.set_path(picture)
    panel.advanced.force.setChecked(
        True
    )  # five seconds at 720p are too much for any machine without Metal
    panel.generate()
    assert panel.jobs[0].settings["image"] == str(picture) == panel.jobs[0].settings["last_image"]


def test_the_list_says_what_a_model_costs_and_why_it_can_not_be_had(preferences, qtbot, make_panel):
    small = Choices(preferences, Machine("Small", 8 * GIB, 6 * GIB, False))
    notes = {small.at(row).name: small.at(row).note for row in range(small.rowCount())}
    assert notes["mini"] == "Apache-2.0 · on disk"
    assert notes["wan2.1-t2v-14b"] == "Won't fit: needs 8 GiB at least, this machine has 6 to give"
    assert notes["wan2.1-t2v-1.3b"] == "Apache-2.0 · 28.9 GB to download"
    row = small.row_of("wan2.1-t2v-14b")
    assert not small.flags(small.index(row)) & Qt.ItemFlag.ItemIsEnabled
    panel = make_panel(small)
    assert not panel.picker.set_name("wan2.1-t2v-14b") and panel.picker.value().name == "mini"


def test_a_model_in_a_folder(panel, choices, tiny_folder, home):
    panel.picker.add_folder(home)
    assert panel.said == [
        f"{home / 'model_index.json'} is missing or is not a JSON object; download or convert the model again."
    ]
    panel.picker.add_folder(tiny_folder)
    choice = panel.picker.value()
    assert (
        choice.name == str(tiny_folder)
        and choice.title == tiny_folder.name
        and panel.settings()["frames"] == 9
    )
    assert Choices(panel._preferences, choices.machine).find(str(tiny_folder)) is not None


# --- settings that come back ----------------------------------------------------------------------


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
    assert (settings["image"], settings["last_image"], settings["keyframes"]) == (
        str(picture),
        str(picture),
        {"8": str(picture)},
    )
    assert panel.seed.locked and panel.said == []
    panel.apply_settings({"prompt": "a ball", "model": "mini"})
    assert (
        not {"image", "last_image", "keyframes", "quantize", "shift"} & panel.settings().keys()
        and panel.settings()["steps"] == 20
    )


def test_settings_of_a_model_that_is_not_here(panel, home):
    panel.apply_settings(
        {
            "prompt": "a star",
            "model": "/gone",
            "steps": 3,
            "keyframes": {"0": str(home / "gone.png")},
        }
    )
    assert (
        panel.said[0]
        == "The model /gone is not among the models here: the other settings are taken over."
    )
    assert (
        "gone.png" in panel.said[1]
        and panel.settings()["steps"] == 3
        and "image" not in panel.settings()
    )


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
    assert (settings["prompt"], settings["steps"], settings["image"]) == (
        "a ball",
        4,
        str(picture),
    ) and "keyframes" not in settings


def test_a_model_that_goes_on_from_clips_is_given_the_clip(panel, picture, home):
    clip = write_clip(home / "clip.mp4")
    panel.set_start_image(picture)
    panel.extend({"prompt": "a ball", "model": "opensora-1.2", "seed": 9}, picture, clip)
    settings = panel.settings()
    assert (
        settings["model"] == "opensora-1.2"
        and settings["extend"] == str(clip)
        and not {"image", "join"} & settings.keys()
    )
    panel.apply_settings(
        {**settings, "extend": None, "join": str(clip)}
    )  # as a clip says that was made so
    assert panel.settings()["join"] == str(clip) and "extend" not in panel.settings()
    assert making_of(panel.settings())["join"] == str(clip)
    panel.picker.set_name("mini")
    assert panel.pictures._join.isHidden() and "join" not in panel.settings()


def test_editing_a_job(panel, qtbot):
    job = Job({**panel.settings(), "prompt": "a star", "seed": 5}, id=3)
    panel.edit(job)
    assert panel.button.text() == "Save Changes" and panel._banner.isVisible()
    panel.steps.setValue(6)
    with qtbot.waitSignal(panel.edited) as edited:
        panel.button.click()
    assert edited.args[0] is job and (edited.args[1]["steps"], edited.args[1]["seed"]) == (6, 5)
    assert panel.jobs == [] and panel.button.text() == "Generate"


def test_all_is_as_it_was_at_the_next_start(panel, make_panel):
    panel.apply_settings({"prompt": "a star", "model": "mini", "steps": 3, "seed": 5})
    panel.takes.setValue(2)
    panel.advanced.set_open(True)
    panel.save()
    again = make_panel()
    assert (
        again.settings() == panel.settings()
        and again.seed.locked
        and again.takes.value() == 2
        and again.advanced.open
    )


@pytest.mark.parametrize(
    "rubbish", ['"compose"', "[]", '{"settings": {"prompt": "a"}, "takes": null}', "{"]
)
def test_a_state_that_makes_no_sense(make_panel, preferences, rubbish):
    preferences._settings.setValue("compose", rubbish)
    assert make_panel().settings()["steps"] == 20


# --- the plan -------------------------------------------------------------------------------------


def test_the_plan_follows(panel, qtbot, database):
    assert plan_text(panel, qtbot, "324 tokens") == "33 frames · 324 tokens · 365 MiB of 200.0 GiB"
    database.add_timing("mini", 324, 40.0, 8.0)
    panel.replan()
    plan_text(panel, qtbot, "about 8 s")
    panel.takes.setValue(10)
    plan_text(panel, qtbot, "about 1 min 20 s")
    panel.picker.set_name("wan2.1-t2v-1.3b")
    assert plan_text(panel, qtbot, "first a download of 28.9 GB").startswith(
        "81 frames · 32,760 tokens"
    )


def test_the_plan_breaks_between_its_parts(panel, qtbot, database):
    database.add_timing("mini", 324, 40.0, 8.0)
    panel.replan()
    plan = panel.plan_line
    plain = plan_text(panel, qtbot, "about 8 s")
    wide = plan._text.fontMetrics().horizontalAdvance(plain)
    for width, lines in (
        (wide + 1, [plain]),
        (wide - 1, [*plain.rsplit(" · ", 1)]),
        (10, plain.split(" · ")),
    ):
        plan.resize(width, 60)
        assert plan._text.text().split("<br>") == lines


def test_a_clip_that_does_not_fit_is_told_with_a_remedy_that_works(preferences, make_panel, qtbot):
    panel = make_panel(Choices(preferences, Machine("Small", 2 * GIB, GIB, False)))
    panel.prompt.set_text("a ball")
    panel.size_box.set_value(1024, 1024)
    panel.length_box.set_value(257)
    panel.replan()
    text = plan_text(panel, qtbot, "What fits")
    assert text.startswith("Needs ") and "this machine has 1.0 GiB to give" in text
    assert panel.plan_line._text.property("role") == "danger"
    panel.generate()
    assert panel.said == [text] and panel.jobs == []
    panel.plan_line._text.linkActivated.emit("0")
    plan_text(panel, qtbot, "tokens")
    assert panel.settings()["prompt"] == "a ball"
    panel.generate()
    assert len(panel.jobs) == 1
    panel.size_box.set_value(1024, 1024)
    panel.length_box.set_value(257)
    panel.advanced.force.setChecked(True)
    panel.generate()
    assert panel.jobs[-1].settings["force"] is True


def test_the_estimate_is_the_median_rate_of_the_runs_nearest_in_size():
    assert estimate([], 100, 40) is None
    assert estimate([(100, 40.0, 8.0)], 200, 40) == pytest.approx(16.0)
    near, far = (
        [(100, 40.0, 8.0), (100, 40.0, 9.0), (110, 40.0, 8.8), (90, 40.0, 7.2), (100, 40.0, 80.0)],
        [(1, 1.0, 9.0)] * 50,
    )
    assert estimate(far + near, 100, 40) == pytest.approx(8.0, rel=0.13)


# --- words ----------------------------------------------------------------------------------------


def test_earlier_prompts_are_a_key_away(panel, database, qtbot):
    for text in ("one", "two"):
        panel.prompt.set_text(text)
        panel.generate()
    panel.prompt.set_text("draft")
    seen = []
    for key in (
        Qt.Key.Key_Up,
        Qt.Key.Key_Up,
        Qt.Key.Key_Up,
        Qt.Key.Key_Down,
        Qt.Key.Key_Down,
        Qt.Key.Key_Down,
    ):
        qtbot.keyClick(panel.prompt, key, Qt.KeyboardModifier.ControlModifier)
        seen.append(panel.prompt.toPlainText())
    assert seen == ["two", "one", "one", "two", "draft", "draft"]


def test_keys_in_the_prompt(panel, qtbot):
    panel.activateWindow()
    panel.prompt.setFocus()
    qtbot.keyClicks(panel.prompt, "a ball")
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return)
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert [job.settings["prompt"] for job in panel.jobs] == ["a ball"]
    qtbot.keyClick(panel.prompt, Qt.Key.Key_Tab)
    assert panel.negative.hasFocus()


# --- pictures and LoRAs ---------------------------------------------------------------------------


def drop(widget, qapp, mime) -> bool:
    """Drag something in and let it go; whether it was taken."""
    at, buttons, keys = QPoint(5, 5), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(at, Qt.DropAction.CopyAction, mime, buttons, keys)
    qapp.sendEvent(widget, enter)
    if enter.isAccepted():
        qapp.sendEvent(
            widget, QDropEvent(QPointF(at), Qt.DropAction.CopyAction, mime, buttons, keys)
        )
    return enter.isAccepted()


def files(*paths) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


@pytest.fixture
def well(qtbot):
    well = PictureWell("Start", "The first")
    well.said = []
    well.message.connect(well.said.append)
    qtbot.addWidget(well)
    return well


def test_a_picture_is_dropped_and_taken_away(well, qapp, qtbot, picture):
    assert (
        drop(well, qapp, files(picture))
        and well.path == picture
        and well.accessibleDescription() == "first.png"
    )
    assert not well.grab().isNull()
    qtbot.keyClick(well, Qt.Key.Key_Delete)
    assert well.path is None and well.said == []


def test_what_is_no_picture_leaves_the_old_one(well, qapp, picture, home):
    well.set_path(picture)
    (home / "film.mov").touch()
    (home / "text.png").write_text("hello")
    for name in ("film.mov", "text.png", "gone.png"):
        drop(well, qapp, files(home / name))
    assert well.path == picture
    assert (
        well.said[0]
        == "film.mov is a film, not a picture: open it and use one of its frames, or give a picture."
    )
    assert "text.png" in well.said[1] and "gone.png" in well.said[2] and len(well.said) == 3
    mime = QMimeData()
    mime.setText("words")
    assert not drop(well, qapp, mime)


def test_a_picture_is_pasted(well, qtbot, home):
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    image.fill(0xFF336699)
    QGuiApplication.clipboard().setImage(image)
    well.paste()
    assert well.path.parent == home / "data" / "pictures"
    with Image.open(well.path) as kept:
        assert kept.size == (20, 10) and kept.convert("RGB").getpixel((3, 3)) == (0x33, 0x66, 0x99)
    QGuiApplication.clipboard().setText("words")
    well.paste()
    assert well.said == ["There is no picture to paste: copy one first."]


def test_a_place_for_a_clip(qapp, qtbot, home, picture):
    well, said = ClipWell("Lead to", "What comes after"), []
    well.message.connect(said.append)
    qtbot.addWidget(well)
    clip = write_clip(home / "clip.mp4")
    assert drop(well, qapp, files(clip)) and well.path == clip and not well.grab().isNull()
    assert (well.accessibleName(), well.accessibleDescription()) == ("Lead to clip", "clip.mp4")
    drop(well, qapp, files(picture))
    drop(well, qapp, files(home / "gone.mp4"))
    QGuiApplication.clipboard().setText("words")
    well.paste()
    assert well.path == clip and said == [
        "first.png is no clip: give a film, a GIF or a folder of frames.",
        f"There is no clip {home / 'gone.mp4'}: it may have been moved or renamed.",
        "There is no clip to paste: copy one first.",
    ]


def test_keyframes(panel, picture):
    for _ in range(2):
        panel.pictures._new.set_path(picture)
    assert (
        panel.settings()["keyframes"] == {"16": str(picture), "17": str(picture)}
        and panel.pictures._new.path is None
    )
    panel.length_box._frames.setValue(9)
    panel._replan()
    assert all(key.frame.maximum() == 8 for key in panel.pictures._keys)
    panel.pictures._keys[0].well.clear()
    assert len(panel.pictures._keys) == 1
    panel.pictures._keys[0].well.clear()
    assert "keyframes" not in panel.settings()


def test_loras(qtbot, qapp, home):
    box = LorasBox()
    said = []
    box.message.connect(said.append)
    qtbot.addWidget(box)
    assert drop(box, qapp, files(home / "style.safetensors")) and not drop(
        box, qapp, files(home / "style.txt")
    )
    box.add_file(home / "style.ckpt")
    assert said == ["style.ckpt is no LoRA: choose a .safetensors file."]
    box._rows[0].strength.setValue(0.8)
    assert box.value() == [f"{home / 'style.safetensors'}@0.8"]
    box.set_value(["owner/repo:file.safetensors@-1.5", "me@home.safetensors"])
    assert box.value() == ["owner/repo:file.safetensors@-1.5", "me@home.safetensors@1"]
    box._rows[0].remove.click()
    assert box.value() == ["me@home.safetensors@1"]
    file, hub = box._add.menu().actions()
    hub.trigger()
    (dialog,) = box.findChildren(QInputDialog)
    dialog.setTextValue(" owner/repo:fast.safetensors ")
    dialog.accept()
    box.add_repository("owner/style")
    for wrong in ("style", "/x/style.safetensors", "owner/style:"):
        box.add_repository(wrong)
    assert box.value()[1:] == ["owner/repo:fast.safetensors@1", "owner/style@1"]
    assert len(said) == 4 and said[1].startswith("'style' is no name of a LoRA on the hub: ")


def test_a_preset(panel):
    panel.picker.set_name("wan2.1-t2v-1.3b")
    panel.prompt.set_text("a fox")
    panel.loras.set_value(["fast.safetensors@1"])
    field = panel.advanced.presets
    field.setCurrentIndex(field.findData("lightning"))
    field.activated.emit(field.currentIndex())
    settings = panel.settings()
    assert (settings["steps"], settings["guidance"], settings["shift"]) == (4, 1.0, 5.0)
    assert (settings["prompt"], settings["width"], settings["loras"]) == (
        "a fox",
        832,
        ["fast.safetensors@1"],
    )


def test_options_of_a_family(qtbot):
    box, changes = OptionsBox(), []
    qtbot.addWidget(box)
    box.changed.connect(lambda: changes.append(box.value()))
    numbers = [name for name, option in options().items() if option.high is not None]
    texts = [name for name, option in options().items() if option.high is None]
    box.set_takes(frozenset())
    assert box.isHidden() and box.value() == {}
    box.set_takes(frozenset((*numbers[:1], *texts[:1])))
    assert not box.isHidden() and box.value() == {}
    box._fields[numbers[0]].setValue(options()[numbers[0]].low)
    qtbot.keyClicks(box._fields[texts[0]], "pan left ")
    box._fields[numbers[1]].setValue(options()[numbers[1]].high)  # the model doesn't take it
    assert (
        box.value() == {numbers[0]: options()[numbers[0]].low, texts[0]: "pan left"} == changes[-1]
    )
    box.set_value({numbers[0]: 5.5})
    assert box.value() == {numbers[0]: 5.5}
