"""What is undone of pausing, cancelling, resuming and running next, with a worker that waits."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QUndoStack

from mlxvid.gui.core.jobs import PAUSED, State
from mlxvid.gui.queue.panel import QueuePanel
from tests.gui.queue.conftest import job

# Ends a job only where it is cancelled.
WAITS = """
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "cancel":
        print(json.dumps({"id": request["id"], "event": "cancelled"}), flush=True)
"""


@pytest.fixture
def panel(database, make_runner, qtbot):
    """A queue of three, the first of which runs."""
    stack = QUndoStack()
    runner = make_runner(WAITS)
    panel = QueuePanel(database, runner, stack)
    panel.stack = stack
    panel.runner = runner
    panel.database = database
    qtbot.addWidget(panel)
    panel.add([job("a"), job("b"), job("c")])
    return panel


def states(panel) -> dict[str, State]:
    return {one.title: one.state for one in panel.database.jobs()}


def running(panel) -> str:
    return panel.runner.current.title if panel.runner.current else ""


def test_cancel_and_undo(panel, qtbot):
    panel.cancel_current()
    qtbot.waitUntil(lambda: running(panel) == "b")
    assert states(panel)["a"] is State.CANCELLED
    assert [one.title for one in panel.model.jobs] == ["b", "c"]
    panel.stack.undo()
    assert states(panel)["a"] is State.WAITING
    assert panel.model.at(0).resume
    panel.stack.redo()
    assert states(panel)["a"] is State.CANCELLED


def test_cancel_undone_before_it_has_come_about(panel, qtbot):
    panel.cancel_current()
    panel.stack.undo()
    with qtbot.waitSignal(panel.runner.started) as started:
        pass
    assert started.args[0].title == "a" and started.args[0].resume


def test_pause_sets_aside_what_runs_and_what_waits(panel, qtbot):
    for row in (0, 2):
        panel.view.selectionModel().select(
            panel.model.index(row), panel.view.selectionModel().SelectionFlag.Select
        )
    panel.hold_action.trigger()
    qtbot.waitUntil(lambda: running(panel) == "b")
    assert states(panel) == {"a": State.INTERRUPTED, "b": State.RUNNING, "c": State.INTERRUPTED}
    assert [one.message for one in panel.model.jobs] == [PAUSED, "", PAUSED]
    panel.stack.undo()
    assert states(panel) == {"a": State.WAITING, "b": State.RUNNING, "c": State.WAITING}


def test_resume_and_undo_where_it_runs_by_then(panel, qtbot):
    number = panel.model.at(1).number
    panel.database.set_job_state(number, State.INTERRUPTED, "It was killed.")
    panel.cancel_current()
    qtbot.waitUntil(lambda: running(panel) == "c")
    panel.select(number)
    panel.resume()
    panel.cancel_current()
    qtbot.waitUntil(lambda: running(panel) == "b")
    panel.stack.undo()  # of cancelling c
    panel.stack.undo()  # of resuming b
    qtbot.waitUntil(lambda: running(panel) == "c")
    assert panel.database.job(number).state is State.INTERRUPTED
    assert panel.database.job(number).message == "It was killed."


def test_run_next_is_undone_at_once(panel):
    number = panel.model.at(2).number
    panel.database.set_job_state(number, State.INTERRUPTED, "It was killed.")
    panel.select(number)
    panel.run_next()
    assert [one.title for one in panel.model.jobs] == ["c", "a", "b"]
    assert states(panel)["c"] is State.WAITING
    panel.stack.undo()
    assert [one.title for one in panel.model.jobs] == ["a", "b", "c"]
    assert states(panel)["c"] is State.INTERRUPTED
