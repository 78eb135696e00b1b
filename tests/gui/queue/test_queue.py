"""The queue: its order and its undo, and what the panel offers."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QUndoStack

from mlxvid.gui.core.job_requests import (
    lighter,
    loading_of,
    making_of,
)
from mlxvid.gui.core.jobs import State
from mlxvid.gui.core.progress_text import duration, progress_text, share
from mlxvid.gui.queue.commands import EditJob
from mlxvid.gui.queue.list_model import JOB, PROGRESS
from mlxvid.gui.queue.panel import QueuePanel
from mlxvid.run.evaluations import passes_of
from tests.gui.queue.conftest import SETTINGS, job


@pytest.fixture
def panel(database, make_runner, preferences, qtbot):
    """A queue of three that rests."""
    preferences.paused = True
    stack = QUndoStack()
    panel = QueuePanel(database, make_runner(), stack)
    panel.stack = stack
    qtbot.addWidget(panel)
    panel.add([job("a"), job("b"), job("c")])
    return panel


def order(panel) -> str:
    return "".join(panel.model.index(row).data() for row in range(panel.model.rowCount()))


def choose(panel, *rows) -> None:
    panel.view.clearSelection()
    for row in rows:
        panel.view.selectionModel().select(
            panel.model.index(row), panel.view.selectionModel().SelectionFlag.Select
        )


# --- the panel ------------------------------------------------------------------------------------


def test_remove_and_undo(panel):
    choose(panel, 0, 2)
    panel.remove_action.trigger()
    assert order(panel) == "b"
    panel.stack.undo()
    assert order(panel) == "abc"
    panel.stack.redo()
    assert order(panel) == "b"
    for _ in range(2):
        panel.stack.undo()
    assert order(panel) == ""
    panel.stack.redo()
    assert order(panel) == "abc"


def test_reorder_by_dragging(panel):
    data = panel.model.mimeData([panel.model.index(2)])
    assert not panel.model.dropMimeData(data, Qt.DropAction.MoveAction, 0, 0, panel.model.index(-1))
    assert order(panel) == "cab"
    data = panel.model.mimeData([panel.model.index(0), panel.model.index(1)])
    panel.model.dropMimeData(data, Qt.DropAction.MoveAction, -1, -1, panel.model.index(-1))
    assert order(panel) == "bca"
    panel.stack.undo()
    panel.stack.undo()
    assert order(panel) == "abc"


def test_reorder_by_keys_keeps_the_selection(panel):
    choose(panel, 2)
    panel.up_action.trigger()
    assert order(panel) == "acb" and [one.title for one in panel.chosen()] == ["c"]
    panel.down_action.trigger()
    panel.down_action.trigger()  # it is the last already
    assert order(panel) == "abc" and [one.title for one in panel.chosen()] == ["c"]
    panel.next_action.trigger()
    assert order(panel) == "cab"


def test_a_duplicate_has_another_seed(panel):
    choose(panel, 1)
    panel.duplicate_action.trigger()
    assert order(panel) == "abcb" and [one.settings["seed"] for one in panel.model.jobs] == [
        5,
        5,
        5,
        6,
    ]


def test_duplicates_of_duplicates_are_all_different(panel):
    choose(panel, 0)
    for _ in range(2):
        panel.duplicate_action.trigger()
    choose(panel, 0, 3)
    panel.duplicate_action.trigger()
    seeds = [job.settings["seed"] for job in panel.model.jobs if job.title == "a"]
    assert seeds == [5, 6, 7, 8, 9]


def test_edit_hands_over_the_job(panel, qtbot):
    choose(panel, 0, 1)
    assert not panel.edit_action.isEnabled()
    choose(panel, 1)
    with qtbot.waitSignal(panel.edit) as edit:
        panel.edit_action.trigger()
    assert edit.args[0].title == "b"


def test_the_running_job_can_not_be_touched(panel, database):
    first = panel.model.at(0)
    database.set_job_state(first.id, State.RUNNING)
    choose(panel, 0)
    assert (
        not panel.remove_action.isEnabled()
        and not panel.edit_action.isEnabled()
        and panel.duplicate_action.isEnabled()
    )
    assert not panel.model.flags(panel.model.index(0)) & Qt.ItemFlag.ItemIsDragEnabled
    panel.stack.undo()  # of adding all three
    assert order(panel) == "a"
    panel.stack.redo()
    assert order(panel) == "abc"


def test_what_ended_early_is_offered_for_resume(panel, database):
    assert panel._resume_button.isHidden()
    database.set_job_state(panel.model.at(1).id, State.INTERRUPTED, "It was killed.")
    choose(panel, 1)
    assert (
        not panel._resume_button.isHidden()
        and "1\u00a0interrupted" in panel._summary.text()
        and "Queue\u00a0paused" in panel._summary.text()
    )
    assert "interrupted. It was killed." in panel.model.index(1).data(
        Qt.ItemDataRole.AccessibleTextRole
    )
    panel.resume_action.trigger()
    assert panel.model.at(1).state is State.WAITING and panel.model.at(1).resume


def test_progress_belongs_to_the_job_that_runs(panel, database):
    first = panel.model.at(0)
    database.set_job_state(first.id, State.RUNNING)
    event = {"stage": "denoise", "step": 5, "total": 20, "remaining": 65.0}
    panel.model.set_progress(first, event)
    assert (
        panel.model.index(0).data(PROGRESS) == event and panel.model.index(1).data(PROGRESS) == {}
    )
    assert panel.model.index(0).data(JOB).title == "a" and not panel.grab().isNull()
    database.set_job_state(first.id, State.CANCELLED)
    assert panel.model.index(0).data(PROGRESS) == {} and not panel.grab().isNull()


def test_times_and_progress_in_words():
    assert progress_text({}) == "Starting…"
    assert (
        progress_text({"stage": "denoise", "step": 5, "total": 20, "remaining": 65.0})
        == "Denoising, step 6 of 20 · 1 min 5 s to go"
    )
    skipped = {"stage": "denoise", "step": 9, "total": 20, "remaining": None, "skipped": 4}
    assert progress_text(skipped) == "Denoising, step 10 of 20 · 4 left out"
    assert (
        progress_text({"stage": "denoise", "step": 20, "total": 20, "remaining": 0.0})
        == "Denoising, step 20 of 20"
    )
    assert (
        progress_text({"stage": "download", "step": 1234, "total": 28929, "remaining": None})
        == "Downloading the model, 1,234 of 28,929 MB"
    )
    assert (
        progress_text({"stage": "polish", "step": 0, "total": 2, "remaining": None})
        == "Polish, step 1 of 2"
    )
    assert [duration(s) for s in (0.2, 59.6, 725, 3600, 7500)] == [
        "1 s",
        "1 min",
        "12 min",
        "1 h",
        "2 h 5 min",
    ]
    stages = [
        ("encode", 1, 1),
        ("denoise", 0, 9),
        ("denoise", 9, 9),
        ("decode", 3, 9),
        ("save", 9, 9),
    ]
    shares = [
        share({"stage": stage, "step": step, "total": total}) for stage, step, total in stages
    ]
    assert (
        shares == sorted(shares)
        and shares[-1] == 1.0
        and share({}) == 0.0 == share({"stage": "save", "step": 0, "total": 0})
    )
    third_step = {"stage": "denoise", "step": 2, "total": 4}
    half = share({**third_step, "fraction": 0.5})
    assert share(third_step) < half < share({**third_step, "step": 3})


# --- requests -------------------------------------------------------------------------------------


def test_settings_become_requests():
    settings = {
        **SETTINGS,
        "quantize": 8,
        "loras": [],
        "negative_prompt": "",
        "mlxvid": "0.1.0",
        "keyframes": {},
        "revision": None,
        "force": True,
    }
    assert loading_of(settings) == {"model": "mini", "quantize": 8} and loading_of({}) == {
        "model": "mini"
    }
    assert making_of(settings) == {
        name: value for name, value in SETTINGS.items() if name != "model"
    }
    assert (
        passes_of(SETTINGS) == 40
        and passes_of({**SETTINGS, "guidance": 1.0, "sampler": "heun"}) == 39
    )


def test_what_to_lower(machine):
    assert (
        lighter(SETTINGS, machine) == "make the clip smaller or shorter, or close other programs"
    )  # Python itself is most of mini's need
    large = {**SETTINGS, "width": 1024, "height": 1024, "frames": 129}
    assert lighter(large, machine).startswith("try ") and "frames at 1024×1024" in lighter(
        large, machine
    )
    assert "close other programs" in lighter({**SETTINGS, "model": "/gone"}, machine)


def test_an_edit_that_cannot_be_written_loses_no_job(panel, database):
    number = panel.model.at(0).number
    command = EditJob(database, database.job(number), {**SETTINGS, "steps": 9})
    database._connection.execute("PRAGMA query_only = 1")
    panel.stack.push(command)
    database._connection.execute("PRAGMA query_only = 0")
    assert len(database.jobs()) == 3
    assert database.job(number).settings["steps"] == SETTINGS["steps"]
