"""From given settings to a complete request, checked before any work begins."""

from __future__ import annotations

import logging
import math
import os
import secrets
from collections.abc import Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from mlxvid import models
from mlxvid.errors import SettingError, shown
from mlxvid.media import images
from mlxvid.media.names import given_file
from mlxvid.model.card import Card
from mlxvid.model.geometry import MAX_SIDE, Geometry, round_size
from mlxvid.model.request import Request
from mlxvid.model.settings import SETTINGS, check_known, is_among, making

from .joints import IN_MEMORY, kept_size, open_joints, rate
from .sources import digest_of_pixels, digests

log = logging.getLogger("mlxvid")

MAX_ASPECT = 8
"""How many times a clip may be as long as it is high, or as high as long, after a picture's
proportions; panoramas have up to 4.
"""

# Settings that are completed here by rules of their own; every other one is checked by its kind.
_RULED = frozenset(
    {
        "prompt", "negative_prompt", "width", "height", "resolution", "aspect", "frames", "fps",
        "steps", "guidance", "seed", "sampler", "attention", "shift", "image", "last_image",
        "keyframes", "extend", "join", "options",
    }
)  # fmt: skip


class _Given(NamedTuple):
    """A picture [H, W, 3], or frames of another clip [N, H, W, 3], uint8; the frame where it
    begins; and where it came from.
    """

    frame: int
    pixels: np.ndarray
    source: str


def complete(card: Card, settings: Mapping[str, Any]) -> Request:
    """A request from `settings`; what is missing or None comes from the model's defaults.

    Sizes are rounded to the model's grid; each change is logged. Where a picture is given and the
    size is not, the clip has the picture's proportions and about the default's number of pixels.

    Raises :class:`SettingError` for what no clip of this model can have and :class:`MediaError` for
    pictures that can't be read.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    check_known(given, making())
    _check_texts(given)
    _check_taken(card, given)
    defaults = card.defaults
    geometry = card.geometry
    prompt = _prompt(given.get("prompt"))
    negative_prompt = _text("negative_prompt", given.get("negative_prompt") or "")
    negative_prompt = negative_prompt or defaults.negative_prompt
    width, height = named_size(given, geometry)
    options = _options(card, given.get("options", {}))
    frames, note = geometry.round_frames(given.get("frames", defaults.frames))
    pictures = _given_pictures(card, given, frames)
    joints = open_joints(card, given, frames)
    fps = SETTINGS["fps"].checked(given["fps"]) if "fps" in given else None
    size_note = None
    if width is None and height is None:
        size, size_note = kept_size(joints, card, frames)
        width, height = size or (None, None)
    sizes = [picture.pixels.shape[1::-1] for picture in pictures]
    sizes += [joint.size for joint in joints.values()]
    width, height, notes = _size(width, height, sizes[0] if sizes else None, card)
    for line in [note, size_note, *notes]:
        if line:
            log.warning(line)
    guidance = SETTINGS["guidance"].checked(given.get("guidance", defaults.guidance))
    if negative_prompt and card.passes(guidance) == 1:
        log.warning("The negative prompt does nothing at this `guidance`.")
    sampler = given.get("sampler", defaults.sampler)
    attention = given.get("attention", card.attention_modes[0])
    shared = {
        name: _Given(joint.frame, joint.read(width, height), joint.source)
        for name, joint in joints.items()
    }
    placed = {geometry.slot(picture.frame, frames)[1]: picture for picture in pictures}
    more = {name: value for name, value in given.items() if name not in _RULED}
    return Request(
        prompt=prompt,
        negative_prompt=negative_prompt,
        width=width,
        height=height,
        frames=frames,
        fps=rate(joints, fps, defaults.fps),
        steps=SETTINGS["steps"].checked(given.get("steps", defaults.steps)),
        guidance=guidance,
        seed=SETTINGS["seed"].checked(given.get("seed", secrets.randbelow(2**31))),
        sampler=_one_of("sampler", sampler, card.samplers),
        attention=_one_of("attention", attention, card.attention_modes),
        shift=_shift(card, given.get("shift"), width, height),
        pictures=_fitted([*pictures, *shared.values()], width, height, frames, geometry),
        sources={frame: picture.source for frame, picture in placed.items()},
        joints={name: clip.source for name, clip in joints.items()},
        options=options,
        digests=_digests(placed, shared),
        more={name: SETTINGS[name].checked(value) for name, value in more.items()},
    )


def named_size(given: Mapping[str, Any], geometry: Geometry) -> tuple[int | None, int | None]:
    """Width and height that were given, or those of a size by name; None where neither was.

    Raises :class:`SettingError` where both were.
    """
    width = _checked("width", given)
    height = _checked("height", given)
    resolution = given.get("resolution")
    aspect = given.get("aspect")
    if resolution is None and aspect is None:
        return width, height
    if width is not None or height is not None:
        raise SettingError(
            "Give a size by `width` and `height` or by `resolution` and `aspect`, not by both."
        )
    return geometry.named_size(resolution, aspect)


def _checked(name: str, given: Mapping[str, Any]) -> Any:
    """A given setting, checked; None where it isn't given."""
    value = given.get(name)
    return None if value is None else SETTINGS[name].checked(value)


