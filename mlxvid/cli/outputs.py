"""Names of the files that clips are written to."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mlxvid.errors import SettingError
from mlxvid.media.prompt_names import named_after
from mlxvid.media.targets import kind_of

# What other programs put numbers in the place of.
_PATTERN = re.compile(r"%\d*[di]|\{[^{}]*\}")


@dataclass(frozen=True)
class Take:
    """One clip of a command: its prompt, how far its seed is from the first, and its file.

    is_named: whether the name was chosen after the prompt, not asked for.
    """

    prompt: str
    seed_step: int
    target: str
    is_named: bool = False


def takes_of(output: str | None, prompts: Sequence[str], count: int) -> list[Take]:
    """The clips to make: `count` of each prompt, each with a name of its own.

    Raises :class:`MlxvidError` for an output that is no name.
    """
    if output is not None:
        kind_of(output)
        names = numbered(output, len(prompts) * count)
        return [
            Take(prompt, step, names[index * count + step])
            for index, prompt in enumerate(prompts)
            for step in range(count)
        ]
    made: list[Take] = []
    for prompt in prompts:
        taken = {take.target for take in made}
        names = outputs(None, prompt, count, taken)
        made += [Take(prompt, step, name, True) for step, name in enumerate(names)]
    return made


def outputs(output: str | None, prompt: str, count: int, taken: Collection[str] = ()) -> list[str]:
    """The paths to write: the asked-for one, numbered where several clips are made; else names
    after the prompt that are not taken yet.
    """
    if output is not None:
        return numbered(output, count)
    stem = named_after(prompt)
    for n in itertools.count():
        names = numbered(f"{stem}-{n}.mp4" if n else f"{stem}.mp4", count)
        if not any(os.path.lexists(name) or name in taken for name in names):
            return names
    raise AssertionError("unreachable")


def numbered(output: str, count: int) -> list[str]:
    """`output` for one clip; for more, each with its number at the end of its name.

    Raises :class:`SettingError` for several clips in a name that has a place for the number.
    """
    if count == 1:
        return [output]
    pattern = _PATTERN.search(output)
    if pattern:
        raise SettingError(
            f"Clips are numbered at the ends of their names: leave {pattern[0]} out of {output}."
        )
    if output.endswith(("/", os.sep)) or os.path.isdir(output):
        stem = output.rstrip("/" + os.sep)
        ending = "/"
    else:
        stem, ending = os.path.splitext(output)
    digits = len(str(count))
    return [f"{stem}-{n:0{digits}}{ending}" for n in range(1, count + 1)]


def still_free(take: Take) -> str:
    """Where to save a clip that is done: beside what has taken its name meanwhile."""
    if not take.is_named or not os.path.lexists(take.target):
        return take.target
    stem, ending = os.path.splitext(take.target)
    names = (f"{stem}-{n}{ending}" for n in itertools.count(1))
    return next(name for name in names if not os.path.lexists(name))
