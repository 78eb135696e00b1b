"""Disks that are full, and files that others hold: the real worker, and nothing lost or doubled."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox

from mlxvid.gui.core.database import Database
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.preferences import Preferences
from mlxvid.media.clip import Clip
from tests.gui.test_flow import PATIENCE, SMALL
from tests.gui.windows import notice_buttons, said

# Bytes that SQLite's files of an empty library take, and some room.
LIBRARY = 400_000


def fill(folder: Path) -> Path:
    """Leave no byte free on a disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return ballast


def queue(window, *prompts: str) -> None:
    jobs = [Job({**SMALL, "prompt": prompt, "seed": 3}) for prompt in prompts]
    window.database.insert_jobs(jobs)


def press(window, label: str) -> None:
    next(button for button in notice_buttons(window) if button.text() == label).click()


@pytest.mark.parametrize("fault", ["full", "read-only", "locked"])
def test_a_library_that_cannot_be_written_stops_the_queue_and_makes_nothing_twice(
    open_window, qtbot, home, small_disk, fault
):
    data = small_disk(home / "data", LIBRARY) if fault == "full" else home / "data"
    window = open_window(command=None)
    begun = []
    window.runner.started.connect(lambda job: begun.append(job.title))
    window.runner.pause(True)
    queue(window, "a red ball", "a blue star")
    other = sqlite3.connect(data / "library.sqlite")

    def break_it(*_):
        if fault == "full":
            fill(data)
        elif fault == "locked":
            other.execute("BEGIN IMMEDIATE")
        else:
            window.database._connection.execute("PRAGMA query_only = 1")

    window.runner.started.connect(break_it)
    window.runner.pause(False)
    qtbot.waitUntil(lambda: window.runner.paused, timeout=PATIENCE)
    assert begun == ["a red ball"]
    assert window.runner.current is None
    assert len(list((home / "clips").glob("*.mp4"))) == 1
    qtbot.waitUntil(lambda: "the queue" in said(window).lower() and "paused" in said(window))
    assert len(window.notices.notices) == 1, said(window)
    press(window, "Resume Queue")  # it still can't be written
    qtbot.wait(100)
    assert begun == ["a red ball"]
    assert window.runner.paused
    window.runner.started.disconnect(break_it)
    if fault == "full":
        (data / "ballast").unlink()
    elif fault == "locked":
        other.rollback()
    else:
        window.database._connection.execute("PRAGMA query_only = 0")
    press(window, "Resume Queue")
    qtbot.waitUntil(lambda: len(window.database.clips()) == 2, timeout=PATIENCE)
    assert begun == ["a red ball", "a blue star"]
    assert window.database.jobs() == []
    assert len(list((home / "clips").glob("*.mp4"))) == 2
    other.close()


def test_what_was_owed_is_written_when_the_window_closes(open_window, qtbot, home):
    window = open_window(command=None)
    other = sqlite3.connect(home / "data" / "library.sqlite")
    window.runner.started.connect(lambda job: other.execute("BEGIN IMMEDIATE"))
    queue(window, "a red ball")
    qtbot.waitUntil(lambda: window.runner.paused, timeout=PATIENCE)
    assert window.database.jobs()[0].state is State.RUNNING
    other.rollback()
    window.quit_now()
    assert window.database.jobs() == []
    assert len(window.database.clips()) == 1
    other.close()


def test_a_window_whose_fields_can_not_be_kept_stays_open(open_window, home, small_disk):
    data = small_disk(home / "data", LIBRARY)
    window = open_window()
    ballast = fill(data)
    window.compose.prompt.set_text("a long prompt " * 2000)
    window.close()
    assert window.isVisible()
    assert f"can't be kept in {data}" in said(window)
    assert [button.text() for button in notice_buttons(window)] == ["Quit Anyway"]
    ballast.unlink()
    window.close()
    assert not window.isVisible()
    kept = Preferences().recall("compose", {})
    assert kept["settings"]["prompt"] == ("a long prompt " * 2000).strip()


def test_quit_anyway_does(open_window, home, small_disk):
    data = small_disk(home / "data", LIBRARY)
    window = open_window()
    fill(data)
    window.compose.prompt.set_text("a long prompt " * 2000)
    window.close()
    press(window, "Quit Anyway")
    assert not window.isVisible()


def denoised(window) -> list[int]:
    """The steps of denoising from now on, as they come."""
    steps: list[int] = []

    def note(job, event) -> None:
        if event["stage"] == "denoise":
            steps.append(event["step"])

    window.runner.progressed.connect(note)
    return steps


@pytest.mark.parametrize("way", ["again", "elsewhere"])
def test_a_disk_that_is_full_at_saving_costs_no_step(open_window, qtbot, home, small_disk, way):
    clips = small_disk(home / "clips", 100_000)
    ballast = fill(clips)
    window = open_window(command=None)
    with qtbot.waitSignal(window.runner.ended, timeout=PATIENCE) as ended:
        queue(window, "a red ball")
    assert ended.args[0].state is State.FAILED
    assert "make room" in said(window)
    assert "kept" in said(window)
    for part in ("--", "`", "decode"):
        assert part not in said(window).replace(str(home), "")
    steps = denoised(window)
    if way == "again":
        ballast.unlink()
        target = clips / "a-red-ball-3.mp4"
        press(window, "Save Again")
    else:
        target = home / "other" / "ball.mp4"
        target.parent.mkdir()
        press(window, "Save Elsewhere…")
        window.notices.findChild(QFileDialog).fileSelected.emit(str(target))
    qtbot.waitUntil(lambda: window.database.clips() != [], timeout=PATIENCE)
    assert [clip.path for clip in window.database.clips()] == [target]
    assert len(Clip.load(target).frames) == 9
    assert steps == []
    assert window.database.jobs() == []