# --- what this model takes -----------------------------------------------------------------------


def _check_taken(card: Card, given: Mapping[str, Any]) -> None:
    """Raise :class:`SettingError` for a setting that this model can't be given.

    Pictures are judged by where they stand (:func:`_check_places`), attention by its mode.
    """
    elsewhere = ("image", "last_image", "keyframes", "attention")
    for name, value in given.items():
        if not SETTINGS[name].needs_support or name in card.takes or name in elsewhere:
            continue
        if name == "negative_prompt" and not value:
            continue
        raise SettingError(f"This model takes no `{name}`; leave it out.")


def _check_texts(given: Mapping[str, Any]) -> None:
    """Raise :class:`SettingError` for anything but a text where there has to be one."""
    for name, value in given.items():
        if SETTINGS[name].kind == "text":
            _text(name, value)


def _options(card: Card, given: Mapping[str, Any]) -> dict[str, float | str | bool]:
    """The model's own values and over them the given ones, checked."""
    known = models.options()
    if not isinstance(given, Mapping):
        raise SettingError(f"`options` are settings by name, not {shown(given)}.")
    check_known(given, known)
    for name in given:
        if name not in card.takes:
            raise SettingError(f"This model takes no `{name}`; leave it out.")
    return {name: known[name].checked(value) for name, value in {**card.options, **given}.items()}


def _prompt(prompt: Any) -> str:
    if not isinstance(prompt, str) or not prompt.strip():
        raise SettingError("The `prompt` is empty; say what the clip should show.")
    return _text("prompt", prompt)


def _text(name: str, text: Any) -> str:
    if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise SettingError(
            f"The `{name}` must be text (in UTF-8, where it comes from a terminal or file)."
        )
    return text


def _shift(card: Card, given: Any, width: int, height: int) -> float | None:
    shift = card.shift(width, height) if given is None else given
    return None if shift is None else SETTINGS["shift"].checked(shift)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if not is_among(value, allowed):
        raise SettingError(
            f"This model has no `{name}` {shown(value)}; use one of: {', '.join(allowed)}."
        )
    return value


# --- pictures ------------------------------------------------------------------------------------


def _given_pictures(card: Card, given: Mapping[str, Any], frames: int) -> list[_Given]:
    """The given pictures in the order of their frames, read."""
    keyframes = given.get("keyframes", {})
    if not isinstance(keyframes, Mapping):
        kind = type(keyframes).__name__  # an array's own words take many lines
        raise SettingError(f"`keyframes` are pictures by frame number, not a {kind}.")
    placed = [
        *keyframes.items(),
        (0, given.get("image")),
        (frames - 1, given.get("last_image")),
    ]
    placed = [(_frame(frame, frames), source) for frame, source in placed if source is not None]
    placed.sort(key=lambda pair: pair[0])
    _check_places(card, {frame for frame, _ in placed}, frames)
    return [_read_picture(source, frame) for frame, source in placed]


