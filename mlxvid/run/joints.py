"""Other clips that a clip goes on from or leads to: of these only the shared frames are read."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import SettingError
from mlxvid.media import images
from mlxvid.media.clip import Clip
from mlxvid.media.containers import too_large
from mlxvid.media.names import given_file
from mlxvid.media.parts import ArrayParts, Parts, open_parts
from mlxvid.model.card import Card
from mlxvid.model.settings import SETTINGS

from .planning import plan

log = logging.getLogger("mlxvid")

IN_MEMORY = "a picture in memory"

# The frames of no model here were larger in training.
_LARGEST = 1280 * 736


class Joint:
    """Another clip's frames in the new one. frame: where they begin; source: where from."""

    def __init__(self, name: str, frame: int, count: int, parts: Parts, source: str):
        self.name = name
        self.frame = frame
        self.source = source
        self.parts = parts
        self._count = count

    @property
    def size(self) -> tuple[int, int]:
        """The other clip's width and height."""
        return self.parts.width, self.parts.height

    def read(self, width: int, height: int) -> np.ndarray:
        """The shared frames, fitted as they are read: uint8 [N, height, width, 3]."""
        notes: list[str | None] = []

        def fitted(frame: np.ndarray) -> np.ndarray:
            pixels, note = images.fit(frame, width, height)
            notes.append(note)
            return pixels

        read = self.parts.last if self.name == "extend" else self.parts.first
        try:
            frames = read(self._count, fitted)
        except MemoryError as error:
            raise too_large(self.source) from error
        _require_frames(self.name, len(frames), self._count)
        if notes[0]:
            log.warning(notes[0])
        return np.stack(frames)


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
        parts, source = _opened(given[name])
        _require_frames(name, parts.count or shared, shared)
        frame = 0 if name == "extend" else frames - shared
        joints[name] = Joint(name, frame, shared, parts, source)
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
    """The frame rate of the clip that is gone on from, or else led to; None where none says it."""
    for name in ("extend", "join"):
        if given.get(name) is not None:
            fps = _opened(given[name])[0].fps
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
        other = joint.parts.fps
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


def _opened(source: Any) -> tuple[Parts, str]:
    """A clip to read from, and where it came from."""
    if isinstance(source, (str, os.PathLike)):
        # Absolute, so that repeating the clip finds it from another folder.
        path = os.path.abspath(given_file(source))
        return open_parts(Path(path)), path
    if isinstance(source, Clip):
        return ArrayParts(source.frames, source.fps), IN_MEMORY
    return ArrayParts(Clip(source, 1).frames, None), IN_MEMORY
