"""A job: one clip to be made, its settings, and its state."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

# Random seeds are below this: short enough to be read out.
RANDOM_SEEDS = 2**31


class State(str, Enum):
    """The state of a job. Only WAITING jobs begin by themselves; the last three can be resumed."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The states of jobs that are no longer in the queue.
ENDED = (State.DONE, State.FAILED, State.CANCELLED)
# The message of a job that the user has set aside.
PAUSED = "Paused."
# The setting that jobs made together share. The window's own: the worker doesn't get it.
GROUP = "group"


@dataclass(frozen=True)
class Job:
    """One clip to be made.

    settings: flat, as in a clip's file: what mlxvid.load and Pipeline.generate take, the seed
    always among them. id: None until the job is in the database. position: its place in the queue.
    message: why it ended early. resume: go on from the checkpoint of an earlier attempt, where one
    was kept; of a job that failed, its clip is made but for decoding or saving it.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    id: int | None = None
    state: State = State.WAITING
    position: float = 0.0
    message: str = ""
    resume: bool = False

    @property
    def number(self) -> int:
        """The id of a job that is in the database."""
        assert self.id is not None
        return self.id

    @property
    def title(self) -> str:
        """The prompt on one line."""
        return " ".join(str(self.settings.get("prompt", "")).split())

    @property
    def facts(self) -> str:
        """Size, length, seed, steps and model, for a line under the title.

        What differs between takes comes before what they share.
        """
        given = self.settings
        parts = []
        if "width" in given and "height" in given:
            parts.append(f"{given['width']}×{given['height']}")
        if "frames" in given and given.get("fps"):
            parts.append(f"{given['frames'] / given['fps']:.1f} s")
        elif "frames" in given:
            parts.append(f"{given['frames']} frames")
        if "seed" in given:
            parts.append(f"seed {given['seed']}")
        if "steps" in given:
            parts.append(f"{given['steps']} steps")
        parts.append(Path(str(given.get("model", ""))).name)
        return " · ".join(parts)


def grouped(jobs: Sequence[Job]) -> list[Job]:
    """Jobs as the takes of one group; a single one is no group."""
    if len(jobs) < 2:
        return list(jobs)
    name = secrets.token_hex(8)
    return [replace(job, settings={**job.settings, GROUP: name}) for job in jobs]


def first_ready(
    jobs: Iterable[Job], lacks: Callable[[dict[str, Any]], bool], besides: Container[int]
) -> Job | None:
    """The first waiting job, besides those of these ids, that lacks no model."""
    for job in jobs:
        free = job.state is State.WAITING and job.number not in besides
        if free and not lacks(job.settings):
            return job
    return None


def variations(settings: dict[str, Any], count: int) -> list[Job]:
    """`count` jobs for the same clip, each with a random seed."""
    return [Job({**settings, "seed": secrets.randbelow(RANDOM_SEEDS)}) for _ in range(count)]
