"""From given settings to a complete request, checked before any work begins."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlxvid import models
from mlxvid.errors import SettingError, shown
from mlxvid.model.card import Card
from mlxvid.model.geometry import MAX_ASPECT, MAX_SIDE, Geometry, round_size
from mlxvid.model.keyframes import Placed
from mlxvid.model.request import Request
from mlxvid.model.settings import SETTINGS, check_known, is_among, making
from mlxvid.model.strength import first_step

from .clips import IN_MEMORY, GivenClip
from .joints import Joint, kept_size, open_joints, rate
from .keyframes import by_latent_frame, fitted, given_items
from .savings import check_cache, check_guidance, check_skipped_layers
from .sources import digest_of_pixels, digests
from .video import open_video, read_control, read_video, strength_of

log = logging.getLogger("mlxvid")

# Settings that are completed here by rules of their own; every other one is checked by its kind.
_RULED = frozenset(
    {
        "prompt", "negative_prompt", "width", "height", "resolution", "aspect", "frames", "fps",
        "steps", "guidance", "seed", "sampler", "attention", "shift", "image", "last_image",
        "keyframes", "extend", "join", "video", "strength", "control", "options",
    }
)  # fmt: skip


def complete(card: Card, settings: Mapping[str, Any]) -> Request:
    """A request from `settings`; what is missing or None comes from the model's defaults.

    Sizes are rounded to the model's grid; each change is logged. Where a picture is given and the
    size is not, the clip has the picture's proportions and about the default's number of pixels.

    Raises :class:`SettingError` for what no clip of this model can have and :class:`MediaError` for
    pictures that can't be read.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    check_making(given)
    _check_texts(given)
    check_taken(card, given)
    defaults = card.defaults
    geometry = card.geometry
    prompt = _prompt(given.get("prompt"))
    negative_prompt = _text("negative_prompt", given.get("negative_prompt") or "")
    negative_prompt = negative_prompt or defaults.negative_prompt
    width, height = named_size(given, geometry)
    frames, note = geometry.round_frames(given.get("frames", defaults.frames))
    steps = SETTINGS["steps"].checked(given.get("steps", defaults.steps))
    video = open_video(given)
    control = GivenClip(given["control"]) if "control" in given else None
    items = given_items(card, given, frames)
    joints = open_joints(card, given, frames)
    fps = SETTINGS["fps"].checked(given["fps"]) if "fps" in given else None
    size_note = None
    if width is None and height is None:
        size, size_note = kept_size(joints, card, frames)
        width, height = size or (None, None)
    sizes = [item.given.size for item in items]
    sizes += [joint.size for joint in joints.values()]
    kind = "picture"
    whole = video or (None if sizes else control)
    if whole:
        sizes = [whole.size]
        kind = "clip"
    width, height, notes = _size(width, height, sizes[0] if sizes else None, card, kind)
    for line in [note, size_note, *notes]:
        if line:
            log.warning(line)
    guidance = SETTINGS["guidance"].checked(given.get("guidance", defaults.guidance))
    true_guidance = SETTINGS["true_guidance"].checked(given.get("true_guidance", 1.0))
    passes = card.passes(guidance, true_guidance)
    if negative_prompt != defaults.negative_prompt and passes == 1:
        name = "true_guidance" if card.guidance_is_input else "guidance"
        log.warning("The negative prompt does nothing at this `%s`.", name)
    sampler = _one_of("sampler", given.get("sampler", defaults.sampler), card.samplers)
    _check_steps(card, sampler, steps)
    attention = given.get("attention", card.attention_modes[0])
    shared = {
        name: Placed(joint.frame, joint.read(width, height)) for name, joint in joints.items()
    }
    keyframes = fitted(items, width, height, frames, geometry)
    placed = [*keyframes, *shared.values()]
    made_from = None
    if video:
        made_from = read_video(video, frames, width, height, geometry)
        frames = len(made_from)
    options, note = card.settled(_options(card, given.get("options", {})), frames, prompt)
    others = {name: value for name, value in given.items() if name not in _RULED}
    more = {name: SETTINGS[name].checked(value) for name, value in others.items()}
    strength = strength_of(given, steps) if video else 1.0
    check_guidance(more, passes)
    check_skipped_layers(card, more)
    check_cache(card, more, steps - first_step(steps, strength))
    lines = card.extrapolation_notes(frames, more.get("length_extrapolation"))
    for line in [note, *lines]:
        if line:
            log.warning(line)
    followed = None
    if control:
        followed = read_control(control, frames, width, height, geometry)
    sources = {at.frame: item.given.source for at, item in zip(keyframes, items, strict=True)}
    named = [
        _Named(f"frame {at.frame}", item.given.source, item.original(at.frames))
        for item, at in zip(items, keyframes, strict=True)
    ]
    named += [_Named(name, joint.source, shared[name].frames) for name, joint in joints.items()]
    if video and made_from is not None:
        named.append(_Named("video", video.source, made_from))
    if control and followed is not None:
        named.append(_Named("control", control.source, followed))
    return Request(
        prompt=prompt,
        negative_prompt=negative_prompt,
        width=width,
        height=height,
        frames=frames,
        fps=rate(joints, fps, (whole and whole.fps) or defaults.fps),
        steps=steps,
        guidance=guidance,
        seed=SETTINGS["seed"].checked(given.get("seed", secrets.randbelow(2**31))),
        sampler=sampler,
        attention=_one_of("attention", attention, card.attention_modes),
        shift=_shift(card, given.get("shift"), width, height),
        placed=placed,
        pictures=by_latent_frame(placed, frames, geometry),
        sources=sources,
        joints=_sources(joints, video=video, control=control),
        video=made_from,
        strength=strength,
        control=followed,
        options=options,
        digests=_digests(named),
        more=more,
    )


