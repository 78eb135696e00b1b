"""Pictures and clips that are given for frames of a clip: read, placed and fitted."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mlxvid.errors import MediaError, SettingError, shown
from mlxvid.media import images
from mlxvid.media.clip import Clip
from mlxvid.media.formats import VIDEO
from mlxvid.media.parts import is_clip, is_video
from mlxvid.model.card import Card
from mlxvid.model.geometry import Geometry
from mlxvid.model.keyframes import Keyframe, Placed
from mlxvid.model.settings import SETTINGS

from .clips import IN_MEMORY, GivenClip, Still, absolute, first_frames

log = logging.getLogger("mlxvid")


class Item(NamedTuple):
    """What is given for a frame, before it is fitted."""

    frame: int
    given: Still | GivenClip
    strength: float

    def original(self, frames: np.ndarray) -> np.ndarray:
        """What tells it from others: a picture as it was given, of a clip the `frames` that are
        taken.
        """
        return self.given.pixels if isinstance(self.given, Still) else frames

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return "picture" if isinstance(self.given, Still) else "clip"


def given_items(card: Card, given: Mapping[str, Any], frames: int) -> list[Item]:
    """What is given for frames of a clip of `frames`, in their order: pictures read, clips opened.

    Raises :class:`SettingError` for what the model can't be given, or needs and hasn't got.
    """
    keyframes = given.get("keyframes", {})
    if not isinstance(keyframes, Mapping):
        kind = type(keyframes).__name__  # an array's own words take many lines
        raise SettingError(f"`keyframes` are pictures by frame number, not a {kind}.")
    placed = [
        *keyframes.items(),
        (0, given.get("image")),
        (frames - 1, given.get("last_image")),
    ]
    asked = [
        (_frame(frame, frames), Keyframe.of(value, frame))
        for frame, value in placed
        if value is not None
    ]
    asked.sort(key=lambda pair: pair[0])
    _check_places(card, {frame for frame, _ in asked}, frames)
    focus = SETTINGS["focus"].checked(given.get("focus", 0.5))
    items = [_read(card, frame, keyframe, focus) for frame, keyframe in asked]
    if "focus" in given and not any(isinstance(item.given, Still) for item in items):
        log.warning("`focus` does nothing where no picture is given.")
    return items


def _frame(frame: Any, frames: int) -> int:
    """A frame's number, counted from the end where it is negative."""
    is_whole = isinstance(frame, Integral) and not isinstance(frame, bool)
    if not is_whole or not -frames <= frame < frames:
        raise SettingError(
            f"There is no frame {shown(frame)} to put a picture in: this clip's `frames` are 0 to "
            f"{frames - 1}."
        )
    return int(frame) % frames


def _check_places(card: Card, places: set[int], frames: int) -> None:
    """Raise :class:`SettingError` for a picture that the model takes nowhere, or that it needs and
    hasn't got.
    """
    names = {frames - 1: "last_image", 0: "image"}  # in this order: a single frame is the first
    kinds = {names.get(place, "keyframes") for place in places}
    strange = kinds - card.takes
    if strange:
        raise SettingError(
            f"This model takes no `{min(strange)}`; `list_models` shows what each can do."
        )
    missing = card.needs - kinds
    if not missing:
        return
    if frames == 1 and "last_image" in card.needs:
        raise SettingError(
            "This model goes from a first picture to a last one, so one frame is too few; give "
            "more `frames`."
        )
    spoken = min(missing).replace("_", " ")
    raise SettingError(
        f"This model brings pictures to life and has none for the {spoken}: give one as "
        f"`{min(missing)}`."
    )


