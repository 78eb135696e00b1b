"""The queue: its order and its undo, what the panel offers, and a runner whose workers come to
grief.
"""

from __future__ import annotations

import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QUndoStack

from mlxvid.gui.core.job_requests import lighter, loading_of, making_of, output_for, passes_of
from mlxvid.gui.core.jobs import Job, State
from mlxvid.gui.core.progress_text import duration, progress_text, share
from mlxvid.gui.core.runner import DEATHS_IN_A_ROW, Runner
from mlxvid.gui.core.worker_client import WorkerClient
from mlxvid.gui.queue.commands import EditJob
from mlxvid.gui.queue.list_model import JOB, PROGRESS
from mlxvid.gui.queue.panel import QueuePanel

SETTINGS = {
    "model": "mini",
    "prompt": "a ball",
    "width": 96,
    "height": 96,
    "frames": 33,
    "steps": 20,
    "guidance": 3.0,
    "seed": 5,
    "fps": 16.0,
}


def job(prompt: str, **settings) -> Job:
    return Job({**SETTINGS, "prompt": prompt, **settings})


@pytest.fixture
def make_runner(database, choices, preferences):
    """A function that makes a runner whose worker is this script."""
    clients = []

    def make(script="sys.stdin.read()"):
        clients.append(
            WorkerClient([sys.executable, "-S", "-c", f"import sys, os, json\n{script}"])
        )
        return Runner(database, clients[-1], choices, preferences)

    yield make
    for client in clients:
        client.shutdown()


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
        and "1 ended early" in panel._summary.text()
        and "Paused" in panel._summary.text()
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
        and passes_of({**SETTINGS, "guidance": 1.0, "sampler": "heun"}) == 40
    )


def test_names_of_clips(tmp_path):
    assert (
        output_for({"prompt": "Ein Käse, der FLIEGT!", "seed": 3}, tmp_path).name
        == "ein-käse-der-fliegt-3.mp4"
    )
    (tmp_path / "clip-3.mp4").touch()
    assert output_for({"prompt": "…/..", "seed": 3}, tmp_path).name == "clip-3-2.mp4"
    assert len(output_for({"prompt": "word " * 99, "seed": 3}, tmp_path).name) < 70


def test_what_to_lower(machine):
    assert (
        lighter(SETTINGS, machine) == "make the clip smaller or shorter, or close other programs"
    )  # Python itself is most of mini's need
    large = {**SETTINGS, "width": 1024, "height": 1024, "frames": 129}
    assert lighter(large, machine).startswith("try ") and "frames at 1024×1024" in lighter(
        large, machine
    )
    assert "close other programs" in lighter({**SETTINGS, "model": "/gone"}, machine)


# --- the runner -----------------------------------------------------------------------------------

DIES = "sys.stdin.readline(); os.kill(os.getpid(), 9)"
# Answers every "generate" but those whose prompt is "die".
WORKS = """
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    if request["op"] == "load":
        answer |= {"event": "loaded", "model": request["model"], "samplers": ["euler", "heun"]}
    elif request["op"] == "generate":
        if request["settings"]["prompt"] == "die":
            os.kill(os.getpid(), 9)
        settings = {"model": "mini", **request["settings"]}
        answer |= {"event": "saved", "path": request["output"], "seconds": 8.0}
        answer["settings"] = settings
    print(json.dumps(answer), flush=True)
"""


def test_the_queue_goes_on_after_a_death(make_runner, database, choices, qtbot):
    runner = make_runner(WORKS)
    ended = []
    saved = []
    runner.ended.connect(ended.append)
    runner.saved.connect(lambda number, path: saved.append(number))
    database.insert_jobs([job("a"), job("die"), job("b")])
    qtbot.waitUntil(lambda: len(saved) == 2)
    assert [row.prompt for row in database.clips()] == ["b", "a"] and database.clips()[
        0
    ].width == 96
    assert [one.title for one in database.jobs()] == ["die"] and ended[0].state is State.INTERRUPTED
    assert "memory ran out" in ended[0].message
    assert choices.find("mini").here
    assert database.timings("mini") == [(324, 40.0, 8.0)] * 2 and runner.current is None


def test_a_worker_that_always_dies_brings_the_queue_to_rest(make_runner, database, qtbot):
    runner = make_runner(DIES)
    with qtbot.waitSignal(runner.halted) as halted:
        database.insert_jobs([job(name) for name in "abcde"])
    assert f"{DEATHS_IN_A_ROW} times in a row" in halted.args[0] and runner.paused
    states = [one.state for one in database.jobs()]
    assert states == [State.INTERRUPTED] * DEATHS_IN_A_ROW + [State.WAITING] * (5 - DEATHS_IN_A_ROW)


