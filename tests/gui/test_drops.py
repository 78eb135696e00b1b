"""Files that are dropped on the window, pasted into it, or opened with it."""

from __future__ import annotations

import os

import av
import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent, QFileOpenEvent, QImage
from PySide6.QtWidgets import QApplication

from mlxvid.gui.core.drops import picture_thumbnail
from tests.gui.clips import levels, number_of, write_foreign
from tests.gui.windows import SETTINGS, drop, notice_buttons, said, write_clip
from tests.media.heic_files import write_heic

WAIT = 20_000


@pytest.fixture
def until(qtbot):
    """A function that waits until something holds."""
    return lambda holds: qtbot.waitUntil(lambda: bool(holds()), timeout=WAIT)


def test_a_picture_becomes_the_start(window, qapp, home, until):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "a.png")
    drop(window, qapp, home / "a.png")
    until(lambda: window.compose.settings().get("image") == str(home / "a.png"))
    write_heic(home / "phone.heic", np.full((64, 64, 3), (200, 30, 30), np.uint8), 64)
    drop(window, qapp, home / "phone.heic")
    until(lambda: window.compose.settings()["image"] == str(home / "phone.heic"))
    assert said(window) == ""


def test_a_picture_that_has_changed_is_read_again(home, qapp):
    path = home / "a.png"
    for value, stamp in ((0, 10), (200, 20)):
        Image.fromarray(np.full((20, 20, 3), value, np.uint8)).save(path)
        os.utime(path, (stamp, stamp))
        for _ in range(2):
            assert picture_thumbnail(path).pixelColor(5, 5).red() == value


def test_a_damaged_heic_says_what_to_do(window, qapp, home, until):
    path = home / "phone.heic"
    write_heic(path, np.full((64, 64, 3), (200, 30, 30), np.uint8), 64)
    path.write_bytes(path.read_bytes()[:200])
    drop(window, qapp, path)
    until(lambda: said(window))
    assert "phone.heic" in said(window) and "PNG" in said(window)


def test_pixels_become_the_start(window, qapp, until):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0)
    drop(window, qapp, image=image)
    until(lambda: "image" in window.compose.settings())
    dropped = window.compose.settings()["image"]
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    window.opening.paste()
    until(lambda: window.compose.settings()["image"] != dropped)
    assert dropped.endswith(".png")
    QApplication.clipboard().setText("words")
    window.opening.paste()
    assert said(window) == ""


