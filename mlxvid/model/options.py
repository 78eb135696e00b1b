"""Settings that only some families have, such as the scores that Open-Sora reads in its prompts.

A family takes those of :data:`OPTIONS` that are among its capabilities (with - for _). Each is a
flag of the command line, and a key of `options` in Python, in a worker's requests and in a clip's
settings.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """about: what it does, for --help. low, high: the range of a number; both None for a text."""

    about: str
    low: float | None = None
    high: float | None = None


OPTIONS: dict[str, Option] = {
    "aesthetic": Option(
        "how pleasing the clip should look, a score of about 4 to 7; 0 leaves it unsaid", 0, 10
    ),
    "motion_score": Option(
        "how much should move in it, a score of about 0.5 to 25; 0 leaves it unsaid", 0, 100
    ),
    "camera_motion": Option('how the camera moves, such as "pan left", "tilt up" or "zoom in"'),
    "edit": Option(
        "how far what is given (pictures, clips) may change: 0 keeps it, 1 makes it anew", 0, 1
    ),
}


def flag(name: str) -> str:
    """An option's capability, and its flag without the dashes."""
    return name.replace("_", "-")
