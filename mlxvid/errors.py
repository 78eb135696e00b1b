"""What a user can get wrong: one class each; a message is one sentence that says what to do.

All derive from :class:`MlxvidError`, and from ``ValueError`` or ``OSError`` where Python people
would catch those. A message writes the settings that it is about in backticks, by their names in
Python: the command line shows them as flags and the window as labels (:func:`spelled`). The command
line prints the message alone on standard error and exits with 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_SETTING = re.compile(r"`([a-z][a-z0-9_]*)`")
# Characters of a message, whose names and paths may be of any length; and of a value in one.
MAX_MESSAGE = 2000
MAX_VALUE = 60
# How a message begins that is no user's doing.
FAULT = "This is a fault in mlxvid"


def shown(value: object) -> str:
    """A value in a message: the beginning of what Python prints for it, on one line."""
    try:
        text = repr(value)
    except Exception:  # nested too deeply, a number of thousands of digits, or its own fault
        text = f"a value of the type {type(value).__name__}"
    lines = text[: 2 * MAX_VALUE].splitlines()
    return " ".join(line.strip() for line in lines)[:MAX_VALUE]


def _one_line(message: str) -> str:
    """A message without line breaks, and the middle of a very long one."""
    line = " ".join(message.splitlines())
    if len(line) <= MAX_MESSAGE:
        return line
    return f"{line[: MAX_MESSAGE // 2]}…{line[-MAX_MESSAGE // 2 :]}"


def spelled(message: str, spelling: Callable[[str], str]) -> str:
    """`message` with each setting that it names in backticks written as `spelling` has it."""
    return _SETTING.sub(lambda match: spelling(match[1]), message)


class MlxvidError(Exception):
    """Base of everything that mlxvid raises on purpose. Its message is one line."""

    def __init__(self, message: object = ""):
        super().__init__(_one_line(str(message)))

    latents_path: str | None = None
    """Where the latents of the run that ended are kept, which the message says too; None for
    nowhere.
    """
    reason: str | None = None
    """Where `resume` makes the clip of these latents: the message without how to do that, as one
    sentence.
    """
    shared = False
    """Whether every machine of a run raises it, so that the first one alone has to tell it."""

    @property
    def setting(self) -> str | None:
        """The setting that the message is about, the first in backticks; None for none."""
        match = _SETTING.search(str(self))
        return match[1] if match else None


class SettingError(MlxvidError, ValueError):
    """A setting that no clip can have, or that this model can't honour."""


class ModelNotFoundError(MlxvidError, OSError):
    """The named model is neither in the catalog, nor a folder, nor a hub repository in reach."""


class WeightsError(MlxvidError, OSError):
    """A checkpoint that is broken, incomplete, or made for another architecture."""


class MediaError(MlxvidError, OSError):
    """A picture or clip that can't be read, or can't be written where it was asked for."""


class DoesNotFitError(MlxvidError, ValueError):
    """The clip needs more memory than this machine can give; the message says what would fit."""


class GpuError(MlxvidError, OSError):
    """The GPU failed, or the system stopped it; the message says what helps."""


class MachinesError(MlxvidError, OSError):
    """Machines that are to share a run differ, or one of them is lost."""


class DegenerateClipError(MlxvidError, ValueError):
    """The result has values that are not finite, or does not vary at all.

    `latents_path`: where the last valid latents were kept.
    """

    def __init__(self, message: str, latents_path: str | None = None):
        kept = f"{message.rstrip('.')}; the latents are kept in {latents_path}."
        super().__init__(kept if latents_path else message)
        self.latents_path = latents_path


class CancelledError(MlxvidError):
    """The run was stopped on request; no clip was written."""
