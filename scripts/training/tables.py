"""The tables, sheet and JSON that scores are shown as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from . import world
from .scores import SIDED, Verdict, shares

SHARES = ("colour", "shape", "motion", "all")
HEADS = f"{'':28}{'clips':>6}" + "".join(f"{what:>9}" for what in SHARES)
SIDES = {1: " right", -1: " left", 0: ""}
# The columns of the table of steadiness: measure, head, format.
STEADINESS = (
    ("there", "there", ".0%"),
    ("colour", "colour", ".2f"),
    ("size", "size", ".2%"),
    ("jitter", "jitter", ".2f"),
    ("throw_r2", "throw R²", ".4f"),
    ("bounces", "whole bounces", ".0%"),
    ("bounce_lower", "each lower", ".0%"),
)


def accuracy_table(rows: dict[str, Sequence[Verdict]]) -> str:
    """One line for the seen and one for the unseen combinations of each named list of verdicts."""
    lines = [HEADS]
    for name, verdicts in rows.items():
        for kind, unseen in (("seen", False), ("unseen", True)):
            some = [verdict for verdict in verdicts if verdict.case.unseen == unseen]
            if some:
                lines.append(_line(f"{name}, {kind}", some, ".1%"))
    return "\n".join(lines)


def motion_table(verdicts: Sequence[Verdict]) -> str:
    """One line for each motion."""
    lines = [HEADS]
    for motion in world.MOTIONS:
        some = [verdict for verdict in verdicts if verdict.case.scene.motion == motion]
        if some:
            lines.append(_line(motion, some, ".0%"))
    pairs = [v.second_colour for v in verdicts if v.second_colour is not None]
    if pairs:
        lines.append(f"{'colour of the one in front':28}{len(pairs):6}{np.mean(pairs):9.0%}")
    return "\n".join(lines)


def _line(name: str, verdicts: Sequence[Verdict], form: str) -> str:
    """One line of a table of shares."""
    some = shares(verdicts)
    cells = "".join(f"{some[what]:>9{form}}" for what in SHARES)
    return f"{name:28}{some['count']:6}{cells}"


def miss(verdict: Verdict) -> str | None:
    """One line on a clip that isn't as asked, or None."""
    if verdict.colour and verdict.shape and verdict.motion:
        return None
    seen = verdict.seen
    thing = f"{seen.colour or 'no colour'} {seen.shape or 'nothing'}"
    motion = seen.motion or "no motion that has a name"
    side = SIDES[seen.direction] if seen.motion in SIDED else ""
    case = verdict.case
    return f"seed {case.seed}: {case.prompt!r} showed {thing}, {motion}{side}"


def steadiness_table(rows: dict[str, dict[str, float]]) -> str:
    """One line for each way of making clips."""
    lines = [f"{'':16}" + "".join(f"{head:>15}" for _, head, _ in STEADINESS)]
    for name, row in rows.items():
        cells = "".join(f"{row[measure]:>15{form}}" for measure, _, form in STEADINESS)
        lines.append(f"{name:16}{cells}")
    lines.append(
        "colour: RGB distance from frame to frame, 0 to 255; size: change from frame to frame; "
        "jitter: pixels (see track.py)"
    )
    return "\n".join(lines)


def sheet(clips: Sequence[tuple[str, np.ndarray]], columns: int = 9) -> Image.Image:
    """A contact sheet: for each prompt and its frames a row of `columns` of them, evenly spaced."""
    _, high, wide, _ = clips[0][1].shape
    page = Image.new("RGB", (columns * (wide + 2), len(clips) * (high + 16)), "white")
    pen = ImageDraw.Draw(page)
    for row, (prompt, frames) in enumerate(clips):
        top = row * (high + 16)
        pen.text((2, top + 2), prompt, fill="black")
        shown = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        for column, i in enumerate(shown):
            page.paste(Image.fromarray(frames[i]), (column * (wide + 2), top + 15))
    return page


def as_json(name: str, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as JSON: shares over all, seen, unseen and each motion, and the misses.

    NaN is left in; see :func:`plain`.
    """
    motions = {}
    for motion in world.MOTIONS:
        some = [verdict for verdict in verdicts if verdict.case.scene.motion == motion]
        if some:
            motions[motion] = shares(some)
    misses = [line for line in map(miss, verdicts) if line]
    return {
        "name": name,
        "overall": shares(verdicts),
        "seen": shares([verdict for verdict in verdicts if not verdict.case.unseen]),
        "unseen": shares([verdict for verdict in verdicts if verdict.case.unseen]),
        "motions": motions,
        "misses": misses,
    }


def plain(value: Any) -> Any:
    """The same with None for every NaN, which JSON doesn't have."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value
