"""Clips whose files are missing are located, or leave the gallery."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel

from tests.gui.clips import add

from .steps import WAIT, has_still, select


@pytest.fixture
def moved(ids, database, folder, tmp_path):
    """The files of all clips in another folder."""
    new = tmp_path / "new place"
    folder.rename(new)
    return new


def notice_missing(qtbot, panel, *numbers: int) -> None:
    """Look at the tiles, and select these."""
    qtbot.waitUntil(lambda: panel.thumbnails.waiting == 0, timeout=WAIT)
    for number in numbers:
        panel.thumbnails.forget(number)
    panel.view.grab()
    for number in numbers:
        qtbot.waitUntil(lambda n=number: panel.thumbnails.broken(n) is not None, timeout=WAIT)
    select(panel, *numbers)


def line(panel) -> str:
    label = panel.findChild(QLabel, "missing")
    return label.text() if label.isVisible() else ""


def test_the_line_comes_with_missing_clips_only(qtbot, ids, panel, database):
    assert line(panel) == ""
    database.clip(ids[0]).path.unlink()
    database.clip(ids[1]).path.write_text("damaged")
    notice_missing(qtbot, panel, ids[0])
    assert "a red ball.mp4" in line(panel)
    notice_missing(qtbot, panel, ids[1])
    assert line(panel) == ""


def test_one_is_located_and_its_neighbours_with_it(qtbot, ids, panel, database, moved):
    database.set_favourites([ids[0]], True)
    notice_missing(qtbot, panel, ids[0])
    rows = [database.clip(ids[0])]
    with qtbot.waitSignal(panel.missing.located, timeout=WAIT):
        panel.missing.locate(rows, moved / "a red ball.mp4")
    assert {database.clip(number).path.parent for number in ids} == {moved}
    assert database.clip(ids[0]).favourite
    assert line(panel) == ""
    panel.view.grab()
    qtbot.waitUntil(lambda: all(has_still(panel, number) for number in ids), timeout=WAIT)


def test_several_are_located_by_their_folder(qtbot, ids, panel, database, moved):
    notice_missing(qtbot, panel, ids[0], ids[1])
    assert "2 files" in line(panel)
    rows = panel.view.rows()
    with qtbot.waitSignal(panel.message, timeout=WAIT) as said:
        panel.missing.locate(rows, moved)
    assert "3 clips" in said.args[0]


def test_another_clip_is_refused(qtbot, ids, panel, database, moved, tmp_path):
    notice_missing(qtbot, panel, ids[0])
    other = moved / "a blue star.mp4"
    for chosen, word in ((other, "another clip"), (tmp_path, "none")):
        with qtbot.waitSignal(panel.warning, timeout=WAIT) as said:
            panel.missing.locate([database.clip(ids[0])], chosen)
        assert word in said.args[0]
        assert "a red ball.mp4" in said.args[0]
    assert database.clip(ids[0]).path.parent != moved


def test_a_clip_that_came_in_anew_makes_room(qtbot, ids, panel, database, tmp_path):
    path = database.clip(ids[0]).path
    new = path.rename(tmp_path / "renamed.mp4")
    anew = add(database, tmp_path / "other.mp4", "other")
    database.move_clips({anew: new})
    database.move_clips({ids[0]: new})
    assert database.clip(anew) is None
    assert database.clip(ids[0]).path == new


def test_folders_of_frames_are_located_too(qtbot, database, panel, tmp_path):
    number = add(database, tmp_path / "frames", "frames")
    (tmp_path / "frames").rename(tmp_path / "moved")
    notice_missing(qtbot, panel, number)
    row = database.clip(number)
    with qtbot.waitSignal(panel.missing.located, timeout=WAIT):
        panel.missing.locate([row], tmp_path / "moved")
    assert database.clip(number).path == tmp_path / "moved"


def test_missing_clips_are_to_leave(qtbot, ids, panel, database, moved):
    notice_missing(qtbot, panel, ids[0], ids[1])
    with qtbot.waitSignal(panel.discarded) as asked:
        panel.missing.remove_button.click()
    assert {row.id for row in asked.args[0]} == {ids[0], ids[1]}
