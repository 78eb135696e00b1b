"""The clip that another is made from, or follows, read and cut to what the model can make."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlxvid.errors import SettingError
from mlxvid.model.geometry import Geometry
from mlxvid.model.settings import SETTINGS
from mlxvid.model.strength import USUAL_STRENGTH, first_step

from .clips import GivenClip, first_frames
from .planning import counted

log = logging.getLogger("mlxvid")

# What stands at single frames: a clip that is made from another has all of its frames.
_AT_FRAMES = ("image", "last_image", "keyframes", "extend", "join")


def open_video(given: Mapping[str, Any]) -> GivenClip | None:
    """The clip that is given as `video`, None where none is.

    Raises :class:`SettingError` for what can't be given with it, or only with it.
    """
    if "video" not in given:
        if "strength" in given:
            raise SettingError(
                "`strength` says how far a `video` is made anew: give one, or leave it out."
            )
        return None
    for name in _AT_FRAMES:
        if given.get(name) is not None and not _is_empty(given[name]):
            raise SettingError(
                f"A clip can't have both `video` and `{name}`; leave one of them out."
            )
    return GivenClip(given["video"])


def _is_empty(value: Any) -> bool:
    return isinstance(value, Mapping) and not value


def strength_of(given: Mapping[str, Any], steps: int) -> float:
    """How far the `video` is made anew.

    Raises :class:`SettingError` where none of the steps would be left.
    """
    strength = SETTINGS["strength"].checked(given.get("strength", USUAL_STRENGTH))
    if first_step(steps, strength) == steps:
        raise SettingError(
            f"At a `strength` of {strength:g} none of {steps} `steps` would be made; raise one of "
            "them."
        )
    return strength


def read_video(
    clip: GivenClip, frames: int, width: int, height: int, geometry: Geometry
) -> np.ndarray:
    """The clip's first frames, uint8 [N, height, width, 3]: at most `frames`, and as many as the
    model can make. What is left out, or shortens the new clip, is logged.
    """
    # Of a file that doesn't say how many it has one more, which tells whether any are left out.
    pixels = clip.first(frames if clip.count else frames + 1, width, height)
    if max(clip.count, len(pixels)) > frames:
        log.warning("%s is longer: %s taken.", clip.called, first_frames(frames))
    if len(pixels) >= frames:
        return pixels[:frames]
    kept = _most(len(pixels), geometry)
    log.warning(
        "%s has %s, fewer than the %d of the new clip, which is %s long instead.",
        clip.called,
        counted(len(pixels), "frame"),
        frames,
        counted(kept, "frame"),
    )
    return pixels[:kept]


def read_control(
    clip: GivenClip, frames: int, width: int, height: int, geometry: Geometry
) -> np.ndarray:
    """The first frames of a clip that one of `frames` follows, uint8 [N, height, width, 3]: as many
    of them as the model could make. That the rest is free is logged.
    """
    pixels = clip.first(frames, width, height)
    kept = _most(len(pixels), geometry)
    if kept < frames:
        log.warning(
            "Of the new clip's %d frames the first %d follow %s, which has %d.",
            frames,
            kept,
            clip.called,
            len(pixels),
        )
    return pixels[:kept]


def _most(frames: int, geometry: Geometry) -> int:
    """The most frames up to `frames` that the model can make."""
    for count in range(frames, 0, -1):
        if geometry.round_frames(count)[0] == count:
            return count
    raise SettingError(
        f"The clip has fewer frames ({frames}) than this model can make; give a longer one."
    )
