"""What the commands share: a parser whose complaints are one sentence, and values such as 1x2x2."""

from __future__ import annotations

import argparse
import difflib
import math
import re
import sys
from collections.abc import Sequence
from typing import Any

from mlxvid.errors import SettingError
from mlxvid.model.geometry import MAX_FRAMES, MAX_SIDE, check_whole
from mlxvid.model.rates import exact, parse_rate

from .command import EXIT_BROKEN_PIPE as EXIT_BROKEN_PIPE
from .command import run as run

# More of anything that is counted, and more GB of memory, than there is use for.
MAX_WHOLE = 10**9
MAX_GB = 10**6
# Characters of one word of a flag's value that a complaint repeats.
MAX_WORD = 60

_POSITIVE = (sys.float_info.min, sys.float_info.max)


class Parser(argparse.ArgumentParser):
    """An ``argparse`` parser that raises :class:`SettingError` with one sentence instead of
    printing its usage and exiting.

    Flags are written out, so that a flag added later can't change what a shortened one means; for a
    mistyped one the nearest is suggested. The description and the epilog (put examples there) keep
    their line breaks.
    """

    def __init__(self, **options):
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def parse_args(  # type: ignore[override]  # no namespaces of other classes here
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> argparse.Namespace:
        found, extras = self.parse_known_args(args, namespace)
        if extras:
            self.error(self._unknown(extras[0]))
        return found

    def error(self, message: str):
        """Raise `message` as one sentence that ends in where to look."""
        raise SettingError(f"{_sentence(message)}; {self.prog} --help lists the flags.")

    def _unknown(self, text: str) -> str:
        if not text.startswith("-"):
            is_prompt = " " in text and "--prompt" in self._option_string_actions
            hint = (
                "a prompt goes after --prompt" if is_prompt else "a value with spaces needs quotes"
            )
            return f"{text!r} belongs to no flag ({hint})"
        flag = text.split("=")[0]
        near = difflib.get_close_matches(flag, self._option_string_actions, 1)
        return f"there is no flag {flag}" + (f" (did you mean {near[0]}?)" if near else "")


def _sentence(message: str) -> str:
    """argparse's message, with its "argument " prefix taken off and ready to be continued."""
    message = (
        " ".join(message.split())
        .removeprefix("argument ")
        .replace(": must ", " must ", 1)
        .rstrip(".")
    )
    message = re.sub(rf"(\S{{{MAX_WORD}}})\S+", r"\1…", message)
    return message if message.startswith("-") else message[:1].upper() + message[1:]


def whole(text: str) -> int:
    """A whole number from 1 to a billion, for a flag's ``type=``."""
    return _number(text, int, 1, MAX_WHOLE, f"a whole number from 1 to {MAX_WHOLE}")


def side(text: str) -> int:
    """A width or height in pixels, from 1 to 16384."""
    return _number(text, int, 1, MAX_SIDE, f"a whole number of pixels from 1 to {MAX_SIDE}")


def frames(text: str) -> int:
    """A number of frames, from 1 to 100000."""
    return _number(text, int, 1, MAX_FRAMES, f"a whole number of frames from 1 to {MAX_FRAMES}")


def positive(text: str) -> float:
    """A number above 0, such as seconds or frames a second."""
    return _number(text, float, *_POSITIVE, "a number above 0")


def rate(text: str) -> float:
    """Frames a second: a number above 0, or a fraction such as 24000/1001."""
    fps = parse_rate(text)
    meaning = "a number or a fraction above 0"
    return exact(_number(text if fps is None else str(fps), float, *_POSITIVE, meaning))


def gigabytes(text: str) -> float:
    """A machine's memory in GB, from 1 to a million."""
    return _number(text, float, 1, MAX_GB, f"a number of GB from 1 to {MAX_GB}")


def not_negative(text: str) -> float:
    """A number from 0 up, such as a guidance scale."""
    return _number(text, float, 0, sys.float_info.max, "a number from 0 up")


def size(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT in pixels, as in 96x64."""
    width, height = _sides(text, 2, "WIDTHxHEIGHT as in 96x64")
    return width, height


def patch(text: str) -> tuple[int, int, int]:
    """TIMExHEIGHTxWIDTH in latent positions, as in 1x2x2."""
    time, height, width = _sides(text, 3, "TIMExHEIGHTxWIDTH as in 1x2x2")
    return time, height, width


def _number(text: str, kind: type, low: float, high: float, meaning: str):
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"must be {meaning}, not {text!r}")
    return value


def _sides(text: str, count: int, meaning: str) -> tuple[int, ...]:
    parts = re.split("[x×]", text.lower())
    if len(parts) != count or not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"must be {meaning}, not {text!r}")
    try:
        return tuple(check_whole("each side", int(part), MAX_SIDE, "pixels") for part in parts)
    except ValueError:  # SettingError is one; so is int's refusal of thousands of digits
        raise argparse.ArgumentTypeError(
            f"must have sides from 1 to {MAX_SIDE}, not {text[:40]!r}"
        ) from None


def add_progress(group: Any) -> None:
    """Add --progress, which all commands have that take long."""
    group.add_argument(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="how progress is told (json: an object a line on standard output)",
    )
