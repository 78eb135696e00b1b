"""The protocol's client, whatever bytes come and however the process ends: the workers here are
scripts that do what a broken one might.
"""

from __future__ import annotations

import json
import os
import signal
import sys

import numpy as np
import pytest

from mlxvid.cli.events import strip
from mlxvid.errors import MediaError
from mlxvid.gui.core import worker_client
from mlxvid.gui.core.commands import worker_command
from mlxvid.gui.core.previews import Previews, frames_of_preview
from mlxvid.gui.core.protocol import SHOWN, LineParser
from mlxvid.gui.core.worker_client import LAST_WORDS, WorkerClient
from mlxvid.metal_errors import MEMORY, VICTIM, WATCHDOG
from tests.gui.windows import runs

NOTE = {"event": "note", "text": "Größe"}
PROGRESS = {
    "event": "progress",
    "id": 1,
    "stage": "denoise",
    "step": 1,
    "total": 4,
    "elapsed": 0.1,
    "remaining": None,
}


def line(event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode() + b"\n"


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_come_whole_from_pieces_of_any_size(size):
    parser = LineParser()
    data = line(NOTE) + b"\n  \n" + line(PROGRESS)
    events = []
    for begin in range(0, len(data), size):
        found, strange = parser.feed(data[begin : begin + size])
        events += found
        assert strange == []
    assert events == [NOTE, PROGRESS]


def test_half_a_line_waits_for_its_rest():
    parser = LineParser()
    assert parser.feed(line(NOTE)[:-5]) == ([], [])
    assert parser.feed(line(NOTE)[-5:] + line(NOTE)[:3]) == ([NOTE], [])
    assert parser.feed(b"") == ([], [])


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello",
        b"[1, 2]",
        b'{"no": "event"}',
        b'{"event": 3}',
        b"\xff\xfe\x00",
        b"{" * 5000,
        b'{"event": "note"}',
        b'{"event": "saved", "path": 3}',
        b'{"event": "progress", "id": 1, "stage": "denoise", "step": "1", "total": 4, '
        b'"remaining": null}',
    ],
)
def test_what_is_no_event_is_told_and_passed_over(garbage):
    events, strange = LineParser().feed(line(NOTE) + garbage + b"\n" + line(PROGRESS))
    assert events == [NOTE, PROGRESS]
    assert strange == [garbage[:SHOWN].decode("utf-8", "replace")]


def test_events_of_later_protocols_are_events():
    assert LineParser().feed(b'{"event": "moon", "phase": 3}\n') == (
        [{"event": "moon", "phase": 3}],
        [],
    )


def test_a_line_without_end_does_not_fill_the_memory():
    parser = LineParser(max_line=1000)
    strange = []
    for _ in range(50):
        events, more = parser.feed(b"x" * 300)
        strange += more
        assert events == [] and len(parser._rest) <= 1000
    assert strange == ["x" * SHOWN]
    assert parser.feed(b"x\n" + line(NOTE)) == ([NOTE], [])


# --- the process ----------------------------------------------------------------------------------


class Heard:
    """Everything that a client emits."""

    def __init__(self, client):
        self.events = []
        self.deaths = []
        self.failures = []
        self.strange = []
        self.silences = []
        self.errors = []
        client.event_received.connect(self.events.append)
        client.died.connect(
            lambda how, failure: (self.deaths.append(how), self.failures.append(failure))
        )
        client.strange_line.connect(self.strange.append)
        client.silent.connect(self.silences.append)
        client.stderr_line.connect(self.errors.append)


@pytest.fixture
def run(qtbot):
    """A function that makes a client of a worker with this script, and what it hears."""
    clients = []

    def make(script, silence=60.0):
        command = [
            sys.executable,
            "-S",
            "-c",
            f"import sys, os, time\nsay = lambda t: print(t, flush=True)\n{script}",
        ]
        clients.append(WorkerClient(command, silence))
        return clients[-1], Heard(clients[-1])

    yield make
    for client in clients:
        client.shutdown()


def test_garbage_between_events_stops_nothing(run, qtbot):
    client, heard = run(
        "sys.stdin.readline()\n"
        "say('warning: something')\n"
        'say(\'{"event": "note", "text": "one"}\')\n'
        'os.write(1, b\'{"event": "no\')\n'
        "time.sleep(0.05)\n"
        'os.write(1, b\'te", "text": "two"}\\n\\xff\\n\')\n'
        "sys.stdin.read()"
    )
    client.load("a", {"model": "mini"})
    qtbot.waitUntil(lambda: len(heard.events) == 2 and len(heard.strange) == 2)
    assert [event["text"] for event in heard.events] == ["one", "two"] and heard.strange == [
        "warning: something",
        "\ufffd",
    ]
    assert client.alive and heard.deaths == []


