"""Clips that are to leave the gallery, and files that are shown where they are."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from mlxvid.errors import MediaError
from mlxvid.gui.core.trash import move_to_trash, show_in_file_manager
from tests.gui.clips import write_clip

from .steps import select


def test_what_is_selected_is_to_go(qtbot, ids, panel):
    select(panel, *ids[1:])
    with qtbot.waitSignal(panel.discarded) as asked:
        qtbot.keyClick(panel.view, Qt.Key.Key_Delete)
    assert {row.id for row in asked.args[0]} == set(ids[1:])


def test_the_next_clip_is_selected_after_one_has_gone(qtbot, ids, panel, database):
    select(panel, ids[1])
    database.remove_clips([ids[1]])
    assert [row.id for row in panel.view.rows()] == [ids[0]]  # below it
    database.remove_clips([ids[0]])
    assert [row.id for row in panel.view.rows()] == [ids[2]]  # above it, as none is below


def test_a_selection_is_not_touched_by_clips_that_go_elsewhere(ids, panel, database):
    select(panel, ids[2])
    database.remove_clips([ids[0]])
    assert [row.id for row in panel.view.rows()] == [ids[2]]
    panel.view.clearSelection()
    database.remove_clips([ids[1]])
    assert panel.view.rows() == []


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
