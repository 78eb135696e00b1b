"""The worker's progress and times in words."""

from __future__ import annotations

from typing import Any

# The name of each stage, and the unit of its steps.
_STAGES = {
    "download": ("Downloading the model", "MB"),
    "load": ("Loading the model", "MB"),
    "encode": ("Reading the prompt", ""),
    "denoise": ("Denoising", "step"),
    "decode": ("Decoding", "frame"),
    "save": ("Saving", "frame"),
}
# The share of a run's progress at which each stage begins and ends: denoising takes longest.
_SPANS = {"encode": (0.0, 0.02), "denoise": (0.02, 0.9), "decode": (0.9, 0.98), "save": (0.98, 1.0)}
# Hours from which on times are told in days.
_DAYS = 48


def progress_text(event: dict[str, Any]) -> str:
    """A `progress` event as a line: "Denoising, step 5 of 20 · 12 s to go"."""
    if not event:
        return "Starting…"
    words, unit = _STAGES.get(event["stage"], (event["stage"].capitalize(), "step"))
    parts = [words]
    if unit == "MB":
        parts = [f"{words}, {event['step']:,} of {event['total']:,} MB"]
    elif unit:
        # A step is counted from its beginning, a frame from its end.
        step = event["step"] + 1 if unit == "step" else event["step"]
        parts = [f"{words}, {unit} {min(step, event['total'])} of {event['total']}"]
    if event.get("skipped"):
        parts.append(f"{event['skipped']} left out")
    if event["remaining"]:
        parts.append(f"{duration(event['remaining'])} to go")
    return " · ".join(parts)


def share(event: dict[str, Any]) -> float:
    """The share that is done, 0 to 1: of the clip, or of a download or of loading weights."""
    if not event or not event["total"]:
        return 0.0
    begin, end = _SPANS.get(event["stage"], (0.0, 1.0))
    done = event["step"] + event.get("fraction", 0.0)
    return min(1.0, begin + (end - begin) * done / event["total"])


def duration(seconds: float) -> str:
    """A time as people say it: "12 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= _DAYS:
        days, hours = divmod(hours, 24)
        return f"{days} days {hours} h" if hours else f"{days} days"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes >= 10 or (minutes and not rest):
        return f"{minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
