"""Messages of the library and of the worker, as the window shows them."""

from __future__ import annotations

import re

from mlxvid import models
from mlxvid.errors import MlxvidError, spelled
from mlxvid.model import settings

# What messages name in backticks besides settings, and where the window has it.
_OTHER_NAMES = {
    "resume": "Resume",
    "force": "“Try it even if it should not fit”",
    "list_models": "the Models window",
    "decode_saved": "Resume",
}
_WORD = r"(?:'[^']*'|\S+?)(?=[;,.]?(?:\s|$))"
# What messages say of commands and of the environment, and what the window has in their place.
_ELSEWHERE = (
    (
        r"set MLXVID_CACHE to a(?:nother)? folder",
        "choose another folder for unfinished clips in Settings",
    ),
    (
        r"set MLXVID_MODELS to a(?:nother)? folder(?: on another disk)?",
        "choose another folder for models in Settings",
    ),
    (r"log in with `hf auth login`", "set your token in Settings"),
    (r"set AGX_\w+=1 in the environment", "let the GPU work longer in Settings"),
    (rf"python -m mlxvid\.convert {_WORD}(?: \(-h says how\))?", "Import in the Models window"),
    (rf"get it with python -m mlxvid\.hub download {_WORD}, or put", "put"),
    (r", on a Mac with: sips .*\.png", ", on a Mac with Preview"),
)
_PHRASES = [(re.compile(pattern), said) for pattern, said in _ELSEWHERE]


def shown(message: str | MlxvidError) -> str:
    """A message on one line in the window's words.

    The settings that it names are written as their labels, and what is done in a terminal as what
    does it here.
    """
    text = " ".join(spelled(str(message), label).split())
    for pattern, said in _PHRASES:
        text = pattern.sub(said, text)
    return text


def label(name: str) -> str:
    """What the window calls a setting, or what else messages name in backticks."""
    return _OTHER_NAMES.get(name) or settings.label(name, models.options())
