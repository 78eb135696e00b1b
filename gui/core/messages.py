"""Messages of the library and of the worker, as the window shows them."""

from __future__ import annotations

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


def shown(message: str | MlxvidError) -> str:
    """A message on one line, with the settings that it names written as their labels."""
    return " ".join(spelled(str(message), label).split())


def label(name: str) -> str:
    """What the window calls a setting, or what else messages name in backticks."""
    return _OTHER_NAMES.get(name) or settings.label(name, models.options())
