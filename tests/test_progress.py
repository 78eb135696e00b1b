"""Bars on the terminal: whole steps, and parts of long ones."""

from __future__ import annotations

import os
import signal

import pytest

from mlxvid import progress
from mlxvid.cli.command import run
from mlxvid.progress import Progress, ProgressBars, Watch


def test_a_bar_moves_within_a_step_and_ends_whole(capsys):
    bars = ProgressBars()
    for step, fraction in ((0, 0.0), (0, 1 / 3), (0, 2 / 3), (1, 0.0), (1, 0.1), (2, 0.0)):
        bars(Progress("denoise", step, 2, 1.0, None, None, fraction))
        shown = bars._bar.n
        assert shown == round(step + fraction, 2)
    bars.close()
    assert "2/2" in capsys.readouterr().err


def test_another_stage_has_a_bar_of_its_own(capsys):
    bars = ProgressBars()
    bars(Progress("denoise", 1, 2, 1.0, None, None, 0.5))
    bars(Progress("decode", 0, 9, 0.0, None))
    assert bars._bar.total == 9
    bars(Progress("decode", 4, 9, 1.0, None))
    bars(Progress("decode", 0, 5, 0.0, None))  # of the next clip
    assert bars._bar.total == 5
    bars.close()


@pytest.mark.parametrize("slept", [0, 3600])
def test_a_time_to_go_survives_a_pause(monkeypatch, slept):
    """Of a process that was stopped, by Ctrl-Z or otherwise: it gets SIGCONT when it goes on."""
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    seen = []

    @run
    def command(argv=None):
        watch = Watch(seen.append, None)
        watch.begin("denoise", 10)
        for step in range(4):
            clock[0] += 2
            if step == 2 and slept:
                clock[0] += slept
                os.kill(os.getpid(), signal.SIGCONT)
            watch.done()

    assert command([]) == 0
    assert seen[2].remaining == 16
    assert seen[-1].remaining == pytest.approx(12 if not slept else 9)
