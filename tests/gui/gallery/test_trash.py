"""Deleted clips go to the trash, and files are shown where they are."""

from __future__ import annotations

import os

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox

from mlxvid.errors import MediaError
from mlxvid.gui.core.trash import move_to_trash, show_in_file_manager
from tests.gui.clips import write_clip

from .steps import WAIT, select


def answer(qtbot, panel, role) -> str:
    """Press a button of the question; returns what it asked."""
    qtbot.waitUntil(
        lambda: any(box.isVisible() for box in panel.findChildren(QMessageBox)), timeout=WAIT
    )
    box = next(box for box in panel.findChildren(QMessageBox) if box.isVisible())
    text = box.text()
    button = next(button for button in box.buttons() if box.buttonRole(button) == role)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return text


def test_delete_asks_and_moves_to_the_trash(qtbot, ids, panel, database, folder, trash):
    select(panel, ids[0])
    qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
    assert (
        answer(qtbot, panel, QMessageBox.ButtonRole.RejectRole) == "Move “a red ball” to the Trash?"
    )
    assert (folder / "a red ball.mp4").exists() and database.clip(ids[0])
    whole = (folder / "a red ball.mp4").read_bytes()
    panel.ask_to_delete()
    answer(qtbot, panel, QMessageBox.ButtonRole.AcceptRole)
    assert database.clip(ids[0]) is None and not (folder / "a red ball.mp4").exists()
    assert (trash / "a red ball.mp4").read_bytes() == whole
    select(panel, *ids[1:])
    panel.ask_to_delete()
    assert (
        answer(qtbot, panel, QMessageBox.ButtonRole.AcceptRole)
        == "Move these 2 clips to the Trash?"
    )
    assert database.clips() == [] and sorted(os.listdir(trash)) == [
        "a blue star.mp4",
        "a red ball.mp4",
        "a red star.mp4",
    ]


def test_a_clip_that_cannot_be_moved_stays(qtbot, ids, panel, database, folder, trash, tmp_path):
    (tmp_path / "data" / "Trash").write_text("a file where the trash should be")
    said = []
    panel.warning.connect(said.append)
    path = database.clip(ids[0]).path
    (folder / "a blue star.mp4").unlink()
    panel.delete([database.clip(ids[0]), database.clip(ids[1])])
    assert path.exists() and database.clip(ids[0]) is not None
    assert len(said) == 1
    assert str(path) in said[0]
    assert "permissions" in said[0]
    assert database.clip(ids[1]) is None  # its file was gone already


def test_the_trash_takes_folders_too(tmp_path, folder, trash):
    move_to_trash(write_clip(folder / "frames"))
    assert len(list((trash / "frames").glob("frame_*.png"))) == 9
    with pytest.raises(MediaError, match="trash"):
        move_to_trash(folder / "none")


def test_show_in_file_manager_needs_a_file(tmp_path, qtbot, ids, panel, database):
    with pytest.raises(MediaError, match=r"none\.mp4"):
        show_in_file_manager(tmp_path / "none.mp4")
    select(panel, ids[0])
    database.clip(ids[0]).path.unlink()
    with qtbot.waitSignal(panel.warning) as said:
        panel.show_action.trigger()
    assert str(database.clip(ids[0]).path) in said.args[0]
