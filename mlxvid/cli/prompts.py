"""Prompts from files and from standard input."""

from __future__ import annotations

import codecs
import os
import re
import sys
from typing import BinaryIO

from mlxvid.errors import SettingError

STANDARD_INPUT = "-"
MAX_BYTES = 1 << 20
"""Of a file of prompts: nothing endless is read."""

# Byte order marks and what they stand for; UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def read_prompts(file: str) -> list[str]:
    """The prompts in a file ("-" for standard input), one a line.

    Blank lines, and those that begin with #, are none. Raises :class:`SettingError` for a file that
    can't be read, is no text, or has no prompt.
    """
    lines = [line.strip() for line in re.split("\r\n|\r|\n", _text(file))]
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise SettingError(f"{_spoken(file)} has no prompts: give one a line.")
    return prompts


def read_prompt() -> str:
    """The one prompt on standard input, which may have several lines."""
    prompt = _text(STANDARD_INPUT).strip()
    if not prompt:
        raise SettingError("Standard input has no prompt: give one there, or in `prompt`.")
    return prompt


def _text(file: str) -> str:
    if file == STANDARD_INPUT and sys.stdin is None:
        raise SettingError("Standard input is closed: give a file of prompts.")
    try:
        if file == STANDARD_INPUT:
            data = _limited(sys.stdin.buffer)
        else:
            with open(os.path.expanduser(file), "rb") as opened:
                data = _limited(opened)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingError(
            f"{_spoken(file)} can't be read ({reason}): give a text file with a prompt a line."
        ) from None
    if len(data) > MAX_BYTES:
        raise SettingError(
            f"{_spoken(file)} is longer than {MAX_BYTES} bytes: give a text file of prompts, or "
            "several."
        )
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL.search(text):
        raise SettingError(f"{_spoken(file)} is no text in UTF-8: save it as such.")
    return text


def _limited(opened: BinaryIO) -> bytes:
    """What can be read, and one byte more than is allowed where there is more."""
    return opened.read(MAX_BYTES + 1)


def _spoken(file: str) -> str:
    return "Standard input" if file == STANDARD_INPUT else file
