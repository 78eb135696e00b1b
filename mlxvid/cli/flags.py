"""Flags of the settings: one of each in the table, and of each that a family adds."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable
from typing import Any

from mlxvid import models
from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.errors import spelled
from mlxvid.model import settings
from mlxvid.model.keyframes import Keyframe
from mlxvid.model.rates import parse_rate
from mlxvid.model.settings import MAX_SEED, SETTINGS, Group, Setting

# Names in messages that are no settings, and the flags that stand for them.
OTHER_FLAGS = {
    "decode_saved": "--decode-only",
    "list_models": "--list-models",
    "t_factor": "--t-factor",
    "s_factor": "--s-factor",
}
# Settings whose flags take no abbreviation of their own and repeat.
_REPEATED = ("keyframes", "loras")


def spelled_as_flags(message: str) -> str:
    """A message of the library for the command line: settings as flags, on one line."""
    return " ".join(spelled(message, flag_of).split())


def flag_of(name: str) -> str:
    """The flag of a setting, or of what else messages name in backticks."""
    return OTHER_FLAGS.get(name) or settings.flag(name, models.options())


def add_settings(parser: argparse.ArgumentParser | Any, group: Group) -> None:
    """Add the flags of a group of settings; none of them has a default."""
    for setting in [*SETTINGS.values(), *models.options().values()]:
        if setting.group == group and setting.kind != "options" and setting.name != "prompt":
            add_setting(parser, setting)


def add_setting(parser: argparse.ArgumentParser | Any, setting: Setting) -> None:
    """Add the flag of one setting; of a switch also the one that turns it off, --no-name."""
    how: dict[str, Any] = {"dest": setting.name, "help": _help(setting)}
    if setting.kind == "switch":
        parser.add_argument(
            f"--{setting.dashed}", action=argparse.BooleanOptionalAction, default=None, **how
        )
        return
    if setting.kind in _REPEATED:
        how["action"] = "append"
    if setting.kind == "keyframes":
        how["type"] = keyframe
    elif setting.kind in ("whole", "number"):
        how["type"] = _number_type(setting)
    elif setting.choices and isinstance(setting.choices[0], int):
        how["type"] = int
    if setting.choices:
        how["choices"] = setting.choices
    else:
        how["metavar"] = setting.metavar or setting.name.upper()
    parser.add_argument(f"--{setting.dashed}", **how)


def keyframe(text: str) -> tuple[int, str | Keyframe]:
    """FILE@FRAME[:STRENGTH] or FRAME=FILE as a frame's number, and a file or what it gives.

    Parted at the last @ that a frame follows, since paths may have any in them.
    """
    older = re.fullmatch(r"(\d{1,6})=(.+)", text, re.DOTALL)
    if older:
        return int(older[1]), older[2]
    match = re.fullmatch(r"(.+)@(-?\d{1,6})(?::([^@:]*))?", text, re.DOTALL)
    if not match:
        raise argparse.ArgumentTypeError(
            f"must be FILE@FRAME as in middle.png@16, or FRAME=FILE, not {text!r}"
        )
    path, frame, strength = match.groups()
    if strength is None:
        return int(frame), path
    return int(frame), Keyframe(path, _strength(strength))


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"must be FILE@FRAME:STRENGTH with a strength from 0 to 1, not {text!r}"
        )
    return value


def _help(setting: Setting) -> str:
    """Its help, with what the registry knows of it."""
    if setting.name == "sampler":
        return f"{setting.help}: {', '.join(_samplers())}"
    if setting.name == "model":
        return f"{setting.help} (default: {DEFAULT_MODEL})"
    return setting.help


def _samplers() -> Iterable[str]:
    return dict.fromkeys(name for card in models.cards() for name in card.samplers)


def _number_type(setting: Setting) -> Callable[[str], float]:
    """A flag's ``type=`` for a number in the setting's range."""
    whole = setting.kind == "whole"

    def parse(text: str) -> float:
        rate = parse_rate(text) if setting.is_rate else None
        try:
            value = rate if rate is not None else int(text) if whole else float(text)
        except ValueError:
            value = float("nan")
        low = 0 if setting.low is None else setting.low
        high = MAX_SEED if setting.high is None else setting.high
        if not low <= value <= high:
            most = "2^63 - 1" if high == MAX_SEED else f"{high:g}"
            kind = "a whole number" if whole else "a number"
            if setting.is_rate:
                kind = "a number or a fraction"
            unit = f" of {setting.unit}" if setting.unit else ""
            raise argparse.ArgumentTypeError(
                f"must be {kind}{unit} from {low:g} to {most}, not {text!r:.60}"
            )
        return value

    return parse
