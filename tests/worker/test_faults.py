"""A fault of ours ends a job, never the worker; and events are JSON, whatever is in them."""

from __future__ import annotations

import io
import json
import math

import pytest

import mlxvid
from mlxvid.cli.events import as_json
from mlxvid.worker import serve

FAULTS = [
    KeyError("patch"),
    RecursionError("maximum recursion depth exceeded"),
    AssertionError(),
    RuntimeError("two\nlines"),
    OSError(5, "Input/output error"),
]


def job(number, **settings) -> dict:
    made = {"prompt": "a red ball", "steps": 1, "seed": 1, **settings}
    return {"op": "generate", "id": number, "output": f"{number}.mp4", "settings": made}


def events_of(requests: list[dict]) -> list[dict]:
    """What a worker in this process answers; every line is strict JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    lines = "".join(json.dumps(request) + "\n" for request in requests)
    events = io.StringIO()
    assert serve(io.StringIO(lines), events) == 0
    return [json.loads(line, parse_constant=refuse) for line in events.getvalue().splitlines()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_ends_the_job_and_the_next_is_done(here, tiny, monkeypatch, capsys, fault):
    predict = type(tiny.model).predict
    calls: list[int] = []

    def once(*args):
        calls.append(1)
        if len(calls) == 1:
            raise fault
        return predict(*args)

    monkeypatch.setattr(type(tiny.model), "predict", once)
    events = events_of([{"op": "load", "model": tiny.name}, job(1), job(2)])
    ends = [event for event in events if event["event"] in ("error", "saved")]
    assert [(event["event"], event["id"]) for event in ends] == [("error", 1), ("saved", 2)]
    assert ends[0]["kind"] == type(fault).__name__
    message = ends[0]["message"]
    assert type(fault).__name__ in message
    assert "report" in message and "log" in message
    assert "\n" not in message and message.endswith(".")
    log = capsys.readouterr().err
    assert "Traceback" in log
    assert "in once" in log
    assert [path.name for path in here.iterdir()] == ["2.mp4"]


def test_a_fault_while_a_request_is_read_ends_that_request(here, monkeypatch, capsys):
    monkeypatch.setattr("mlxvid.worker._Jobs.cancel", lambda *_: {}["x"])
    events = events_of([{"op": "cancel", "id": 1}, {"op": "dance"}])
    assert [event["event"] for event in events] == ["ready", "error", "error"]
    assert events[1]["kind"] == "KeyError"
    assert "Traceback" in capsys.readouterr().err


def test_a_mistake_of_the_clients_is_not_logged(here, capsys):
    events = events_of([job(1, steps=0), {"op": "load", "id": 2, "loras": [1]}])
    assert [event["event"] for event in events] == ["ready", "error", "error"]
    assert capsys.readouterr().err == ""


def test_notes_carry_the_id_of_the_job(here, tiny):
    jobs = [job("wide", width=40), job("long", frames=10), {"op": "cancel", "id": "none"}]
    events = events_of([{"op": "load", "model": tiny.name}, *jobs])
    notes = [event for event in events if event["event"] == "note"]
    by_id = {event["id"]: event["text"] for event in notes}
    assert set(by_id) == {"wide", "long", "none"}
    assert "40x32" in by_id["wide"]
    assert "10 frames" in by_id["long"]


def test_numbers_that_are_none_are_null():
    line = as_json({"event": "x", "a": math.nan, "b": [1, -math.inf, {"c": math.inf}], "d": "NaN"})
    assert json.loads(line) == {"event": "x", "a": None, "b": [1, None, {"c": None}], "d": "NaN"}


def test_loading_refuses_what_is_no_list_of_loras(tiny_folder):
    for wrong in ("style.safetensors", [1], [None], 5):
        with pytest.raises(mlxvid.SettingError, match="`loras`"):
            mlxvid.load(str(tiny_folder), loras=wrong)
