"""What a user can get wrong: one class each, and every message is one sentence that says what to do
about it.

All derive from :class:`MlxvidError`, and from ``ValueError`` or ``OSError`` where Python people
would catch those. The command line prints the message alone on standard error and exits with 2.
"""

from __future__ import annotations


class MlxvidError(Exception):
    """Base of everything that mlxvid raises on purpose."""


class SettingError(MlxvidError, ValueError):
    """A setting that no clip can have: a negative size, an unknown sampler, an option the model
    can't honour.
    """


class ModelNotFoundError(MlxvidError, OSError):
    """The named model is neither in the catalog, nor a folder, nor a hub repository within reach."""


class WeightsError(MlxvidError, OSError):
    """A checkpoint that is broken, incomplete, or made for another architecture."""


class MediaError(MlxvidError, OSError):
    """A picture or clip that can't be read, or can't be written where it was asked for."""


class DoesNotFitError(MlxvidError, ValueError):
    """The clip needs more memory than this machine has to give; the message names settings that
    fit.
    """


class DegenerateClipError(MlxvidError, ValueError):
    """The result has values that are not finite, or does not vary at all.

    `latents_path` is where the last sound latents were kept, which the message then says; None
    where they could not be.
    """

    def __init__(self, message: str, latents_path: str | None = None):
        super().__init__(
            f"{message.rstrip('.')}; the latents are kept in {latents_path}."
            if latents_path
            else message
        )
        self.latents_path = latents_path


class CancelledError(MlxvidError):
    """The run was stopped on request; nothing was written."""
