"""Jobs for every pair of values of two settings."""

from __future__ import annotations

from typing import Any

from mlxvid import models
from mlxvid.errors import SettingError
from mlxvid.model.setting import Setting
from mlxvid.model.settings import SETTINGS

from .jobs import Job
from .messages import label

# The most clips of one grid, and what separates values: prompts have commas in them.
MOST = 25
_BETWEEN = {"text": "|"}
_KINDS = ("whole", "number", "choice", "text")
# The settings that are offered first.
_USUAL = ("steps", "guidance", "seed", "prompt")


def variable(settings: dict[str, Any]) -> list[str]:
    """The names of those settings that can be given several values, the usual ones first."""
    known = SETTINGS | models.options()
    given = [name for name in known if name in settings and name != "model"]
    names = [name for name in given if known[name].kind in _KINDS]
    return sorted(names, key=lambda name: name not in _USUAL)


def setting_of(name: str) -> Setting:
    return (SETTINGS | models.options())[name]


def separator(name: str) -> str:
    """What stands between the values of a setting."""
    return _BETWEEN.get(setting_of(name).kind, ",")


def values_of(name: str, text: str) -> list[Any]:
    """The values that are written in `text`, each once.

    Raises :class:`SettingError` for what the setting can't be, and where there is none.
    """
    setting = setting_of(name)
    parts = [part.strip() for part in text.split(separator(name))]
    values = [setting.checked(_read(setting, part)) for part in parts if part]
    if not values:
        raise SettingError(f"There are no values of `{name}`: write some, such as 10, 20.")
    return list(dict.fromkeys(values))


def _read(setting: Setting, text: str) -> Any:
    """A value as it is written; a text that is no number is for the setting to refuse."""
    kinds = {"whole": int, "number": float}
    try:
        return kinds.get(setting.kind, str)(text)
    except ValueError:
        return text


def grid_of(
    settings: dict[str, Any], x: str, across: list[Any], y: str, down: list[Any]
) -> list[Job]:
    """A job for each pair of values, row by row.

    Raises :class:`SettingError` where both settings are the same, or there are too many pairs.
    """
    if x == y:
        raise SettingError(f"Both settings are {label(x)}: choose another for the rows.")
    if len(across) * len(down) > MOST:
        count = f"{len(across)} × {len(down)}"
        raise SettingError(f"{count} clips are too many for a grid: leave {MOST} at most.")
    return [Job({**settings, x: column, y: row}) for row in down for column in across]
