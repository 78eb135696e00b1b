"""Names of files after prompts, in any language."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 60
"""Characters of a prompt in a name."""

LONGEST_BYTES = 120
"""The same in UTF-8, since file systems count those: 40 Chinese characters."""

# Selectors of a letter's or an emoji's look: marks by their category, and nothing to see.
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Windows takes these for devices, with any ending.
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]")


def named_after(prompt: str) -> str:
    """A name for a file, without an ending: the letters, marks and digits of a prompt.

    Whatever else it has, emoji among it, becomes one "-"; "clip" where nothing is left.
    """
    text = unicodedata.normalize("NFC", _SELECTORS.sub("", prompt).lower())
    kept = ""
    for letter in text:
        kind = unicodedata.category(letter)
        # A mark belongs to the letter before it.
        is_mark = kind in ("Mn", "Mc") and kept and not kept.endswith("-")
        if is_mark or kind[0] in "LN":
            kept += letter
        elif kept and not kept.endswith("-"):
            kept += "-"
    name = _cut(kept).strip("-")
    return f"clip-{name}" if _RESERVED.fullmatch(name) else name or "clip"


def _cut(text: str) -> str:
    """The beginning of a text that is short enough, no letter parted from its marks."""
    size = min(LONGEST, len(text))
    while size and len(text[:size].encode()) > LONGEST_BYTES:
        size -= 1
    while 0 < size < len(text) and unicodedata.category(text[size]).startswith("M"):
        size -= 1
    return text[:size]
