"""Files that are dropped on the window, pasted into it, or opened with it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import (
    QFileOpenEvent,
    QImage,
)
from PySide6.QtWidgets import (
    QApplication,
)

from tests.gui.windows import SETTINGS, drop, said, write_clip


def test_a_picture_becomes_the_start(window, qapp, home):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "a.png")
    drop(window, qapp, home / "a.png")
    assert window.compose.settings()["image"] == str(home / "a.png")
    assert said(window) == ""


def test_pixels_become_the_start(window, qapp):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0)
    drop(window, qapp, image=image)
    dropped = window.compose.settings()["image"]
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    window.opening.paste()
    assert dropped.endswith(".png")
    assert window.compose.settings()["image"] not in (dropped, None)
    QApplication.clipboard().setText("words")
    window.opening.paste()
    assert said(window) == ""


def test_what_is_pasted_into_the_prompt_and_is_no_text_is_taken_as_if_it_had_been_dropped(
    window, qtbot, home
):
    image = QImage(20, 20, QImage.Format.Format_RGB32)
    image.fill(0xFF00FF00)
    QApplication.clipboard().setImage(image)
    qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert window.compose.settings()["image"].endswith(".png")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(write_clip(home / "clip.mp4")))])
    QApplication.clipboard().setMimeData(mime)
    qtbot.keyClick(window.compose.negative, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    # The clip's prompt, and no path in it.
    assert window.compose.settings()["prompt"] == "a blue star"
    for text in ("https://example.org/", " a fox"):
        QApplication.clipboard().setText(text)
        qtbot.keyClick(window.compose.prompt, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert window.compose.settings()["prompt"] == "a blue starhttps://example.org/ a fox"
    assert said(window) == ""


@pytest.mark.parametrize("ending", ["mp4", "gif", "webm", "mov"])
def test_a_clip_of_ours_gives_its_settings_back(window, qapp, home, ending):
    path = write_clip(home / f"clip.{ending}")
    drop(window, qapp, path)
    assert said(window) == ""
    assert window.stage.player.path == path
    not_composed = ("mlxvid", "keyframes")
    own = {name: value for name, value in SETTINGS.items() if name not in not_composed}
    assert own.items() <= window.compose.settings().items()
    assert window.compose.seed.locked


def test_a_folder_of_frames_gives_its_settings_back(window, qapp, home):
    drop(window, qapp, write_clip(home / "frames"))
    assert window.compose.settings()["prompt"] == "a blue star"


def test_what_is_not_ours_is_told_in_a_sentence(window, qapp, home):
    import av

    with av.open(str(home / "foreign.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
        for packet in stream.encode(frame) + stream.encode():
            file.mux(packet)
    before = window.compose.settings()
    drop(window, qapp, home / "foreign.mp4")
    assert "foreign.mp4 was not made with mlxvid" in said(window)
    (home / "notes.txt").write_text("hello")
    drop(window, qapp, home / "notes.txt")
    assert "notes.txt" in said(window)
    drop(window, qapp, home / "gone.mp4")
    assert "gone.mp4" in said(window)
    (home / "half.mp4").write_bytes(write_clip(home / "clip.mp4").read_bytes()[:300])
    drop(window, qapp, home / "half.mp4")
    assert "half.mp4" in said(window)
    write_clip(home / "arrays.mp4", {**SETTINGS, "latents": "given"})
    drop(window, qapp, home / "arrays.mp4")
    assert "arrays" in said(window)
    assert window.compose.settings() == before


def test_a_file_opened_in_the_finder(window, qapp, home):
    path = write_clip(home / "clip.mp4")
    qapp.file_opened.connect(window.opening.open_file)
    qapp.sendEvent(qapp, QFileOpenEvent(str(path)))
    assert window.stage.player.path == path
    assert window.compose.settings()["prompt"] == "a blue star"
    qapp.sendEvent(qapp, QFileOpenEvent(QUrl("mlxvid:nothing")))
    assert said(window) == ""
    assert window.stage.player.path == path
    qapp.file_opened.disconnect(window.opening.open_file)
