"""One setting of a clip: its kind, its range, and what every door into mlxvid is told of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from mlxvid.errors import SettingError, shown

from .rates import parse_rate

Kind = Literal[
    "text",
    "whole",
    "number",
    "choice",
    "switch",
    "picture",
    "clip",
    "keyframes",
    "loras",
    "options",
]
Group = Literal["what", "options", "how", "loading"]

MAX_SEED = 2**63 - 1
# Characters in a text that only some models take, such as a camera motion.
MAX_TEXT = 200

# What JSON has for each kind of setting.
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "whole": (int,),
    "number": (int, float),
    "choice": (str, int),
    "switch": (bool,),
    "picture": (str,),
    "clip": (str,),
    "keyframes": (dict,),
    "loras": (list,),
    "options": (dict,),
}


@dataclass(frozen=True)
class Setting:
    """One setting of a clip.

    name: in Python, in a worker's requests and in a clip's settings. label: in the window.
    group: "what" is made, "how", with which of the "options" that single families have, or how the
    model is "loading". low, high: range of a number, both included. choices: of a "choice", where
    the models don't have their own. titles: theirs in the window, where they differ. unit: of a
    whole number, for messages. metavar: for --help. needs_support: only models whose card takes it
    can be given it. flag: where the flag is not called after the name. digits: decimals that the
    window shows. is_rate: may be "24000/1001" too.
    only_with: another one without which, or with its "off", it does nothing.
    """

    name: str
    kind: Kind
    label: str
    help: str
    group: Group = "what"
    low: float | None = None
    high: float | None = None
    choices: tuple[str | int, ...] = ()
    titles: tuple[str, ...] = ()
    unit: str = ""
    metavar: str = ""
    needs_support: bool = False
    flag: str = ""
    digits: int = 1
    is_rate: bool = False
    only_with: str = ""

    @property
    def dashed(self) -> str:
        """Its flag, without the leading dashes."""
        return self.flag or self.name.replace("_", "-")

    @property
    def titled(self) -> list[tuple[str, str | int]]:
        """Its choices, each after its title in the window."""
        return list(zip(self.titles or map(str, self.choices), self.choices, strict=True))

    @property
    def is_loading(self) -> bool:
        """Whether :func:`mlxvid.load` takes it, not :meth:`mlxvid.Pipeline.generate`."""
        return self.group == "loading"

    def check_json(self, value: Any, where: str) -> None:
        """Raise :class:`SettingError` for a JSON value of another type than this setting has."""
        is_bool = isinstance(value, bool)
        fits = is_bool == (self.kind == "switch") and isinstance(value, _JSON_TYPES[self.kind])
        if fits and self.kind == "loras":
            fits = all(isinstance(lora, str) for lora in value)
        if not fits and not (self.is_rate and parse_rate(value)):
            shown = json.dumps(value)[:60]
            raise SettingError(f"{where} give `{self.name}` as {shown}, which no clip can have.")

    def checked(self, value: Any) -> Any:
        """`value` as this setting has it: a number in its range, a text, or true or false.

        Raises :class:`SettingError` for anything else. Only for kinds that can be judged alone.
        """
        if self.kind == "number":
            return self._number(value)
        if self.kind == "whole":
            return self._whole(value)
        if self.kind == "switch" and not isinstance(value, bool):
            raise SettingError(f"`{self.name}` must be true or false, not {shown(value)}.")
        if self.kind == "choice" and self.choices and not is_among(value, self.choices):
            known = ", ".join(map(str, self.choices))
            raise SettingError(f"`{self.name}` must be one of: {known}; not {shown(value)}.")
        if self.kind == "text" and self.group == "options":
            return self._short_text(value)
        return value

    def _number(self, value: Any) -> float:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        number: Any = parse_rate(value) if self.is_rate else value
        is_number = isinstance(number, Real) and not isinstance(number, bool)
        if not is_number or not low <= number <= high:  # also for NaN
            reach = f"from {low:g} to {high:g}"
            kind = "number or a fraction" if self.is_rate else "number"
            raise SettingError(f"`{self.name}` must be a {kind} {reach}, not {shown(value)}.")
        return float(number)

    def _whole(self, value: Any) -> int:
        low = 0 if self.low is None else int(self.low)
        high = MAX_SEED if self.high is None else int(self.high)
        is_whole = isinstance(value, Integral) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:
            most = "2^63 - 1" if high == MAX_SEED else str(high)
            number = f"a whole number of {self.unit}" if self.unit else "a whole number"
            raise SettingError(
                f"`{self.name}` must be {number} from {low} to {most}, not {shown(value)}."
            )
        return int(value)

    def _short_text(self, value: Any) -> str:
        is_text = isinstance(value, str) and bool(value.strip()) and value.isprintable()
        if not is_text or len(value) > MAX_TEXT:
            raise SettingError(
                f"`{self.name}` is a text of up to {MAX_TEXT} characters, not {shown(value)}."
            )
        return value.strip()


def is_among(value: Any, choices: Iterable[Any]) -> bool:
    """Whether a value of any type is one of some texts, whole numbers or None."""
    return isinstance(value, (str, int, type(None))) and value in tuple(choices)
