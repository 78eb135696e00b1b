"""Frames of the clip in view are saved, copied and dragged out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDrag, QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QToolButton

from mlxvid.gui.player import clip_view
from mlxvid.gui.player.player import Player
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image
from tests.gui.clips import levels, number_of, write_clip

from .controls import WAIT


@pytest.fixture
def player(tmp_path, qtbot):
    player = Player(stills=tmp_path / "stills")
    qtbot.addWidget(player)
    player.resize(640, 480)
    player.show()
    qtbot.waitExposed(player)
    return player


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4")


def load(qtbot, player, path) -> None:
    with qtbot.waitSignal(player.reel.ended, timeout=WAIT):
        player.open(path)
    player.playhead.pause()
    player.playhead.seek(4)


def pixels(image: QImage) -> np.ndarray:
    """uint8 [H, W, 3]."""
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    return np.array(image.constBits()).reshape(image.height(), image.width(), 4)[..., :3]


def test_a_frame_is_saved_as_it_is(tmp_path, qtbot, player, clip, monkeypatch):
    load(qtbot, player, clip)
    target = tmp_path / "a frame.png"
    asked = []

    def ask(parent, title, start, pattern):
        asked.append(start)
        return str(target), pattern

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    with qtbot.waitSignal(player.message, timeout=WAIT) as said:
        player.frames.save.trigger()
    assert "a frame.png" in said.args[0]
    assert asked[0].endswith("clip 0005.png")
    assert np.array_equal(read_image(target), Clip.load(clip).frames[4])
    with Image.open(target) as picture:
        assert "srgb" in picture.info or "icc_profile" in picture.info
    target = tmp_path / "frame.tiff"
    with qtbot.waitSignal(player.warning, timeout=WAIT) as said:
        player.frames.save.trigger()
    assert "frame.tiff" in said.args[0] and not target.exists()


def test_a_frame_is_copied_at_the_clip_s_own_size(tmp_path, qtbot, player, clip):
    load(qtbot, player, clip)
    for copy in (player.frames.copy.trigger, player.canvas.copy):
        QGuiApplication.clipboard().clear()
        with qtbot.waitSignal(player.message, timeout=WAIT):
            copy()
        copied = QGuiApplication.clipboard().image()
        assert np.array_equal(pixels(copied), Clip.load(clip).frames[4])
        assert copied.colorSpace().isValid()


def test_frames_are_for_the_setting_that_was_chosen(qtbot, player, clip):
    load(qtbot, player, clip)
    for use, setting in zip(player.frames.uses, ("image", "keyframes", "last_image"), strict=True):
        with qtbot.waitSignal(player.use_frame, timeout=WAIT) as used:
            use.trigger()
        assert used.args[0] == setting
        assert number_of(read_image(used.args[1])) == 4


def test_a_preview_s_frame_can_be_copied_too(qtbot, player):
    player.show_frames(levels(9), 8)
    player.playhead.seek(2)
    player.playhead.pause()
    with qtbot.waitSignal(player.message, timeout=WAIT):
        player.frames.copy.trigger()
    assert number_of(QGuiApplication.clipboard().image()) == player.playhead.index


def test_the_clip_is_dragged_out_as_a_file(qtbot, player, clip, monkeypatch):
    dragged = []

    def exec_(drag, actions):
        assert actions == Qt.DropAction.CopyAction
        dragged.append([url.toLocalFile() for url in drag.mimeData().urls()])

    monkeypatch.setattr(QDrag, "exec", exec_)

    def drag() -> None:
        qtbot.mousePress(player.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
        for x in (105, 130, 160):
            qtbot.mouseMove(player.canvas, QPoint(x, 100))
        qtbot.mouseRelease(player.canvas, Qt.MouseButton.LeftButton, pos=QPoint(160, 100))

    player.show_frames(levels(9), 8)
    drag()
    assert dragged == []
    load(qtbot, player, clip)
    drag()
    assert dragged == [[str(clip)]]
    assert not player.playhead.playing  # a drag is no click
    player.actual.setChecked(True)
    drag()  # moves the picture instead
    assert len(dragged) == 1


def test_marks_are_told_as_a_length(qtbot, player, clip):
    load(qtbot, player, clip)
    clear = player.findChild(QToolButton, "clear-marks")
    assert clear.isHidden()
    player.playhead.mark_in(2)
    assert player.filmstrip.marked == "0.9 s, 7 frames"
    player.playhead.mark_out(2)
    assert player.filmstrip.marked == "0.1 s, 1 frame"
    player.filmstrip.grab()
    clear.click()
    assert clear.isHidden() and not player.playhead.trimmed


def test_the_zoom_says_what_it_is(qtbot, player, clip):
    zoom = player.findChild(QToolButton, "zoom")
    load(qtbot, player, clip)
    width = player.canvas.width()
    height = player.canvas.height()
    assert zoom.text() == f"{min(width / 48, height / 32):.0f}×"
    player.resize(480, 300)
    assert zoom.text() == f"{100 * player.canvas.zoom:.0f} %"
    zoom.click()
    assert zoom.text() == "100 %" and zoom.isChecked()
    player.clear()
    assert zoom.text() == "1:1"


def test_a_narrow_row_spares_what_the_menu_has(qtbot, player, clip):
    load(qtbot, player, clip)
    spared = [player.findChild(QToolButton, name) for name in ("zoom", "speed")]
    player.resize(800, 300)
    assert all(one.isVisible() for one in spared)
    player.resize(player.minimumSizeHint().width(), 300)
    qtbot.waitUntil(lambda: not any(one.isVisible() for one in spared))
    player.resize(800, 300)
    qtbot.waitUntil(lambda: all(one.isVisible() for one in spared))


def test_a_clip_that_memory_has_smaller_is_as_large_and_as_sharp_as_it_is(
    tmp_path, qtbot, monkeypatch
):
    path = write_clip(tmp_path / "wide.mp4", width=320, height=64)
    monkeypatch.setattr(clip_view, "BUDGET", 9 * 256 * 51 * 3)
    player = Player()
    qtbot.addWidget(player)
    player.resize(800, 400)
    player.show()
    load(qtbot, player, path)
    player.actual.setChecked(True)
    canvas = player.canvas
    assert canvas.image.width() == 256
    place = canvas.place(canvas.image, canvas.rect().toRectF())
    assert (round(place.width()), round(place.height())) == (320, 64)
    qtbot.waitUntil(lambda: canvas.image.width() == 320, timeout=WAIT)
    assert np.array_equal(pixels(canvas.image), Clip.load(path).frames[4])
    player.playhead.step(1)
    assert canvas.image.width() == 256
    qtbot.waitUntil(lambda: canvas.image.width() == 320, timeout=WAIT)
    assert np.array_equal(pixels(canvas.image), Clip.load(path).frames[5])