def test_requests_are_lines_of_json(run, qtbot):
    client, heard = run(
        "import json\nfor line in sys.stdin:\n    say(json.dumps({'event': 'note', 'text': line}))"
    )
    client.load("load-1", {"model": "mini", "quantize": 8})
    client.generate(4, "clip.mp4", {"prompt": "Käse\n"}, previews=True, resume=True)
    client.cancel(4)
    qtbot.waitUntil(lambda: len(heard.events) == 3)
    assert [json.loads(event["text"]) for event in heard.events] == [
        {"op": "load", "id": "load-1", "model": "mini", "quantize": 8},
        {
            "op": "generate",
            "id": 4,
            "output": "clip.mp4",
            "settings": {"prompt": "Käse\n"},
            "previews": True,
            "resume": True,
        },
        {"op": "cancel", "id": 4},
    ]


def test_a_silent_worker_is_told_of_and_can_be_stopped(run, qtbot):
    client, heard = run("sys.stdin.readline(); time.sleep(600)", silence=0.3)
    client.load("a", {})
    with qtbot.waitSignal(client.silent):
        pass
    assert client.alive and heard.deaths == []
    client.be_patient()
    with qtbot.waitSignal(client.silent):
        pass
    client.kill("It was stopped")
    with qtbot.waitSignal(client.died):
        pass
    assert heard.deaths == ["It was stopped"] and heard.failures == [None] and not client.alive


def test_a_worker_without_a_job_may_be_silent(run, qtbot):
    client, heard = run(
        'sys.stdin.readline(); say(\'{"event": "cancelled", "id": "a"}\'); time.sleep(600)',
        silence=0.2,
    )
    client.load("a", {})
    qtbot.waitUntil(lambda: heard.events != [])
    heard.silences.clear()  # while it started
    qtbot.wait(400)
    assert heard.silences == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, "was killed"),
        (signal.SIGTERM, "another program"),
        (signal.SIGABRT, "crashed"),
        (signal.SIGUSR1, f"signal {int(signal.SIGUSR1)}"),
    ],
)
def test_death_by_a_signal(run, qtbot, number, words):
    client, heard = run("sys.stdin.read()")
    client.load("a", {})
    with qtbot.waitSignal(client.died):
        os.kill(client.pid, number)
    assert words in heard.deaths[0]
    assert "memory" not in heard.deaths[0]  # which nothing says
    assert heard.failures == [None]
    assert not client.alive
    assert client.pid == 0


def test_a_kill_is_for_memory_where_the_system_says_so(run, qtbot, monkeypatch):
    counts = iter([3, 4])
    monkeypatch.setattr(worker_client, "memory_kills", lambda: next(counts))
    client, heard = run("sys.stdin.read()")
    client.load("a", {})
    with qtbot.waitSignal(client.died):
        os.kill(client.pid, signal.SIGKILL)
    assert "memory" in heard.deaths[0]
    assert heard.failures == [MEMORY]


ABORTED = "libc++abi: terminating due to uncaught exception of type std::runtime_error: "
METAL = "[METAL] Command buffer execution failed: "


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        (f"{ABORTED}{METAL}Impacting Interactivity (0000000e:kIOGPU)", WATCHDOG),
        (f"{ABORTED}{METAL}Caused GPU Timeout Error (00000002:kIOGPU)", WATCHDOG),
        (f"{ABORTED}{METAL}Insufficient Memory (00000008:kIOGPU)", MEMORY),
        (f"{ABORTED}{METAL}Discarded (victim of GPU error/recovery) (00000005:kIOGPU)", VICTIM),
        ("terminate called after throwing an instance of 'std::bad_alloc'", MEMORY),
        ("Assertion failed: (x > 0), function f, file x.cpp, line 3.", None),
    ],
)
@pytest.mark.parametrize("end", ["os.abort()", "os._exit(1)"])
def test_the_last_words_say_why(run, qtbot, words, failure, end):
    client, heard = run(
        f"sys.stdin.readline()\nsys.stderr.write({words!r} + '\\nand more\\n')\n"
        f"sys.stderr.flush()\n{end}"
    )
    with qtbot.waitSignal(client.died):
        client.load("a", {"model": "mini"})
    assert heard.failures == [failure]
    how = heard.deaths[0]
    assert failure is not None or "and more" in how
    assert ("memory" in how) == (failure is MEMORY)
    assert ("macOS stopped the GPU" in how) == (failure in (WATCHDOG, VICTIM))


