"""A client of the worker: sends lines to a process of its own, and reads events."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path

COMMAND = [sys.executable, "-m", "mlxvid.generate", "--worker"]
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
SECONDS = 60


class Client:
    """One worker. passed: the events that :meth:`until` went past."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(COMMAND, cwd=folder, bufsize=0, **PIPES)
        self.passed: list[dict] = []
        self._events: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self.process.stdout:
                self._events.put(json.loads(line))
        finally:  # what is no JSON fails the test too: the events end
            self._events.put(None)

    def send(self, **request) -> None:
        self.raw(json.dumps(request).encode() + b"\n")

    def generate(self, job, output: str, prompt: str = "a red ball", **settings) -> None:
        """Ask for a clip."""
        self.send(op="generate", id=job, output=output, settings={"prompt": prompt, **settings})

    def generate_for_long(self, job, **settings) -> None:
        """Ask for a clip that takes minutes, however long this process or that one stands still."""
        long = {"steps": 1000, "width": 160, "height": 160, "frames": 33, "seed": 1, **settings}
        self.generate(job, f"{job}.mp4", **long)

    def raw(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def event(self) -> dict:
        event = self._events.get(timeout=SECONDS)
        assert event is not None, self.process.stderr.read().decode()
        return event

    def until(self, *names: str, **facts) -> dict:
        """The next event of one of these names with these facts."""
        self.passed = []
        while True:
            event = self.event()
            if event["event"] in names and facts.items() <= event.items():
                return event
            self.passed.append(event)

    def end(self) -> list[dict]:
        """Close its input and wait: the events that still came, and nothing on standard error."""
        self.process.stdin.close()
        rest = list(iter(lambda: self._events.get(timeout=SECONDS), None))
        assert self.process.wait(timeout=SECONDS) == 0
        assert self.process.stderr.read() == b""
        return rest

    def files(self) -> list[str]:
        """What is in its folder."""
        return sorted(path.name for path in self.folder.iterdir())
