"""When a worker's client is shown a clip that forms, and how well."""

from __future__ import annotations

import numpy as np
import pytest

from mlxvid.cli import reporter
from mlxvid.cli.reporter import Reporter
from mlxvid.progress import Progress

FINE = np.zeros((5, 32, 640, 3), np.uint8)
ROUGH = np.zeros((5, 4, 80, 3), np.uint8)


class Run:
    """A run of four steps whose seconds are counted, not spent."""

    def __init__(self, monkeypatch, step_seconds: float, fine: float, fit: float = 0.0):
        self.now = 1000.0
        self.begin = self.now
        self.step_seconds = step_seconds
        self.fine = fine
        self.fit = fit
        self.asked: list[bool] = []
        self.events: list[dict] = []
        monkeypatch.setattr(reporter.time, "monotonic", lambda: self.now)

    def emit(self, event: str, **facts) -> None:
        self.events.append({"event": event, **facts})

    def preview(self, rough: bool):
        self.asked.append(rough)
        self.now += (self.fit if len(self.asked) == 1 else 0.001) if rough else self.fine
        return ROUGH if rough else FINE

    def make(self, previews: bool = True, steps: int = 10) -> list[dict]:
        """The previews of the run."""
        report = Reporter(self.emit, 7, previews)
        report(Progress("encode", 1, 2, 1.0, 1.0))
        report(Progress("denoise", 0, steps, 0.0, None))
        for step in range(1, steps + 1):
            self.now += self.step_seconds
            elapsed = step * self.step_seconds
            remaining = (steps - step) * self.step_seconds
            within = Progress("denoise", step - 1, steps, elapsed, remaining, None, 0.5)
            report(within)
            report(Progress("denoise", step, steps, elapsed, remaining, self.preview))
        assert (
            len([event for event in self.events if event["event"] == "progress"]) == 2 + 2 * steps
        )
        return [event for event in self.events if event["event"] == "preview"]


@pytest.mark.parametrize(("fine", "steps"), [(0.1, [1, 2, 3, 4, 5, 6, 7, 8, 9]), (2.0, [1, 5, 9])])
def test_a_short_run_is_decoded_for_a_fifth_of_its_time_at_most(monkeypatch, fine, steps):
    run = Run(monkeypatch, step_seconds=2.0, fine=fine)
    shown = run.make()
    assert not any(run.asked)
    assert [event["step"] for event in shown] == steps
    assert {(event["id"], event["width"], event["height"]) for event in shown} == {(7, 214, 11)}


@pytest.mark.parametrize("fit", [0.0, 30.0])
def test_a_long_run_is_shown_roughly_at_every_step(monkeypatch, fit):
    run = Run(monkeypatch, step_seconds=20.0, fine=60.0, fit=fit)
    shown = run.make()
    assert all(run.asked)
    assert [event["step"] for event in shown] == list(range(1, 10))
    assert {(event["frames"], event["width"], event["height"]) for event in shown} == {(5, 80, 4)}


def test_nobody_is_shown_what_he_does_not_want(monkeypatch):
    run = Run(monkeypatch, step_seconds=20.0, fine=1.0)
    assert run.make(previews=False) == []
    assert run.asked == []
