"""The player shows the right frame, takes keys and mouse, and survives bad files."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QImage
from PySide6.QtWidgets import QLabel, QToolButton

from mlxvid.gui.player import clip_view
from mlxvid.gui.player.player import NOTHING, Player
from mlxvid.gui.widgets.elided import ElidedLabel
from mlxvid.media.clip import Clip
from mlxvid.media.images import read_image
from tests.gui.clips import cut, levels, number_of, write_clip, write_foreign

from .controls import WAIT, check_reachable_and_whole


@pytest.fixture
def player(qtbot, tmp_path):
    player = Player(stills=tmp_path / "stills")
    qtbot.addWidget(player)
    player.resize(640, 480)
    player.show()
    player.activateWindow()
    qtbot.waitExposed(player)
    return player


def load(qtbot, player, path) -> None:
    """Open a clip, wait for all of it, and stop at its first frame."""
    with qtbot.waitSignal(player.reel.ended, timeout=WAIT):
        player.open(path)
    player.playhead.pause()
    player.playhead.seek(0)


def shown(player) -> int:
    return number_of(player.canvas.image)


def export_button(player) -> QToolButton:
    return player.findChild(QToolButton, "export")


def at(player, frame: float) -> QPoint:
    """Where the filmstrip has a frame."""
    strip = player.filmstrip
    return QPoint(round(frame / player.playhead.count * strip.width()), strip.height() // 2)


def test_plays_by_itself_as_soon_as_it_is_opened(tmp_path, qtbot, player):
    assert player.canvas.text == NOTHING and not player.playhead.playing
    path = write_clip(tmp_path / "clip.mp4", fps=50)
    player.open(path)
    qtbot.waitUntil(lambda: player.reel.complete and player.playhead.playing, timeout=WAIT)
    seen = set()
    player.playhead.moved.connect(lambda index: seen.add((index, shown(player))))
    qtbot.waitUntil(lambda: len(seen) == 9, timeout=WAIT)
    assert seen == {(index, index) for index in range(9)}
    assert player.path == path and player.playhead.fps == 50 and not player.playhead.trimmed


def test_every_frame_can_be_gone_to(tmp_path, qtbot, player):
    load(qtbot, player, write_foreign(tmp_path / "foreign.mp4"))
    for index in (4, 8, 0, 7):
        player.playhead.seek(index)
        assert shown(player) == index


def test_keys(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.setFocus()
    qtbot.waitUntil(player.canvas.hasFocus, timeout=WAIT)
    head = player.playhead

    def key(which: Qt.Key) -> None:
        qtbot.keyClick(player.canvas, which)

    key(Qt.Key.Key_Right)
    key(Qt.Key.Key_Right)
    assert head.index == 2 == shown(player)
    key(Qt.Key.Key_I)
    key(Qt.Key.Key_End)
    assert head.index == 8
    key(Qt.Key.Key_Left)
    key(Qt.Key.Key_O)
    assert (head.first, head.last) == (2, 7)
    key(Qt.Key.Key_Right)
    assert head.index == 2  # round, between the marks
    key(Qt.Key.Key_X)
    assert (head.first, head.last) == (0, 8)
    key(Qt.Key.Key_Home)
    assert head.index == 0
    key(Qt.Key.Key_BracketLeft)
    assert head.speed == 0.5
    key(Qt.Key.Key_BracketRight)
    key(Qt.Key.Key_BracketRight)
    assert head.speed == 1.5
    qtbot.keyClick(player.canvas, Qt.Key.Key_L, Qt.KeyboardModifier.ShiftModifier)
    assert not head.loop
    key(Qt.Key.Key_Z)
    assert player.canvas.actual


def test_the_speed_is_of_one_clip(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.playhead.set_speed(0.25)
    load(qtbot, player, write_clip(tmp_path / "other.mp4"))
    assert player.playhead.speed == 1


def test_a_click_plays_and_pauses(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    qtbot.mouseClick(player.canvas, Qt.MouseButton.LeftButton)
    assert player.playhead.playing
    qtbot.mouseClick(player.canvas, Qt.MouseButton.LeftButton)
    assert not player.playhead.playing


def test_scrubbing_follows_the_mouse_and_goes_on_playing(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.playhead.play()
    qtbot.mousePress(player.filmstrip, Qt.MouseButton.LeftButton, pos=at(player, 2.5))
    assert player.playhead.index == 2 and not player.playhead.playing
    for frame in (5, 8, 3):
        qtbot.mouseMove(player.filmstrip, at(player, frame + 0.5))
        assert player.playhead.index == frame == shown(player)
    qtbot.mouseMove(player.filmstrip, QPoint(-50, 10))
    assert player.playhead.index == 0
    qtbot.mouseMove(player.filmstrip, QPoint(9999, 10))
    assert player.playhead.index == 8
    qtbot.mouseRelease(player.filmstrip, Qt.MouseButton.LeftButton, pos=at(player, 4.5))
    assert player.playhead.playing


def test_marks_are_dragged_and_never_cross(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    head = player.playhead
    strip = player.filmstrip
    head.mark_in(2)
    head.mark_out(6)
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=at(player, 2) + QPoint(2, 0))
    qtbot.mouseMove(strip, at(player, 4.5))
    assert (head.first, head.last, head.index) == (4, 6, 4)
    qtbot.mouseMove(strip, at(player, 8.5))
    assert (head.first, head.last) == (6, 6)
    qtbot.mouseMove(strip, at(player, 1.5))
    qtbot.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=at(player, 1.5))
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=at(player, 7) - QPoint(2, 0))
    qtbot.mouseMove(strip, at(player, 3.5))
    qtbot.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=at(player, 3.5))
    assert (head.first, head.last, head.index) == (1, 3, 3)


def test_the_filmstrip_shows_the_frames_in_their_places(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    strip = player.filmstrip
    qtbot.waitUntil(lambda: not strip.drawing, timeout=WAIT)
    picture = strip.grab().toImage()
    assert len(strip.cells()) == 9
    for index, (place, _) in enumerate(strip.cells()):
        beside = place.center() + QPoint(8, 0)  # the playhead is in the middle of its frame
        colour = picture.pixelColor(beside * picture.devicePixelRatio())
        assert abs(colour.red() - (24 + 8 * index)) <= 4


def test_the_filmstrip_s_empty_places_are_filled_first(qtbot, player):
    player.show_frames(levels(24), 8)
    strip = player.filmstrip
    qtbot.waitUntil(lambda: not strip.drawing, timeout=WAIT)
    strip.resize(2 * strip.width(), strip.height())
    empty = [cell for cell, (_, picture) in enumerate(strip.cells()) if picture is None]
    assert empty
    assert strip.next_cells()[: len(empty)] == empty
    assert len(strip.next_cells()) == len(strip.cells())


def test_previews_keep_the_place_and_the_movement(qtbot, player):
    player.show_frames(levels(9), 8, "Step 1 of 20")
    head = player.playhead
    assert head.playing and shown(player) == 0  # the first one begins
    head.seek(5)
    player.show_frames(levels(9, tint=(0, 1, 0)), 8, "Step 2 of 20")
    assert head.playing
    assert shown(player) == head.index >= 5
    assert player.canvas.image.pixelColor(5, 5).red() == 0
    head.pause()
    head.seek(3)
    head.mark_in(2)
    for count in (9, 9, 9):
        player.show_frames(levels(count), 8)
    assert not head.playing and head.index == 3 == shown(player) and head.first == 2
    player.show_frames(levels(17), 8)
    assert head.index == 3 and head.last == 16
    assert player.path is None
    assert not export_button(player).isEnabled()


def test_a_preview_after_a_clip_and_a_clip_after_a_preview_begin_at_the_start(
    tmp_path, qtbot, player
):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.playhead.seek(6)
    player.playhead.mark_in(5)
    player.show_frames(levels(9), 8)
    assert player.playhead.index == 0 and player.playhead.playing and not player.playhead.trimmed
    player.playhead.seek(6)
    path = write_clip(tmp_path / "other.mp4", frames=5)
    player.open(path)
    qtbot.waitUntil(lambda: player.reel.complete, timeout=WAIT)
    assert player.playhead.count == 5
    assert player.playhead.playing
    assert export_button(player).isEnabled()


def test_a_corrupt_clip_is_a_message_in_the_player(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "good.mp4"))
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    with qtbot.waitSignal(player.message, timeout=WAIT) as said:
        player.open(bad)
    assert said.args[0] in player.canvas.text
    assert str(bad) in said.args[0]
    assert player.canvas.image is None
    assert player.playhead.count == 0
    assert not player.actual.isEnabled()
    with qtbot.waitSignal(player.message, timeout=WAIT) as said:
        player.open(tmp_path / "gone.mp4")
    assert str(tmp_path / "gone.mp4") in said.args[0]
    load(qtbot, player, tmp_path / "good.mp4")
    assert shown(player) == 0 and player.actual.isEnabled()


def test_a_cut_clip_plays_as_far_as_it_goes(tmp_path, qtbot, player):
    path = cut(write_clip(tmp_path / "cut.mp4", frames=25, width=160, height=96), 0.95)
    with qtbot.waitSignal(player.message, timeout=WAIT) as said:
        load(qtbot, player, path)
    assert "cut.mp4" in said.args[0]
    count = player.playhead.count
    assert 0 < count < 25
    player.playhead.seek(count - 1)
    assert shown(player) == count - 1
    player.playhead.seek(24)
    assert player.playhead.index == count - 1


def test_fit_and_actual_size(tmp_path, qtbot, player):
    image = QImage(QSize(48, 32), QImage.Format.Format_RGB888)
    area = QRectF(0, 0, 480, 480)
    canvas = player.canvas
    assert canvas.place(image, area) == QRectF(0, 80, 480, 320)
    canvas.set_actual(True)
    assert canvas.place(image, area) == QRectF(216, 224, 48, 32)
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.playhead.play()
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    qtbot.mouseMove(canvas, QPoint(110, 95))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=QPoint(110, 95))
    assert canvas.place(image, area) == QRectF(226, 219, 48, 32)
    assert player.playhead.playing  # a drag is no click
    canvas.set_pan(canvas.place(image, area).center() * 100)
    place = canvas.place(image, area)
    assert place.contains(area.center()) or place.topLeft() == area.center()


def test_a_small_preview_fills_the_space_at_actual_size_too(tmp_path, qtbot, player):
    image = QImage(QSize(12, 8), QImage.Format.Format_RGB888)
    area = QRectF(0, 0, 480, 480)
    player.canvas.set_actual(True)
    player.show_frames(levels(5), 8)
    assert player.canvas.place(image, area) == QRectF(0, 80, 480, 320)
    facts = player.findChild(ElidedLabel, "clip-facts")
    assert facts.text() == "Preview · 8 fps"
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    assert player.canvas.place(image, area) == QRectF(234, 236, 12, 8)
    assert "×" in facts.text()


@pytest.mark.parametrize("marked", [False, True])
def test_the_last_frame_becomes_a_picture(tmp_path, qtbot, player, marked):
    path = write_clip(tmp_path / "clip.mp4")
    whole = Clip.load(path).frames
    load(qtbot, player, path)
    if marked:
        player.playhead.mark_out(5)
    with qtbot.waitSignal(player.use_frame, timeout=WAIT) as used:
        player.frames.last.trigger()
    assert np.array_equal(read_image(used.args[1]), whole[5 if marked else 8])
    assert used.args[1].parent == tmp_path / "stills"
    player.playhead.seek(3)
    with qtbot.waitSignal(player.use_frame, timeout=WAIT) as used:
        player.frames.uses[0].trigger()
    assert np.array_equal(read_image(used.args[1]), whole[3])


def test_a_frame_of_a_preview_becomes_a_picture_too(qtbot, player):
    player.show_frames(levels(9), 8)
    with qtbot.waitSignal(player.use_frame, timeout=WAIT) as used:
        player.frames.last.trigger()
    assert np.array_equal(read_image(used.args[1]), levels(9)[-1])


def test_frames_that_memory_has_smaller_are_read_from_the_file(tmp_path, qtbot, monkeypatch):
    path = write_clip(tmp_path / "wide.mp4", width=320, height=64)
    monkeypatch.setattr(clip_view, "BUDGET", 9 * 256 * 51 * 3)
    player = Player(stills=tmp_path / "stills")
    qtbot.addWidget(player)
    load(qtbot, player, path)
    assert player.reel.reduced == (256, 51)
    assert "256×51" in player.findChild(QLabel, "clip-facts").text()
    with qtbot.waitSignal(player.use_frame, timeout=WAIT) as used:
        player.frames.last.trigger()
    assert np.array_equal(read_image(used.args[1]), Clip.load(path).frames[-1])


def test_a_picture_that_cannot_be_saved_is_reported(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    (tmp_path / "stills").write_text("a file where the folder should be")
    with qtbot.waitSignal(player.warning, timeout=WAIT) as said:
        player.frames.last.trigger()
    assert str(tmp_path / "stills" / "clip-last-") in said.args[0]


def test_what_nobody_sees_does_not_play(tmp_path, qtbot, player):
    load(qtbot, player, write_clip(tmp_path / "clip.mp4"))
    player.playhead.play()
    player.hide()
    assert not player.playhead.playing
    player.show()
    assert player.playhead.playing


@pytest.mark.parametrize("scale", [1, 1.25])
def test_controls_at_the_smallest_size(tmp_path, qtbot, qapp, scale):
    usual = qapp.font()
    larger = QFont(usual)
    larger.setPointSizeF(usual.pointSizeF() * scale)
    qapp.setFont(larger)
    try:
        player = Player()
        qtbot.addWidget(player)
        player.show()
        load(qtbot, player, write_clip(tmp_path / "clip.mp4", frames=25, fps=4))
        player.playhead.seek(24)
        player.resize(player.minimumSizeHint())
        qtbot.wait(20)
        assert player.width() <= 560 * scale
        check_reachable_and_whole(player)
    finally:
        qapp.setFont(usual)