# Aborts as MLX does where macOS stops the GPU: for the prompts "once" and "always", the first as
# long as it isn't resumed.
STOPPED = """
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    if request["op"] == "load":
        answer |= {"event": "loaded", "model": request["model"], "samplers": ["euler", "heun"]}
    else:
        prompt = request["settings"]["prompt"]
        resumed = request.get("resume"), request.get("smaller_pieces")
        if prompt == "always" or (prompt == "once" and resumed != (True, True)):
            words = "[METAL] Command buffer execution failed: Impacting Interactivity"
            print(words, file=sys.stderr, flush=True)
            os.abort()
        settings = {"model": "mini", **request["settings"]}
        answer |= {"event": "saved", "path": request["output"], "seconds": 8.0}
        answer["settings"] = settings
    print(json.dumps(answer), flush=True)
"""


def test_a_job_whose_worker_the_gpu_ended_goes_on_once(make_runner, database, qtbot):
    runner = make_runner(STOPPED)
    saved = []
    ended = []
    noted = []
    runner.saved.connect(lambda number, path: saved.append(number))
    runner.ended.connect(ended.append)
    runner.noted.connect(noted.append)
    database.insert_jobs([job("a"), job("once"), job("always"), job("b")])
    qtbot.waitUntil(lambda: len(saved) == 3, timeout=20000)
    assert [row.prompt for row in reversed(database.clips())] == ["a", "once", "b"]
    assert [(one.title, one.state) for one in ended] == [("always", State.INTERRUPTED)]
    for fact in ("macOS stopped the GPU", "display sleep", "AGX_RELAX_CDM_CTXSTORE_TIMEOUT=1"):
        assert fact in ended[0].message
    assert "memory" not in ended[0].message
    assert len(noted) == 2
    assert all("smaller pieces" in note for note in noted)


@pytest.mark.parametrize("when", ["begin", "end"])
def test_a_library_that_cannot_be_written_brings_the_queue_to_rest(
    make_runner, database, preferences, qtbot, when
):
    """A connection that only reads stands in for a full disk."""
    preferences.paused = True
    runner = make_runner(WORKS)
    begun = []
    halted = []
    runner.started.connect(begun.append)
    runner.halted.connect(halted.append)
    database.insert_jobs([job("a"), job("b")])

    def fill_the_disk(*_):
        database._connection.execute("PRAGMA query_only = 1")

    if when == "begin":
        fill_the_disk()
    else:
        runner.started.connect(fill_the_disk)
    runner.pause(False)
    qtbot.waitUntil(lambda: halted != [], timeout=20000)
    qtbot.wait(200)
    assert len(begun) == (0 if when == "begin" else 1)
    assert len(halted) == 1
    for fact in ("queue", "paused", str(database.path), "room"):
        assert fact in halted[0]
    assert runner.paused
    assert runner.current is None
    database._connection.execute("PRAGMA query_only = 0")
    if when == "end":
        runner.started.disconnect(fill_the_disk)
    runner.pause(False)
    qtbot.waitUntil(lambda: database.jobs() == [], timeout=20000)
    assert [one.title for one in begun] == ["a", "b"]  # each once
    assert len(database.clips()) == 2


def test_an_edit_that_cannot_be_written_loses_no_job(panel, database):
    number = panel.model.at(0).number
    command = EditJob(database, database.job(number), {**SETTINGS, "steps": 9})
    database._connection.execute("PRAGMA query_only = 1")
    panel.stack.push(command)
    database._connection.execute("PRAGMA query_only = 0")
    assert len(database.jobs()) == 3
    assert database.job(number).settings["steps"] == SETTINGS["steps"]


def test_a_worker_that_is_not_there(database, choices, preferences, qtbot):
    runner = Runner(database, WorkerClient(["/no/such/program"]), choices, preferences)
    with qtbot.waitSignal(runner.halted):
        database.insert_jobs([job(name) for name in "abcd"])
    assert [one.state for one in database.jobs()].count(
        State.INTERRUPTED
    ) == DEATHS_IN_A_ROW and runner.current is None
    assert "resume" in database.jobs()[0].message


def test_a_paused_queue_begins_nothing(make_runner, database, preferences, qtbot):
    preferences.paused = True
    runner = make_runner(WORKS)
    database.insert_jobs([job("a")])
    assert runner.current is None and database.jobs()[0].state is State.WAITING
    with qtbot.waitSignal(runner.saved):
        runner.pause(False)
    assert database.jobs() == []


def test_the_model_is_loaded_once_for_jobs_that_share_it(make_runner, database, home, qtbot):
    error = {"event": "error", "kind": "MediaError", "message": "The disk is full."}
    runner = make_runner(
        WORKS.replace(
            "os.kill(os.getpid(), 9)",
            f"print(json.dumps({{**answer, **{error}}}), flush=True); continue",
        )
    )
    with qtbot.waitSignal(runner.saved):
        database.insert_jobs([job("die"), job("b")])
    assert [(one.title, one.state, one.message) for one in database.jobs()] == [
        ("die", State.FAILED, "The disk is full.")
    ]