def _read(card: Card, frame: int, keyframe: Keyframe, focus: float) -> Item:
    if keyframe.strength != 1 and "keyframe_strength" not in card.takes:
        raise SettingError(
            f"This model keeps a picture whole and takes no strength for it: leave out that of "
            f"frame {frame} in `keyframes`."
        )
    source = keyframe.source
    takes_clips = "keyframe_clips" in card.takes
    is_path = isinstance(source, (str, os.PathLike))
    if is_path:
        source = absolute(source)
    if takes_clips and _is_clip(source):
        return Item(frame, GivenClip(source), keyframe.strength)
    if not is_path and not isinstance(source, (np.ndarray, Image.Image)):
        raise SettingError(
            f"The picture for frame {frame} must be a path, a Pillow image or a uint8 array, not "
            f"{type(source).__name__}."
        )
    try:
        pixels = images.read_image(source)
    except MediaError as error:
        if is_path and not takes_clips and is_video(Path(source)):
            raise SettingError(
                f"This model takes pictures for its frames and no clips: give one of the frames in "
                f"{source} as a picture."
            ) from error
        raise
    return Item(frame, Still(pixels, source if is_path else IN_MEMORY, focus), keyframe.strength)


def _is_clip(source: Any) -> bool:
    if isinstance(source, str):
        path = Path(source)
        return is_clip(path) or path.suffix.lower() in VIDEO
    return isinstance(source, Clip) or (isinstance(source, np.ndarray) and source.ndim == 4)


def fitted(
    items: Iterable[Item], width: int, height: int, frames: int, geometry: Geometry
) -> list[Placed]:
    """The items where a clip of `frames` is given them, of its size. What is changed is logged."""
    placed = []
    taken: set[int] = set()
    for item in items:
        found = _fitted(item, width, height, frames, geometry)
        if found.frame != item.frame:
            log.warning(
                "The %s for frame %d goes to frame %d, the nearest that this model can be given.",
                item.kind,
                item.frame,
                found.frame,
            )
        if found.frame in taken:
            raise twice(found.frame)
        taken.add(found.frame)
        placed.append(found)
    return placed


def _fitted(item: Item, width: int, height: int, frames: int, geometry: Geometry) -> Placed:
    given = item.given
    frame, count = geometry.place(item.frame, given.count or frames, frames)
    # Of a file that doesn't say how many it has one more, which tells whether any are left out.
    pixels = given.first(count if given.count else count + 1, width, height)
    if len(pixels) < count:
        frame, count = geometry.place(item.frame, len(pixels), frames)
    if count < max(given.count, len(pixels)):
        log.warning(
            "Of the clip for frame %d %s taken, as many as this model can be given there.",
            frame,
            first_frames(count),
        )
    return Placed(frame, pixels[:count], item.strength)


def twice(frame: int) -> SettingError:
    """What is said where two things are given for one frame."""
    return SettingError(f"Two pictures are given for frame {frame}; leave one of them out.")


def _overlap(one: Placed, other: Placed) -> SettingError:
    """What is said where two things are given for the same frames."""
    if one.frame == other.frame:
        return twice(one.frame)
    earlier, later = sorted((one, other), key=lambda item: item.frame)
    last = earlier.frame + len(earlier.frames) - 1
    return SettingError(
        f"The clip that is given for frame {earlier.frame} goes on to frame {last}, so nothing "
        f"else can be given for frame {later.frame}: leave one of them out, or give it for another "
        "frame."
    )


def by_latent_frame(
    placed: Iterable[Placed], frames: int, geometry: Geometry
) -> dict[int, np.ndarray]:
    """Of what is given those that stand on a latent frame, by its number: a picture uint8
    [H, W, 3], or frames of a clip [N, H, W, 3].

    Raises :class:`SettingError` where two of them have a latent frame in common.
    """
    found: dict[int, np.ndarray] = {}
    taken: dict[int, Placed] = {}
    for item in placed:
        slot, at = geometry.slot(item.frame, frames)
        if at != item.frame:
            continue
        covered = range(slot, slot + geometry.latent_frames(len(item.frames)))
        for latent in covered:
            if latent in taken:
                raise _overlap(item, taken[latent])
            taken[latent] = item
        found[slot] = item.frames if len(item.frames) > 1 else item.frames[0]
    return found
