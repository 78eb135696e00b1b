"""The worker's progress and times in words."""

from __future__ import annotations

from typing import Any

# What each stage is called, and what it counts in.
_STAGES = {
    "download": ("Downloading the model", "MB"),
    "load": ("Loading the model", "MB"),
    "encode": ("Reading the prompt", ""),
    "denoise": ("Denoising", "step"),
    "decode": ("Decoding", "frame"),
    "save": ("Saving", "frame"),
}
# Of a whole run, denoising is the longest part by far; the other stages are a sliver before and
# after it.
_SPANS = {"encode": (0.0, 0.02), "denoise": (0.02, 0.9), "decode": (0.9, 0.98), "save": (0.98, 1.0)}


def progress_text(event: dict[str, Any]) -> str:
    """A `progress` event as a line: "Denoising, step 5 of 20 · 12 s to go"."""
    if not event:
        return "Starting…"
    words, unit = _STAGES.get(event["stage"], (event["stage"].capitalize(), "step"))
    parts = [words]
    if unit == "MB":
        parts = [f"{words}, {event['step']:,} of {event['total']:,} MB"]
    elif unit:
        parts = [
            f"{words}, {unit} {min(event['step'] + (unit == 'step'), event['total'])} of {event['total']}"
        ]
    if event["remaining"]:
        parts.append(f"{duration(event['remaining'])} to go")
    return " · ".join(parts)


def share(event: dict[str, Any]) -> float:
    """How much of the clip is done, 0 to 1; of a download or of loading weights, how much of that."""
    if not event or not event["total"]:
        return 0.0
    begin, end = _SPANS.get(event["stage"], (0.0, 1.0))
    return min(1.0, begin + (end - begin) * event["step"] / event["total"])


def duration(seconds: float) -> str:
    """A time as people say it: "12 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(1, round(seconds))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    if minutes >= 10 or minutes and not seconds:
        return f"{minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
