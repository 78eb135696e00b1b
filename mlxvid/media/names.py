"""Names of files as people give them: typed, dragged from Finder, copied from a browser."""

from __future__ import annotations

import logging
import os
import re
import unicodedata
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from mlxvid.errors import MediaError

log = logging.getLogger("mlxvid")

_WEB = re.compile(r"(https?|ftp)://|data:image", re.IGNORECASE)
_LOCAL = re.compile(r"file:(?://(?:localhost)?)?(/.*)", re.IGNORECASE | re.DOTALL)
_QUOTES = {"'": "'", '"': '"', "‘": "’", "“": "”", "«": "»", "„": "“"}
_STRAIGHT = str.maketrans("‘’“”", "''\"\"")


def given_file(name: str | os.PathLike) -> Path:
    """The file that is meant: "~" is the user's home, and a ``file:`` address is its path.

    Where there is no file of that name, but one without quotes around it, without a terminal's
    backslashes, or with the typographic spaces and quotes that macOS has in its names, then it is
    that one. Raises :class:`MediaError` for an address in the web.
    """
    text = os.fspath(name)
    if not isinstance(text, str):
        return Path(os.fsdecode(text))
    if not text.strip():
        raise MediaError("A file's name is empty: name the file, or leave the setting out.")
    path = Path(os.path.expanduser(text))
    if os.path.lexists(path):
        return path
    for tried in _readings(text.strip()):
        if _WEB.match(tried):
            raise MediaError(
                f"{tried:.200} is an address, and nothing is fetched from the web: download it and "
                "give the file."
            )
        local = _LOCAL.fullmatch(tried)
        found = Path(unquote(local[1]) if local else os.path.expanduser(tried))
        if os.path.lexists(found):
            return found
        alike = _alike(found)
        if alike is not None:
            if _composed(found) != _composed(alike):
                _tell_alike(found, alike)
            return alike
    return path


def _readings(text: str) -> list[str]:
    """`text` as it is, and without the quotes or the backslashes that a terminal takes off."""
    inner = text
    if len(text) > 2 and _QUOTES.get(text[0]) == text[-1]:
        inner = text[1:-1]
    return [inner, re.sub(r"\\(.)", r"\1", inner)]


def _alike(path: Path) -> Path | None:
    """The one file beside `path` whose name reads the same; None for none or several."""
    try:
        beside = [other for other in path.parent.iterdir() if _plain(other) == _plain(path)]
    except (OSError, ValueError):
        return None
    return beside[0] if len(beside) == 1 else None


def _plain(path: Path) -> str:
    """A name with plain spaces and quotes, its accents composed."""
    return unicodedata.normalize("NFKC", path.name).translate(_STRAIGHT)


def _composed(path: Path) -> str:
    """A name as it is, but for how its accents are stored, which nobody sees."""
    return unicodedata.normalize("NFC", path.name)


@cache
def _tell_alike(given: Path, taken: Path) -> None:
    """Note that another file is taken: once, however often the name is looked up."""
    log.warning("There is no %s; %s is taken.", given, taken.name)
