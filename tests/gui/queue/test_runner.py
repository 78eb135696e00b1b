"""A runner whose workers come to grief."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlxvid.gui.core.job_requests import plan_of
from mlxvid.gui.core.jobs import State
from mlxvid.gui.core.runner import DEATHS_IN_A_ROW, Runner
from mlxvid.gui.core.worker_client import WorkerClient
from tests.gui.queue.conftest import job

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
# Never ends by itself.
CANCELS = """
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "cancel":
        print(json.dumps({"id": request["id"], "event": "cancelled"}), flush=True)
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
    assert "was killed" in ended[0].message
    assert "memory" not in ended[0].message
    assert choices.find("mini").here
    assert database.timings("mini") == [(324, 40.0, 8.0)] * 2 and runner.current is None


def test_memory_is_named_where_the_plan_is_near_what_the_machine_has(
    make_runner, database, choices, qtbot
):
    runner = make_runner(WORKS)
    ended = []
    runner.ended.connect(ended.append)
    need = plan_of(job("die").settings, choices.machine).peak_bytes
    choices.set_machine(replace(choices.machine, usable=round(1.1 * need)))
    database.insert_jobs([job("die")])
    qtbot.waitUntil(lambda: ended != [])
    assert "memory ran out" in ended[0].message
    assert "close other programs" in ended[0].message
    assert ended[0].state is State.FAILED


def test_clips_too_large_for_the_memory_do_not_stop_the_others(
    make_runner, database, choices, qtbot
):
    runner = make_runner(WORKS)
    need = plan_of(job("die").settings, choices.machine).peak_bytes
    choices.set_machine(replace(choices.machine, usable=round(1.1 * need)))
    too_large = [job("die", seed=seed) for seed in range(DEATHS_IN_A_ROW + 1)]
    with qtbot.waitSignal(runner.saved, timeout=20000):
        database.insert_jobs([*too_large, job("a")])
    assert not runner.paused
    assert [one.state for one in database.jobs()] == [State.FAILED] * len(too_large)
    assert len(database.history()) == len(too_large) + 1
    assert all(past.seconds is not None for past in database.history())


def test_a_job_can_be_stopped_to_be_anything(make_runner, database, qtbot):
    runner = make_runner(CANCELS)
    database.insert_jobs([job("a")])
    runner.stop(State.INTERRUPTED, "Paused.")
    runner.stop(State.WAITING)  # it was thought better of
    with qtbot.waitSignal(runner.ended) as ended:
        pass
    assert (ended.args[0].state, ended.args[0].resume) == (State.WAITING, True)
    assert runner.current is not None  # it goes on
    with qtbot.waitSignal(runner.ended) as ended:
        runner.stop(State.INTERRUPTED, "Paused.")
    assert database.jobs()[0].message == "Paused."
    assert database.jobs()[0].state is State.INTERRUPTED


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
    for fact in ("macOS stopped the GPU", "display sleep", "let the GPU work longer"):
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


# Says of each job what was asked of it.
TELLS = """
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "generate":
        print(line, file=sys.stderr, flush=True)
"""


@pytest.mark.parametrize("wanted", [True, False])
def test_previews_are_made_where_they_are_wanted(make_runner, database, preferences, qtbot, wanted):
    preferences.previews = wanted
    preferences.file_names = "{seed} {prompt}"
    runner = make_runner(TELLS)
    with qtbot.waitSignal(runner._client.stderr_line, timeout=20_000) as told:
        database.insert_jobs([job("a ball", seed=5)])
    request = json.loads(told.args[0])
    assert request["previews"] is wanted
    assert request["output"] == str(preferences.clips_folder / "5 a-ball.mp4")
