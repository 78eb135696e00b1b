"""A worker's requests: what is one, of the lines that a client sends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TextIO

from mlxvid.errors import SettingError

OPERATIONS = ("load", "generate", "cancel", "quit")
MAX_LINE = 1 << 20
# Lists and objects in each other: no request needs more than four.
MAX_DEPTH = 20
TOO_DEEP = "This line's JSON is nested too deeply."


def lines(requests: TextIO) -> Iterator[str]:
    """The lines that aren't blank; of one that is longer than MAX_LINE the beginning, so that
    nothing fills the memory.
    """
    while line := requests.readline(MAX_LINE):
        rest = line
        while len(rest) == MAX_LINE and not rest.endswith("\n"):
            rest = requests.readline(MAX_LINE)
        if line.strip():
            yield line


def parse(line: str) -> dict:
    """One request from one line; raises :class:`SettingError` for anything else."""
    try:
        request = json.loads(line)
    except ValueError:
        raise SettingError(
            f"This line is no JSON, or is longer than {MAX_LINE} characters: {line.strip()[:60]!r}."
        ) from None
    except RecursionError:
        raise SettingError(TOO_DEEP) from None
    if _is_deeper(request, MAX_DEPTH):
        raise SettingError(TOO_DEEP)
    if not isinstance(request, dict) or request.get("op") not in OPERATIONS:
        raise SettingError(f'A request is an object with an "op" among: {", ".join(OPERATIONS)}.')
    if not isinstance(request.get("settings", {}), dict):
        raise SettingError('"settings" is an object of settings.')
    if isinstance(request.get("id"), bool) or not isinstance(
        request.get("id"), (str, int, type(None))
    ):
        raise SettingError('"id" is a string or a whole number.')
    return request


def _is_deeper(value: Any, depth: int) -> bool:
    """Whether a JSON value has lists and objects in each other to more than `depth`."""
    inner = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (dict, list)):
        return False
    return depth == 0 or any(_is_deeper(item, depth - 1) for item in inner)


def switch(request: dict, name: str, default: bool = False) -> bool:
    """A field that is true or false, `default` where it is missing.

    Raises :class:`SettingError` for anything else.
    """
    value = request.get(name)
    if value is not None and not isinstance(value, bool):
        raise SettingError(f'"{name}" is true or false, not {json.dumps(value)[:60]}.')
    return default if value is None else value
