"""How long clips will take: by this machine's own runs, or else by a guess."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from PySide6.QtCore import QDateTime, QLocale

from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.errors import MlxvidError
from mlxvid.model.machine import Machine
from mlxvid.run.evaluations import passes_of
from mlxvid.run.guess import guessed_seconds
from mlxvid.run.planning import Plan

from .database import Database
from .job_requests import plan_of
from .progress_text import duration

# The time of the next run follows from this many earlier runs, those nearest in size.
_NEAREST = 5
# Runs that did more times the work of the next one, or less, say nothing of it: of a small one most
# is loading, and attention grows with the square of the tokens.
_ALIKE = 4
_DAY = 24 * 3600
# Seconds below which guesses are rounded to so many.
_ROUND = ((60, 1), (600, 30), (3600, 60), (6 * 3600, 600), (2 * _DAY, 3600), (inf, _DAY / 2))


@dataclass(frozen=True)
class Expected:
    """Seconds of a whole run, to the saved file. guessed: its model made no such clip here."""

    seconds: float
    guessed: bool = False

    def __add__(self, other: Expected) -> Expected:
        return Expected(self.seconds + other.seconds, self.guessed or other.guessed)

    def __mul__(self, count: int) -> Expected:
        return Expected(count * self.seconds, self.guessed)

    def __str__(self) -> str:
        """In words; a guess is round and says so."""
        if not self.guessed:
            return f"about {duration(self.seconds)}"
        return f"about {duration(_rounded(self.seconds))}, a guess"


def expected(
    settings: dict[str, Any], database: Database, machine: Machine, planned: Plan | None = None
) -> Expected | None:
    """The time of a clip of these settings; None for what can't be planned."""
    try:
        planned = planned or plan_of(settings, machine)
        passes = passes_of(settings)
    except MlxvidError:
        return None
    timings = database.timings(settings.get("model") or DEFAULT_MODEL)
    seconds = estimate(timings, planned.tokens, passes)
    if seconds is not None:
        return Expected(seconds)
    return Expected(sum(guessed_seconds(planned, passes).values()), guessed=True)


def estimate(
    timings: Sequence[tuple[int, float, float]], tokens: int, passes: float
) -> float | None:
    """Seconds that a run will take, by the median rate of earlier runs of about its size.

    timings: (tokens, passes, seconds) of earlier runs. None where there was none of its size yet.
    """
    work = tokens * passes
    known = []
    for earlier_tokens, earlier_passes, seconds in timings:
        done = earlier_tokens * earlier_passes
        if done > 0 and work / _ALIKE <= done <= work * _ALIKE:
            known.append((max(done / work, work / done), seconds / done))
    if not known:
        return None
    rates = sorted(rate for _, rate in sorted(known)[:_NEAREST])
    return work * rates[len(rates) // 2]


def end_in(seconds: float) -> str:
    """When it is in so many seconds: "at 04:35", "Tuesday at 04:35", or the date."""
    end = QDateTime.fromSecsSinceEpoch(round(time.time() + seconds))
    locale = QLocale()
    hour = f"at {locale.toString(end.time(), QLocale.FormatType.ShortFormat)}"
    if end.date() == QDateTime.currentDateTime().date():
        return hour
    if seconds < 6 * _DAY:
        return f"{locale.toString(end.date(), 'dddd')} {hour}"
    return f"on {locale.toString(end.date(), QLocale.FormatType.ShortFormat)}"


def _rounded(seconds: float) -> float:
    """Seconds as round as a guess deserves."""
    step = next(step for limit, step in _ROUND if seconds < limit)
    return max(step, round(seconds / step) * step)