def check_making(names: Iterable[str]) -> None:
    """Raise :class:`SettingError` for the first of `names` that is no setting of a clip."""
    for name in names:
        if name in models.options():
            raise SettingError(f"`{name}` is a setting of single models: give it in `options`.")
    check_known(names, making())


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


def check_taken(card: Card, given: Mapping[str, Any]) -> None:
    """Raise :class:`SettingError` for a setting that this model can't be given.

    Pictures are judged by where they stand (:func:`given_items`), attention by its mode.
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


def _check_steps(card: Card, sampler: str, steps: int) -> None:
    """Raise :class:`SettingError` for steps that a sampler of times of its own hasn't got."""
    exact = card.family.exact_steps.get(sampler, steps)
    if steps != exact:
        raise SettingError(
            f"The `sampler` {sampler} takes the {exact} steps that its models were distilled to, "
            f"not {steps}: give {exact} `steps`, or leave it out."
        )


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


class _Named(NamedTuple):
    """Pixels that were given: what names them where they are in memory, and where they are from."""

    name: str
    source: str
    pixels: np.ndarray


def _digests(given: Sequence[_Named]) -> dict[str, str]:
    """Digests of what was given: by path, of what was in memory by frame or setting."""
    found = digests(one.source for one in given if one.source != IN_MEMORY)
    for one in given:
        if one.source == IN_MEMORY:
            found[one.name] = digest_of_pixels(one.pixels)
    return found


def _sources(joints: Mapping[str, Joint], **clips: GivenClip | None) -> dict[str, str]:
    """Where other clips came from, by setting."""
    found = {name: clip.source for name, clip in clips.items() if clip is not None}
    return {name: joint.source for name, joint in joints.items()} | found


def _size(
    width: int | None,
    height: int | None,
    picture: tuple[int, int] | None,
    card: Card,
    kind: str = "picture",
) -> tuple[int, int, list[str]]:
    """Width and height on the geometry's grid, and a line about each that is not what was asked.

    picture: the width and height of a given one, or of a clip (`kind`), whose proportions the clip
    has.
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
            f"The {kind} ({picture[0]}x{picture[1]}) is too long and narrow for a clip of its "
            f"proportions, which end at {MAX_ASPECT}:1: crop it, or give both `width` and `height` "
            "to have it cropped to them."
        )
    wanted: tuple[float, float]
    own = geometry.size_for(aspect) if width is None and height is None else None
    if own is not None:
        wanted = own
    elif width is not None:
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
        f"The clip is {new_width}x{new_height}, after the proportions of the {kind} "
        f"({picture[0]}x{picture[1]})."
    )
    *_, notes = geometry.round_size(new_width, new_height)
    return new_width, new_height, [note, *notes]
