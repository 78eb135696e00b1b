"""What leaves the gallery goes to the Trash, is told, and comes back."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from mlxvid.gui.core.jobs import Job, grouped
from mlxvid.gui.export.sheet import ExportSheet
from tests.gui.clips import add, write_clip
from tests.gui.windows import SETTINGS, notice_buttons, said


@pytest.fixture
def clips(window, home, trash):
    """Three clips of the window's library."""
    folder = home / "clips"
    folder.mkdir()
    numbers = [add(window.database, folder / f"{seed}.mp4", seed=seed) for seed in range(3)]
    return [window.database.clip(number) for number in numbers]


@pytest.fixture
def stack(window, home, trash):
    """Three takes of one prompt, which stand in one tile; and another clip."""
    folder = home / "clips"
    folder.mkdir()
    window.runner.pause(True)
    jobs = grouped([Job({**SETTINGS, "seed": seed}) for seed in range(3)])
    takes = []
    for seed, job in enumerate(window.database.insert_jobs(jobs)):
        path = write_clip(folder / f"take {seed}.mp4", seed=seed)
        made = {**SETTINGS, "seed": seed}
        takes.append(window.database.add_clip(path, made, 8, 9, 48, 32, job=job))
    add(window.database, folder / "another.mp4", seed=99)
    return takes


def throw_away(window, qtbot, *numbers: int) -> None:
    """Select the clips that are shown, and press Delete."""
    view = window.gallery.view
    view.clearSelection()
    for number in numbers:
        index = window.gallery.model.index_of(number)
        if index.isValid():
            view.selectionModel().select(index, view.selectionModel().SelectionFlag.Select)
    view.setFocus()
    qtbot.keyClick(view, Qt.Key.Key_Delete)


def test_clips_go_and_come_back_by_the_button(window, qtbot, clips, trash):
    whole = clips[0].path.read_bytes()
    throw_away(window, qtbot, clips[0].id, clips[1].id)
    assert "2 clips" in said(window) and "Trash" in said(window)
    assert window.database.clips() == [clips[2]]
    assert (trash / "0.mp4").read_bytes() == whole
    (back,) = notice_buttons(window)
    back.click()
    assert {clip.id for clip in window.database.clips()} == {clip.id for clip in clips}
    assert clips[0].path.read_bytes() == whole and said(window) == ""


def test_undo_and_redo_go_through_what_was_thrown_away(window, qtbot, clips):
    for clip in clips:
        throw_away(window, qtbot, clip.id)
    assert window.database.clips() == []
    for _ in clips:
        window.menus.undo.undo.trigger()
    assert len(window.database.clips()) == 3 and all(clip.path.exists() for clip in clips)
    window.menus.undo.redo.trigger()
    assert not clips[0].path.exists() and clips[1].path.exists()


def test_a_tile_goes_with_the_takes_behind_it(window, qtbot, stack, trash):
    throw_away(window, qtbot, *stack)
    assert "3 clips" in said(window)
    assert [clip.path.name for clip in window.database.clips()] == ["another.mp4"]
    window.undo_stack.undo()
    (tile,) = [place for place in map(window.gallery.model.index_of, stack) if place.isValid()]
    window.gallery.model.toggle_stack(tile)
    throw_away(window, qtbot, stack[1])  # of an open one only those that are selected
    assert "1 clip" in said(window) and len(window.database.clips()) == 3


def test_a_tile_is_exported_with_the_takes_behind_it(window, stack):
    (tile,) = [place for place in map(window.gallery.model.index_of, stack) if place.isValid()]
    window.gallery.view.setCurrentIndex(tile)
    window.gallery.export_action.trigger()
    (sheet,) = window.findChildren(ExportSheet)
    assert "3 clips" in sheet.findChild(object, "export-facts").text()
    sheet.reject()


def test_a_clip_that_cannot_be_moved_stays(window, qtbot, clips, home):
    (home / "data" / "Trash").write_text("a file where the trash should be")
    clips[1].path.unlink()
    throw_away(window, qtbot, clips[0].id, clips[1].id)
    assert clips[0].path.exists() and window.database.clip(clips[0].id) is not None
    assert str(clips[0].path) in said(window) and "permissions" in said(window)
    assert window.database.clip(clips[1].id) is None  # its file was gone already
    assert "removed from the gallery" in said(window)
    window.undo_stack.undo()
    assert window.database.clip(clips[1].id) == clips[1]


def test_nothing_is_said_to_be_gone_where_nothing_went(window, qtbot, clips, home):
    (home / "data" / "Trash").write_text("a file where the trash should be")
    throw_away(window, qtbot, clips[0].id)
    assert "Put Back" not in [button.text() for button in notice_buttons(window)]
    assert not window.undo_stack.canUndo()


def test_the_next_clip_is_shown_where_the_one_in_view_went(window, qtbot, clips):
    window.stage.open(clips[1].path)
    window.stage.player.viewed.emit()
    throw_away(window, qtbot, clips[1].id)
    assert window.stage.player.path == clips[0].path
    throw_away(window, qtbot, clips[2].id)  # another than that in view
    assert window.stage.player.path == clips[0].path