def test_a_clip_that_is_stopped_in_the_decoder_is_decoded_when_it_is_resumed(
    open_window, qtbot, home
):
    window = open_window(command=None)

    def stop(job, event) -> None:
        if event["stage"] == "decode":
            window.runner.cancel()

    window.runner.progressed.connect(stop)
    with qtbot.waitSignal(window.runner.ended, timeout=PATIENCE) as ended:
        window.database.insert_jobs(
            [Job({**SMALL, "frames": 121, "prompt": "a red ball", "seed": 3, "force": True})]
        )
    assert ended.args[0].state is State.CANCELLED
    window.runner.progressed.disconnect(stop)
    steps = denoised(window)
    window.runner.resume(ended.args[0].number)
    qtbot.waitUntil(lambda: window.database.clips() != [], timeout=PATIENCE)
    assert steps == []


def freeze(folder: Path, how: str) -> None:
    """Have a disk write-protected ("ro"), or not ("rw")."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], check=True)


def test_a_clips_folder_that_cannot_be_written_brings_the_queue_to_rest(
    open_window, qtbot, home, small_disk, monkeypatch
):
    monkeypatch.delenv("MLXVID_CLIPS")
    disk = small_disk(home / "disk", 100_000)
    freeze(disk, "ro")
    window = open_window(command=None)
    window.preferences.clips_folder = disk
    window.compose.apply_settings({**SMALL, "prompt": "a red ball"})
    window.compose.generate()
    assert window.runner.paused
    assert [job.state for job in window.database.jobs()] == [State.WAITING]
    (notice,) = window.notices.notices
    assert str(disk) in notice.text
    assert [label for label, _ in notice.actions] == ["Choose Folder…", "Resume Queue"]
    press(window, "Choose Folder…")
    dialog = window.notices.findChild(QFileDialog)
    dialog.reject()
    assert window.notices.notices[0].text == notice.text
    press(window, "Choose Folder…")
    (home / "other").mkdir()
    window.notices.findChildren(QFileDialog)[-1].fileSelected.emit(str(home / "other"))
    qtbot.waitUntil(lambda: window.database.clips() != [], timeout=PATIENCE)
    assert window.database.clips()[0].path.parent == home / "other"
    assert window.notices.notices == []


def test_another_place_that_cannot_be_written_is_asked_for_again(
    open_window, qtbot, home, small_disk
):
    clips = small_disk(home / "clips", 100_000)
    ballast = fill(clips)
    disk = small_disk(home / "disk", 100_000)
    freeze(disk, "ro")
    window = open_window(command=None)
    with qtbot.waitSignal(window.runner.ended, timeout=PATIENCE):
        queue(window, "a red ball")
    press(window, "Save Elsewhere…")
    window.notices.findChild(QFileDialog).fileSelected.emit(str(disk / "ball.mp4"))
    qtbot.waitUntil(lambda: str(disk) in said(window))
    assert "kept" in said(window)
    assert not window.runner.paused
    steps = denoised(window)
    ballast.unlink()
    press(window, "Save Again")
    qtbot.waitUntil(lambda: window.database.clips() != [], timeout=PATIENCE)
    assert steps == []
    assert window.database.clips()[0].path.parent == clips


def test_a_library_that_cannot_be_written_at_the_start_is_shown_and_asked_about_at_the_end(
    open_window, home, small_disk
):
    data = small_disk(home / "data", LIBRARY)
    before = Database()
    before.insert_jobs([Job({**SMALL, "prompt": "a red ball"})])
    before.add_clip(home / "star.mp4", {"prompt": "a blue star"}, 16, 9, 64, 64)
    before.close()
    freeze(data, "ro")
    window = open_window()
    assert "nothing is kept when you quit" in said(window)
    assert [job.title for job in window.database.jobs()] == ["a red ball"]
    assert [clip.prompt for clip in window.database.clips()] == ["a blue star"]
    assert window.quitting.under_way() == []
    queue(window, "a green ring")
    window.close()
    assert window.isVisible()
    box = window.findChild(QMessageBox)
    assert "lost" in box.informativeText()
    box.reject()


def test_a_library_that_is_locked_at_the_start_leaves_no_clip_that_seems_to_be_made(
    open_window, home
):
    before = Database()
    (number,) = before.insert_jobs([Job({**SMALL, "prompt": "a red ball"})])
    before.set_job_state(number, State.RUNNING)
    before.close()
    other = sqlite3.connect(home / "data" / "library.sqlite")
    other.execute("BEGIN IMMEDIATE")
    window = open_window()
    assert "can't be written" in said(window)
    assert window.runner.paused
    other.rollback()
    press(window, "Resume Queue")
    assert [job.state for job in window.database.jobs()] == [State.INTERRUPTED]
    other.close()
