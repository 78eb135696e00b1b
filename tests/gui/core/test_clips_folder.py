"""Clips that no queue of this library has made come into it."""

from __future__ import annotations

import sqlite3

import pytest

from mlxvid.gui.core.clips_folder import ClipsFolder
from mlxvid.gui.core.database import Database
from tests.gui.clips import add, write_clip, write_foreign


@pytest.fixture
def folder(home):
    (home / "clips").mkdir()
    return home / "clips"


@pytest.fixture
def looking(database, preferences, folder, qtbot):
    looking = ClipsFolder(database, preferences)
    looking._timer.setInterval(50)
    looking._timer.start()
    yield looking
    looking.stop()


def names(database) -> list[str]:
    return sorted(clip.path.name for clip in database.clips())


def test_what_is_in_the_folder_comes_with_its_settings(folder, database, looking, qtbot):
    write_clip(folder / "a.mp4", prompt="a red ball", seed=4)
    write_clip(folder / "b.gif", prompt="a star")
    write_foreign(folder / "c.mp4")
    (folder / "d.txt").write_text("no clip")
    with qtbot.waitSignal(looking.found) as found:
        pass
    assert found.args == [2, folder]
    assert names(database) == ["a.mp4", "b.gif"]
    clip = next(clip for clip in database.clips() if clip.path.name == "a.mp4")
    assert (clip.prompt, clip.settings["seed"], clip.frames) == ("a red ball", 4, 9)
    assert (clip.width, clip.height, clip.fps) == (48, 32, 8)


def test_a_clip_that_is_put_back_or_copied_in_comes_while_the_app_runs(
    folder, database, looking, qtbot
):
    number = add(database, folder / "a.mp4")
    looking.look()
    (folder / "a.mp4").rename(folder.parent / "trash.mp4")
    database.remove_clips([number])
    qtbot.wait(200)
    assert names(database) == []
    (folder.parent / "trash.mp4").rename(folder / "a.mp4")
    qtbot.waitUntil(lambda: names(database) == ["a.mp4"])
    # A copy that takes its time.
    whole = write_clip(folder.parent / "whole.mp4").read_bytes()
    (folder / "b.mp4").write_bytes(whole[:100])
    qtbot.wait(200)
    assert names(database) == ["a.mp4"]
    (folder / "b.mp4").write_bytes(whole)
    qtbot.waitUntil(lambda: names(database) == ["a.mp4", "b.mp4"])


def test_what_is_known_is_not_added_again(folder, database, looking, qtbot):
    add(database, folder / "a.mp4")
    looking.look()
    qtbot.wait(200)
    assert names(database) == ["a.mp4"]


def test_a_library_of_a_later_version_stays_as_it_is(home, qapp, folder):
    database = Database()
    path = database.path
    database.close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    before = path.read_bytes()
    database = Database()
    assert "later" in database.notice
    assert path.read_bytes() == before
    add(database, folder / "a.mp4")
    database.close()
    again = Database()
    assert names(again) == ["a.mp4"]
    again.close()


@pytest.mark.parametrize("fault", ["damaged", "newer"])
def test_the_gallery_is_full_again_after_the_library_was_lost(
    open_window, home, folder, qtbot, fault
):
    (home / "data").mkdir()
    path = home / "data" / "library.sqlite"
    if fault == "damaged":
        path.write_bytes(b"garbage" * 500)
    else:
        later = sqlite3.connect(path)
        later.execute("PRAGMA user_version = 99")
        later.close()
    for name in "abc":
        write_clip(folder / f"{name}.mp4", prompt=name)
    window = open_window()
    qtbot.waitUntil(lambda: window.gallery.model.rowCount() == 3)
    assert any("3 clips found" in notice.text for notice in window.notices.notices)
