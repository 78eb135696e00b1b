"""A job: one clip to be made, with everything that it takes to make it, and what has become of it
so far.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

# Seeds that are thrown are short enough to be read out.
THROWN_SEEDS = 2**31


class State(str, Enum):
    """What has become of a job. Only WAITING jobs are begun by themselves; the last three wait for
    a person's word.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Job:
    """`settings`: flat, as in a clip's file: what mlxvid.load and Pipeline.generate take, the seed
    always among them.

    `id` is None until the job is in the database; `position` orders the queue; `message` says why
    it ended early; `resume`: go on from the kept checkpoint of an earlier attempt, where there is
    one.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    id: int | None = None
    state: State = State.WAITING
    position: float = 0.0
    message: str = ""
    resume: bool = False

    @property
    def title(self) -> str:
        """The prompt on one line."""
        return " ".join(str(self.settings.get("prompt", "")).split())

    @property
    def facts(self) -> str:
        """Size, length, seed, steps and model, for a line under the title: what tells takes apart
        comes before what they share.
        """
        s = self.settings
        parts = [f"{s['width']}×{s['height']}"] if "width" in s and "height" in s else []
        if "frames" in s:
            parts.append(
                f"{s['frames'] / s['fps']:.1f} s" if s.get("fps") else f"{s['frames']} frames"
            )
        parts += [f"seed {s['seed']}"] if "seed" in s else []
        parts += [f"{s['steps']} steps"] if "steps" in s else []
        return " · ".join([*parts, Path(str(s.get("model", ""))).name])


def variations(settings: dict[str, Any], count: int) -> list[Job]:
    """The same clip again, so many times, each with a seed that is thrown anew."""
    return [Job({**settings, "seed": secrets.randbelow(THROWN_SEEDS)}) for _ in range(count)]
