"""Other clips that a clip goes on from or leads to: of these only the shared frames are read."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlxvid.errors import SettingError
from mlxvid.model.card import Card
from mlxvid.model.settings import SETTINGS

from .clips import GivenClip
from .planning import plan

log = logging.getLogger("mlxvid")

# The frames of no model here were larger in training.
_LARGEST = 1280 * 736


class Joint:
    """Another clip's frames in the new one. frame: where they begin; clip: the other one."""

    def __init__(self, name: str, frame: int, count: int, clip: GivenClip):
        self.name = name
        self.frame = frame
        self.clip = clip
        self.source = clip.source
        self._count = count

    @property
    def size(self) -> tuple[int, int]:
        """The other clip's width and height."""
        return self.clip.size

    def read(self, width: int, height: int) -> np.ndarray:
        """The shared frames, fitted as they are read: uint8 [N, height, width, 3]."""
        read = self.clip.last if self.name == "extend" else self.clip.first
        frames = read(self._count, width, height)
        _require_frames(self.name, len(frames), self._count)
        return frames


def open_joints(card: Card, given: Mapping[str, Any], frames: int) -> dict[str, Joint]:
    """By "extend" or "join": the clips that are joined to one of `frames`.

    A clip that extends another begins with the last frames of that one; one that joins another ends
    with its first.
    """
    shared = card.shared_frames
    joints: dict[str, Joint] = {}
    for name in ("extend", "join"):
        if name not in given:
            continue
        clip = GivenClip(given[name])
        _require_frames(name, clip.count or shared, shared)
        frame = 0 if name == "extend" else frames - shared
        joints[name] = Joint(name, frame, shared, clip)
    if joints and frames <= shared * len(joints):
        raise SettingError(
            f"This clip shares {shared * len(joints)} frames with others; give more `frames` than "
            "that."
        )
    if "join" in joints and card.geometry.slot(frames - shared, frames)[1] != frames - shared:
        fitting = shared * max(len(joints) + 1, math.ceil(frames / shared))
        raise SettingError(
            f"A clip that joins another has a multiple of {shared} `frames`, not {frames}; make it "
            f"{fitting} frames long."
        )
    return joints


def joint_rate(given: Mapping[str, Any]) -> float | None:
    """The frame rate of the clip that is gone on from, led to or made anew; None where none says
    it.
    """
    for name in ("extend", "join", "video"):
        if given.get(name) is not None:
            fps = GivenClip(given[name]).fps
            if fps is not None:
                return fps
    return None


def kept_size(
    joints: Mapping[str, Joint], card: Card, frames: int
) -> tuple[tuple[int, int] | None, str | None]:
    """The size of the clip that is gone on from, or else led to, and a line about it.

    The size is None where there is no such clip, or where the model can't make it on this machine.
    """
    if not joints:
        return None, None
    joint = next(iter(joints.values()))
    width, height, _ = card.geometry.round_size(*joint.size)
    as_asked = f"{joint.size[0]}x{joint.size[1]}"
    can = width * height <= _LARGEST
    if not (can and plan(card, frames=frames, width=width, height=height).fits):
        note = (
            f"{joint.source} has frames of {as_asked}, more than this model can make here; the new "
            "clip's are smaller (`width` and `height` ask for others)."
        )
        return None, note
    if (width, height) == joint.size:
        return (width, height), None
    note = f"{joint.source} has frames of {as_asked}, the new clip of {width}x{height}, which are "
    return (width, height), note + "the nearest that this model can make."


def rate(joints: Mapping[str, Joint], given: float | None, default: float) -> float:
    """The new clip's frame rate: as given, else that of the clip it goes on from or leads to."""
    fps = given
    for joint in joints.values():
        other = joint.clip.fps
        if other is None:
            continue
        if fps is None:
            fps = other
        elif not math.isclose(fps, other, rel_tol=1e-6):
            log.warning(
                "%s plays at %.6g frames a second and the new clip at %.6g: between them the speed "
                "changes (`fps` sets it).",
                joint.source,
                other,
                fps,
            )
    # As one that is given would be: the settings of a run that is resumed have to be the same.
    return SETTINGS["fps"].checked(default if fps is None else fps)


def _require_frames(name: str, count: int, shared: int) -> None:
    if count < shared:
        raise SettingError(
            f"The clip to `{name}` has fewer frames than the {shared} that it shares with the new "
            "one; give a longer one."
        )
