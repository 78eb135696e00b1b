"""Names of the files that clips are written to."""

from __future__ import annotations

import itertools
import os
import re

# Characters of the prompt in a name.
LONGEST_STEM = 60


def outputs(output: str | None, prompt: str, count: int) -> list[str]:
    """The paths to write: the asked-for one, numbered where several clips are made; else names
    after the prompt that are not taken yet.
    """
    if output is not None:
        return numbered(output, count)
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")
    stem = words[:LONGEST_STEM] or "clip"
    for n in itertools.count():
        names = numbered(f"{stem}-{n}.mp4" if n else f"{stem}.mp4", count)
        if not any(os.path.lexists(name) for name in names):
            return names
    raise AssertionError("unreachable")


def numbered(output: str, count: int) -> list[str]:
    """`output` for one clip; for more, each with its number at the end of its name."""
    if count == 1:
        return [output]
    if output.endswith(("/", os.sep)) or os.path.isdir(output):
        stem = output.rstrip("/" + os.sep)
        ending = "/"
    else:
        stem, ending = os.path.splitext(output)
    digits = len(str(count))
    return [f"{stem}-{n:0{digits}}{ending}" for n in range(1, count + 1)]