def test_an_end_by_itself_repeats_the_last_words(run, qtbot):
    client, heard = run(
        f"sys.stderr.write('line\\n' * {2 * LAST_WORDS} + 'MemoryError: no more'); sys.exit(3)"
    )
    with qtbot.waitSignal(client.died):
        client.load("a", {})
    assert heard.deaths == ["The generator ended by itself (code 3): MemoryError: no more"]
    assert len(heard.errors) == 2 * LAST_WORDS + 1


def test_events_before_the_death_are_heard(run, qtbot):
    client, heard = run('say(\'{"event": "note", "text": "last"}\'); os._exit(1)')
    with qtbot.waitSignal(client.died):
        client.load("a", {})
    assert [event["text"] for event in heard.events] == ["last"]


def test_a_worker_that_cannot_be_started(qtbot):
    client = WorkerClient(["/no/such/program"])
    heard = Heard(client)
    client.load("a", {})
    qtbot.waitUntil(lambda: heard.deaths != [])
    assert heard.deaths[0].startswith("The generator could not be started (") and not client.alive


def test_a_new_worker_comes_with_the_next_request(run, qtbot):
    client, heard = run(
        'sys.stdin.readline(); say(\'{"event": "cancelled", "id": 1}\'); sys.exit(1)'
    )
    for _ in range(2):
        with qtbot.waitSignal(client.died):
            client.generate(1, "a.mp4", {})
    assert len(heard.events) == 2 == len(heard.deaths)


def test_shutting_down_is_no_death(run, qtbot):
    client, heard = run(
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n"
        "say('up')\n"
        "sys.stdin.read()"
    )
    client.load("a", {})
    qtbot.waitUntil(lambda: heard.strange == ["up"])
    client.shutdown()
    qtbot.wait(50)
    assert heard.deaths == [] and not client.alive
    client.shutdown()


def test_the_command_of_the_worker(monkeypatch):
    assert worker_command() == [sys.executable, "-m", "mlxvid.generate", "--worker"]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert worker_command() == [sys.executable, "--worker"]


# --- previews -------------------------------------------------------------------------------------


def preview(frames) -> dict:
    count, height, width, _ = frames.shape
    return {
        "event": "preview",
        "id": 1,
        "step": 1,
        "frames": count,
        "width": width,
        "height": height,
        "png": strip(frames),
    }


def test_a_preview_is_the_frames_that_were_sent():
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), np.uint8)
    assert np.array_equal(frames_of_preview(preview(frames)), frames)


@pytest.mark.parametrize(
    "damage", [{"frames": 4}, {"png": "AAAA"}, {"png": "no base 64!"}, {"height": 9}]
)
def test_a_broken_preview(damage):
    frames = np.zeros((3, 8, 12, 3), np.uint8)
    with pytest.raises(
        MediaError, match="A preview could not be read .*; the clip itself goes on."
    ):
        frames_of_preview(preview(frames) | damage)


def test_of_many_previews_the_last_is_shown_and_a_broken_one_is_passed_over(qtbot):
    previews = Previews()
    shown = []
    previews.ready.connect(shown.append)
    previews.show(preview(np.zeros((1, 8, 8, 3), np.uint8)) | {"png": "AAAA"})
    for value in range(20):
        previews.show(preview(np.full((2, 8, 8, 3), value, np.uint8)))
    qtbot.waitUntil(lambda: bool(shown) and shown[-1][0, 0, 0, 0] == 19)
    assert len(shown) < 20
    previews.show(preview(np.zeros((2, 8, 8, 3), np.uint8)))
    previews.clear()
    count = len(shown)
    qtbot.wait(100)
    assert len(shown) == count


def test_a_worker_is_retired_without_waiting_for_it(run, qtbot):
    client, heard = run(
        "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        'say(\'{"event": "note", "text": "%d"}\' % os.getpid())\nsys.stdin.read()\n'
        "time.sleep(60)"
    )
    client.load("1", {"model": "mini"})
    qtbot.waitUntil(lambda: len(heard.events) == 1)
    first = client.pid
    client.retire()
    assert not client.alive
    assert runs(first)  # nobody has waited for its end
    client.load("2", {"model": "mini"})
    qtbot.waitUntil(lambda: len(heard.events) == 2)
    assert heard.events[1]["text"] == str(client.pid) != str(first)
    # One that does not end by itself is killed.
    qtbot.waitUntil(lambda: not runs(first), timeout=20_000)
    assert client.alive
    assert heard.deaths == []