def _frame(frame: Any, frames: int) -> int:
    is_whole = isinstance(frame, Integral) and not isinstance(frame, bool)
    if not is_whole or not 0 <= frame < frames:
        raise SettingError(
            f"There is no frame {shown(frame)} to put a picture in: this clip's `frames` are 0 to "
            f"{frames - 1}."
        )
    return int(frame)


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
    raise SettingError(
        f"This model brings pictures to life and has none for the {_spoken(min(missing))}: give "
        f"one as `{min(missing)}`."
    )


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _read_picture(source: Any, frame: int) -> _Given:
    if isinstance(source, (str, os.PathLike)):
        # Absolute, so that repeating the clip finds it from another folder.
        path = os.path.abspath(given_file(source))
        return _Given(frame, images.read_image(path), path)
    if not isinstance(source, (np.ndarray, Image.Image)):
        raise SettingError(
            f"The picture for frame {frame} must be a path, a Pillow image or a uint8 array, not "
            f"{type(source).__name__}."
        )
    return _Given(frame, images.read_image(source), IN_MEMORY)


def _digests(pictures: Mapping[int, _Given], shared: Mapping[str, _Given]) -> dict[str, str]:
    """Digests of what was given: by path, of what was in memory by frame or setting."""
    named = {f"frame {frame}": picture for frame, picture in pictures.items()} | dict(shared)
    found = digests(given.source for given in named.values() if given.source != IN_MEMORY)
    for name, given in named.items():
        if given.source == IN_MEMORY:
            found[name] = digest_of_pixels(given.pixels)
    return found


def _size(
    width: int | None, height: int | None, picture: tuple[int, int] | None, card: Card
) -> tuple[int, int, list[str]]:
    """Width and height on the geometry's grid, and a line about each that is not what was asked.

    picture: the width and height of a given one, whose proportions the clip has.
    """
    defaults = card.defaults
    geometry = card.geometry
    if picture is None or (width is not None and height is not None):
        wide = defaults.width if width is None else width
        high = defaults.height if height is None else height
        return geometry.round_size(wide, high)
    aspect = picture[0] / picture[1]
    if not 1 / MAX_ASPECT <= aspect <= MAX_ASPECT:
        raise SettingError(
            f"The picture ({picture[0]}x{picture[1]}) is too long and narrow for a clip of its "
            f"proportions, which end at {MAX_ASPECT}:1: crop it, or give both `width` and `height` "
            "to have it cropped to them."
        )
    wanted: tuple[float, float]
    if width is not None:
        wanted = (width, width / aspect)
    elif height is not None:
        wanted = (height * aspect, height)
    else:
        wide_side = math.sqrt(defaults.width * defaults.height * aspect)
        wanted = (wide_side, wide_side / aspect)
    sides = [
        side if isinstance(side, int) else min(MAX_SIDE, max(1, round(side))) for side in wanted
    ]
    new_width, new_height, _ = round_size(sides[0], sides[1], geometry.multiples)
    if (new_width, new_height) == (defaults.width, defaults.height):
        return new_width, new_height, []
    note = (
        f"The clip is {new_width}x{new_height}, after the proportions of the picture "
        f"({picture[0]}x{picture[1]})."
    )
    return new_width, new_height, [note]


def _fitted(
    given: list[_Given], width: int, height: int, frames: int, geometry: Geometry
) -> dict[int, np.ndarray]:
    """Pictures, and frames of other clips, fitted to the clip by the latent frame where they
    begin.
    """
    pictures: dict[int, np.ndarray] = {}
    taken: set[int] = set()
    for frame, pixels, _ in given:
        slot, at = geometry.slot(frame, frames)
        if at != frame:
            log.warning(
                "The picture for frame %d goes to frame %d, the nearest that this model can be "
                "given.",
                frame,
                at,
            )
        several = pixels if pixels.ndim == 4 else pixels[None]
        covered = set(range(slot, slot + geometry.latent_frames(len(several))))
        if covered & taken:
            raise SettingError(f"Two pictures are given for frame {at}; leave one of them out.")
        taken |= covered
        fits = [images.fit(one, width, height) for one in several]
        fitted = np.stack([picture for picture, _ in fits])
        pictures[slot] = fitted if pixels.ndim == 4 else fitted[0]
        note = fits[0][1]
        if note:
            log.warning(note)
    return pictures