def test_what_is_pasted_into_the_prompt_and_is_no_text_is_taken_as_if_it_had_been_dropped(
    window, qtbot, home, until
):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    until(lambda: window.compose.settings().get("image", "").endswith(".png"))
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(write_clip(home / "clip.mp4")))])
    QApplication.clipboard().setMimeData(mime)
    qtbot.keyClick(window.compose.negative, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    # The clip's prompt, and no path in it.
    until(lambda: window.compose.settings()["prompt"] == "a blue star")
    for text in ("https://example.org/", " a fox"):
        QApplication.clipboard().setText(text)
        qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert window.compose.settings()["prompt"] == "a blue starhttps://example.org/ a fox"
    assert said(window) == ""


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm", "mov"])
def test_a_clip_of_ours_gives_its_settings_back(window, qapp, home, ending, until):
    path = write_clip(home / f"clip.{ending}")
    drop(window, qapp, path)
    until(lambda: window.stage.player.path == path)
    assert said(window) == ""
    not_composed = ("mlxvid", "keyframes")
    own = {name: value for name, value in SETTINGS.items() if name not in not_composed}
    assert own.items() <= window.compose.settings().items()
    assert window.compose.seed.locked


def test_a_folder_of_frames_gives_its_settings_back(window, qapp, home, until):
    drop(window, qapp, write_clip(home / "frames"))
    until(lambda: window.compose.settings()["prompt"] == "a blue star")


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi", "webp"])
def test_any_film_plays_and_gives_its_frames(window, qapp, home, ending, until):
    path = home / f"film.{ending}"
    if ending == "webp":
        frames = [Image.fromarray(frame) for frame in levels(9)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=125, lossless=True)
    else:
        write_foreign(path)
    before = window.compose.settings()
    drop(window, qapp, path)
    player = window.stage.player
    until(lambda: player.path == path and player.reel.complete)
    assert player.playhead.count == 9
    assert window.compose.settings() == before
    assert said(window) == ""
    player.playhead.pause()
    player.playhead.seek(4)
    player.frames.uses[0].trigger()
    until(lambda: window.compose.settings().get("image"))
    assert number_of(QImage(window.compose.settings()["image"])) == 4
    player.frames.uses[1].trigger()
    until(lambda: window.compose.settings().get("keyframes"))
    player.frames.uses[2].trigger()
    until(lambda: window.compose.settings().get("last_image"))


def test_what_is_neither_is_told_in_a_sentence(window, qapp, home, until):
    before = window.compose.settings()
    shown = write_clip(home / "clip.mp4")
    (home / "notes.txt").write_text("hello")
    (home / "half.mp4").write_bytes(shown.read_bytes()[:300])
    for name in ("notes.txt", "gone.mp4", "half.mp4"):
        drop(window, qapp, home / name)
        until(lambda name=name: name in said(window))
    with av.open(str(home / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate = 44100
        for packet in stream.encode(sound) + stream.encode():
            file.mux(packet)
    drop(window, qapp, home / "sound.mp4")
    until(lambda: "sound.mp4" in said(window))
    assert window.stage.player.path is None
    assert window.compose.settings() == before


def test_a_clip_whose_settings_can_t_be_repeated_plays(window, qapp, home, until):
    before = window.compose.settings()
    path = write_clip(home / "arrays.mp4", {**SETTINGS, "latents": "given"})
    drop(window, qapp, path)
    until(lambda: "arrays" in said(window))
    assert window.stage.player.path == path
    assert window.compose.settings() == before


def test_of_several_files_the_first_is_opened_and_the_rest_told_of(window, qapp, home, until):
    paths = [write_clip(home / f"{name}.mp4") for name in "abc"]
    drop(window, qapp, *paths)
    until(lambda: window.stage.player.path == paths[0])
    assert "a.mp4" in said(window) and "3 files" in said(window)


def test_several_pictures_become_several_clips(window, qapp, home, until):
    window.runner.pause(True)
    pictures = [home / f"{name}.png" for name in "abc"]
    for picture in pictures:
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(picture)
    (home / "b.png").write_text("This is no picture.")
    drop(window, qapp, *pictures)
    until(lambda: "Make 3 clips, one from each picture?" in said(window))
    (make,) = notice_buttons(window)
    make.click()  # without a prompt
    until(window.compose.complaints[window.compose.prompt].isVisible)
    assert window.database.jobs() == [] and not window.undo_stack.canUndo()
    window.compose.prompt.set_text("a red ball")
    (make,) = [button for button in notice_buttons(window) if button.text() == "Make 3 Clips"]
    make.click()
    until(lambda: len(window.database.jobs()) == 2)
    images = [job.settings["image"] for job in window.database.jobs()]
    assert images == [str(home / "a.png"), str(home / "c.png")]
    assert "b.png" in said(window)
    window.undo_stack.undo()
    assert window.database.jobs() == []


def test_the_clip_in_view_is_not_dropped_on_itself(window, home):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(write_clip(home / "clip.mp4")))])

    class Dragged(QDropEvent):
        def source(self):
            return window.stage.player.canvas

    button = Qt.MouseButton.LeftButton
    copy = Qt.DropAction.CopyAction
    event = Dragged(QPointF(QPoint(5, 5)), copy, mime, button, Qt.KeyboardModifier.NoModifier)
    assert not window.opening.takes(event)


def test_a_file_opened_in_the_finder(window, qapp, home, until):
    path = write_clip(home / "clip.mp4")
    qapp.file_opened.connect(window.opening.open_file)
    qapp.sendEvent(qapp, QFileOpenEvent(str(path)))
    until(lambda: window.stage.player.path == path)
    assert window.compose.settings()["prompt"] == "a blue star"
    qapp.sendEvent(qapp, QFileOpenEvent(QUrl("mlxvid:nothing")))
    assert said(window) == ""
    assert window.stage.player.path == path
    qapp.file_opened.disconnect(window.opening.open_file)
