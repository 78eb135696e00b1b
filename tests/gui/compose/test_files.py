"""Prompts, pictures, clips and LoRAs."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtWidgets import QDoubleSpinBox, QInputDialog, QPushButton, QSpinBox, QToolButton

from mlxvid.catalog import CATALOG
from mlxvid.gui.compose.loras import LorasBox
from mlxvid.gui.compose.wells import ClipWell, PictureWell
from tests.gui.cards import WITH_LORAS
from tests.gui.clips import write_clip
from tests.media.heic_files import write_heic


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
    fold = panel.negative_box.fold
    assert fold.hasFocus()
    assert panel.negative.isHidden()
    qtbot.keyClick(fold, Qt.Key.Key_Space)
    assert panel.negative.hasFocus()


def drop(widget, qapp, mime) -> bool:
    """Drag something in and let it go; whether it was taken."""
    at = QPoint(5, 5)
    buttons = Qt.MouseButton.LeftButton
    keys = Qt.KeyboardModifier.NoModifier
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
    well = PictureWell("First picture", "The first")
    well.messages = []
    well.message.connect(well.messages.append)
    qtbot.addWidget(well)
    return well


def colour_in_the_middle(well) -> tuple[int, int, int]:
    colour = well.pixmap.toImage().pixelColor(5, 5)
    return colour.red(), colour.green(), colour.blue()


def test_the_window_opens_what_the_worker_does(well, qapp, tmp_path, until_read):
    pixels = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    write_heic(tmp_path / "phone.heic", pixels, 64)
    for name in ("a.avif", "a.tif", "a.webp"):
        Image.fromarray(pixels).save(tmp_path / name)
    for name in ("phone.heic", "a.avif", "a.tif", "a.webp"):
        assert drop(well, qapp, files(tmp_path / name))
        until_read(well)
        assert well.path == tmp_path / name
        assert np.abs(np.subtract(colour_in_the_middle(well), (200, 30, 30))).max() < 12
    assert well.messages == []


def test_nothing_else_is_opened(well, qapp, tmp_path, until_read):
    """Not even where Qt or Pillow could: a drawing names files, PostScript is a program."""
    (tmp_path / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "program.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (tmp_path / "page.jpg").write_text("<!doctype html><html>404</html>")
    Image.new("RGB", (9, 9)).save(tmp_path / "icon.ico")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    whole = tmp_path / "whole.png"
    Image.effect_noise((64, 64), 50).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:900])
    odd = [path for path in sorted(tmp_path.iterdir()) if path != whole]
    for path in odd:
        assert drop(well, qapp, files(path))
        until_read(well)
        assert well.path is None
        assert path.name in well.messages[-1]
    assert len(well.messages) == len(odd) == 7


def test_a_picture_is_dropped_and_taken_away(well, qapp, qtbot, picture, until_read):
    assert drop(well, qapp, files(picture))
    assert well.path == picture
    assert well.busy and "reading" in well.accessibleDescription()
    until_read(well)
    assert well.accessibleDescription() == "first.png"
    assert not well.grab().isNull()
    qtbot.keyClick(well, Qt.Key.Key_Delete)
    assert well.path is None
    assert well.messages == []


def test_the_last_of_several_pictures_stays(well, qapp, home, until_read):
    for count, name in enumerate(("a.png", "b.png", "c.png"), 1):
        Image.new("RGB", (10 * count, 10)).save(home / name)
        drop(well, qapp, files(home / name))
    assert well.path == home / "c.png"
    until_read(well)
    assert well.sides == (30, 10)
    (home / "bad.png").write_text("no picture")
    drop(well, qapp, files(home / "bad.png"))
    drop(well, qapp, files(home / "b.png"))
    until_read(well)
    assert well.sides == (20, 10)
    drop(well, qapp, files(home / "bad.png"))
    well.clear()
    until_read(well)
    assert well.path is None and well.messages == []


def test_a_clip_waits_until_its_picture_is_read(panel, picture, home, qtbot):
    (home / "bad.png").write_text("no picture")
    panel.prompt.set_text("a ball")
    panel.set_start_image(home / "bad.png")
    panel.generate()
    qtbot.waitUntil(panel.complaints[panel.pictures].isVisible)
    assert panel.jobs == []
    panel.set_start_image(picture)
    panel.generate()
    assert panel.jobs == []
    qtbot.waitUntil(lambda: len(panel.jobs) == 1)
    made = panel.jobs[0].settings
    assert made["image"] == str(picture)
    assert made["width"] > made["height"]  # as the picture


def test_what_is_no_picture_leaves_the_old_one(well, qapp, picture, home, until_read):
    well.set_path(picture)
    until_read(well)
    (home / "film.mov").touch()
    (home / "text.png").write_text("hello")
    names = ("film.mov", "text.png", "gone.png")
    for name in names:
        drop(well, qapp, files(home / name))
        until_read(well)
    assert well.path == picture
    assert well.sides == (60, 40)
    for name, message in zip(names, well.messages, strict=True):
        assert name in message
    mime = QMimeData()
    mime.setText("words")
    assert not drop(well, qapp, mime)


def test_a_picture_is_pasted(well, qtbot, home, until_read):
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    image.fill(0xFF336699)
    QGuiApplication.clipboard().setImage(image)
    well.paste()
    until_read(well)
    assert well.path.parent == home / "data" / "pictures"
    with Image.open(well.path) as kept:
        assert kept.size == (20, 10)
        assert kept.convert("RGB").getpixel((3, 3)) == (0x33, 0x66, 0x99)
    QGuiApplication.clipboard().setText("words")
    well.paste()
    (message,) = well.messages
    assert "paste" in message


def test_a_place_for_a_clip(qapp, qtbot, home, picture):
    well = ClipWell("Lead to", "What comes after")
    messages = []
    well.message.connect(messages.append)
    qtbot.addWidget(well)
    clip = write_clip(home / "clip.mp4")
    assert drop(well, qapp, files(clip))
    assert well.path == clip
    assert not well.grab().isNull()
    assert well.accessibleName() == "Lead to"
    assert well.accessibleDescription() == "clip.mp4"
    drop(well, qapp, files(picture))
    drop(well, qapp, files(home / "gone.mp4"))
    QGuiApplication.clipboard().setText("words")
    well.paste()
    assert well.path == clip
    for part, message in zip(("first.png", "gone.mp4", "paste"), messages, strict=True):
        assert part in message


def test_keyframes(panel, picture, qtbot):
    new = panel.findChild(PictureWell, "keyframes")
    for _ in range(2):
        new.set_path(picture)
    assert panel.settings()["keyframes"] == {"16": str(picture), "17": str(picture)}
    assert new.path is None
    panel.findChild(QSpinBox, "frames").setValue(9)
    numbers = panel.findChildren(QSpinBox, "keyframe_number")
    qtbot.waitUntil(lambda: [number.maximum() for number in numbers] == [9, 9])
    wells = panel.findChildren(PictureWell, "keyframe")
    wells[0].clear()
    assert len(panel.settings()["keyframes"]) == 1
    wells[1].clear()
    assert "keyframes" not in panel.settings()


@pytest.fixture
def loras(qtbot):
    box = LorasBox()
    box.messages = []
    box.message.connect(box.messages.append)
    qtbot.addWidget(box)
    return box


def test_lora_files_and_their_strengths(loras, qapp, home):
    assert drop(loras, qapp, files(home / "style.safetensors"))
    assert not drop(loras, qapp, files(home / "style.txt"))
    loras.add_file(home / "style.ckpt")
    (message,) = loras.messages
    assert "style.ckpt" in message
    assert ".safetensors" in message
    loras.findChild(QDoubleSpinBox, "lora_strength").setValue(0.8)
    assert loras.value() == [f"{home / 'style.safetensors'}@0.8"]


def test_a_lora_can_be_dropped_anywhere_on_the_panel(panel, qapp, home):
    file = home / "style.safetensors"
    assert drop(panel, qapp, files(file))
    assert "takes no LoRAs" in panel.complaints[panel.picker].text()
    panel.picker.set_name(WITH_LORAS)
    assert drop(panel, qapp, files(file))
    assert panel.settings()["loras"] == [f"{file}@1"]
    assert panel.advanced.open
    assert not drop(panel, qapp, files(home / "first.png"))  # for the window


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://huggingface.co/owner/style", "owner/style"),
        ("hf.co/owner/style/tree/main?x=1", "owner/style"),
        ("https://huggingface.co/owner/style/blob/main/a.safetensors", "owner/style:a.safetensors"),
    ],
)
def test_a_lora_by_the_address_of_its_page(loras, address, name):
    loras.add_repository(address)
    assert loras.value() == [f"{name}@1"]
    assert loras.messages == []


def test_loras_that_come_back_and_go(loras):
    loras.set_value(["owner/repo:file.safetensors@-1.5", "me@home.safetensors"])
    assert loras.value() == ["owner/repo:file.safetensors@-1.5", "me@home.safetensors@1"]
    loras.findChild(QToolButton, "remove_lora").click()
    assert loras.value() == ["me@home.safetensors@1"]


def test_loras_from_the_hub(loras):
    _, from_hub = loras.findChild(QPushButton, "add_lora").menu().actions()
    from_hub.trigger()
    (dialog,) = loras.findChildren(QInputDialog)
    dialog.setTextValue(" owner/repo:fast.safetensors ")
    dialog.accept()
    loras.add_repository("owner/style")
    wrong = ("style", "/x/style.safetensors", "owner/style:")
    for name in wrong:
        loras.add_repository(name)
    assert loras.value() == ["owner/repo:fast.safetensors@1", "owner/style@1"]
    for name, message in zip(wrong, loras.messages, strict=True):
        assert name in message


@pytest.mark.parametrize("way", ["a file", "a repository"])
def test_a_few_step_lora_brings_its_settings(way, panel, home):
    card = CATALOG[WITH_LORAS]
    panel.picker.set_name(WITH_LORAS)
    panel.loras.add_file(home / "style.safetensors")
    assert panel.settings()["steps"] == card.defaults.steps and not panel.messages
    if way == "a file":
        panel.loras.add_file(home / "lightx2v_4step.safetensors")
    else:
        panel.loras.add_repository("lightx2v/loras:4step.safetensors")
    recipe = card.family.recipe(["lightx2v"])
    settings = panel.settings()
    assert recipe.settings.items() <= settings.items()
    assert len(settings["loras"]) == 2
    (message,) = panel.messages
    assert "4step" in message and f"{recipe.steps} steps" in message
