"""What a clip is asked to be, completed with the model's defaults and checked before any work
begins.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
from PIL import Image

from mlxvid.errors import SettingError
from mlxvid.media import images
from mlxvid.media.clip import Clip
from mlxvid.model.geometry import MAX_SIDE, Defaults, Geometry, check_whole, round_size
from mlxvid.model.options import OPTIONS, flag

log = logging.getLogger("mlxvid")

MAX_STEPS, MAX_GUIDANCE, MAX_SEED = 1000, 100.0, 2**63 - 1
SHIFTS = (0.01, 100.0)
IN_MEMORY = "a picture in memory"
MAX_TEXT = 200  # characters in an option


@dataclass(frozen=True)
class Request:
    """Settings with nothing left open.

    shift: of the noise schedule towards noise, None for a model that has none. pictures: fitted
    uint8 [H, W, 3] by latent frame, or [N, H, W, 3] for frames of another clip; sources: where
    pictures came from, by frame; joints: and other clips, by "extend" or "join". options: what
    :mod:`mlxvid.model.options` lists, as far as the family takes it.
    """

    prompt: str
    negative_prompt: str
    width: int
    height: int
    frames: int
    fps: float
    steps: int
    guidance: float
    seed: int
    sampler: str
    attention: str
    shift: float | None
    pictures: Mapping[int, np.ndarray]
    sources: Mapping[int, str]
    joints: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, float | str] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """The JSON-able settings that make this clip again."""
        plain = {
            k: v
            for k, v in vars(self).items()
            if k not in ("pictures", "sources", "joints", "options")
        }
        options = {"options": dict(self.options)} if self.options else {}
        return {
            **plain,
            "keyframes": {str(frame): source for frame, source in self.sources.items()},
            **self.joints,
            **options,
        }


def complete(
    family,
    prompt: str,
    *,
    negative_prompt: str = "",
    width: int | None = None,
    height: int | None = None,
    frames: int | None = None,
    fps: float | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int | None = None,
    sampler: str | None = None,
    attention: str | None = None,
    shift: float | None = None,
    image: Any = None,
    last_image: Any = None,
    keyframes: Mapping[int, Any] | None = None,
    extend: Any = None,
    join: Any = None,
    resolution: str | None = None,
    aspect: str | None = None,
    options: Mapping[str, float | str] | None = None,
) -> Request:
    """Fill in what is None from the family's defaults, round sizes to its grid (each change is
    logged), and check the rest.

    Where a picture is given and the size is not, the clip has the picture's proportions and about
    the default's number of pixels.

    Raises :class:`SettingError` for what no clip of this family can have and :class:`MediaError`
    for pictures that can't be read.
    """
    defaults, geometry = family.defaults, family.geometry
    negative_prompt = negative_prompt or defaults.negative_prompt
    if not isinstance(prompt, str) or not prompt.strip():
        raise SettingError("The prompt is empty; say what the clip should show.")
    for name, text in (("prompt", prompt), ("negative prompt", negative_prompt)):
        if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise SettingError(
                f"The {name} must be text (in UTF-8, where it comes from a terminal or file)."
            )
    if negative_prompt and "negative-prompt" not in family.capabilities:
        raise SettingError("This model takes no negative prompt; leave it out.")
    width, height = named(width, height, resolution, aspect, geometry)
    options = _options(family, options or {})
    frames, note = geometry.round_frames(defaults.frames if frames is None else frames)
    given = [*(keyframes or {}).items(), (0, image), (frames - 1, last_image)]
    given = sorted(
        ((_frame(frame, frames), source) for frame, source in given if source is not None),
        key=lambda pair: pair[0],
    )
    _check_places(family, {frame for frame, _ in given}, frames)
    given = [(frame, *_read(source, frame)) for frame, source in given]
    joints = _joints(family, {"extend": extend, "join": join}, frames)
    shown = [picture for _, picture, _ in given] + [pixels[0] for _, pixels, _ in joints.values()]
    width, height, notes = _size(width, height, shown[0] if shown else None, defaults, geometry)
    for line in [note, *notes]:
        if line:
            log.warning(line)
    fps = _number("Frames a second", defaults.fps if fps is None else fps, 0.1, 1000)
    steps = check_whole("Steps", defaults.steps if steps is None else steps, MAX_STEPS, "steps")
    guidance = _number(
        "Guidance", defaults.guidance if guidance is None else guidance, 0, MAX_GUIDANCE
    )
    seed = secrets.randbelow(2**31) if seed is None else seed
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED:
        raise SettingError(f"A seed is a whole number from 0 to 2^63 - 1, not {seed!r}.")
    sampler = _one_of("sampler", defaults.sampler if sampler is None else sampler, family.samplers)
    attention = _one_of(
        "attention mode",
        family.attention_modes[0] if attention is None else attention,
        family.attention_modes,
    )
    if negative_prompt and guidance == 1:
        log.warning("The negative prompt does nothing at guidance 1.")
    if shift is None:
        shift = family.shift(width, height)
    elif "shift" not in family.capabilities:
        raise SettingError("This model's noise schedule has no shift; leave --shift out.")
    else:
        shift = _number("The shift", shift, *SHIFTS)
    pictures = _pictures([*given, *joints.values()], width, height, frames, geometry)
    sources = {geometry.slot(frame, frames)[1]: source for frame, _, source in given}
    return Request(
        prompt,
        negative_prompt,
        width,
        height,
        frames,
        fps,
        steps,
        guidance,
        int(seed),
        sampler,
        attention,
        shift,
        pictures,
        sources,
        {name: source for name, (_, _, source) in joints.items()},
        options,
    )


def named(
    width: int | None,
    height: int | None,
    resolution: str | None,
    aspect: str | None,
    geometry: Geometry,
):
    """Width and height, those of a named size where one is asked for; raises :class:`SettingError`
    where both are.
    """
    if resolution is None and aspect is None:
        return width, height
    if width is not None or height is not None:
        raise SettingError(
            "Give a size by --width and --height or by --resolution and --aspect, not by both."
        )
    return geometry.named_size(resolution, aspect)


def _frame(frame: int, frames: int) -> int:
    if isinstance(frame, bool) or not isinstance(frame, Integral) or not 0 <= frame < frames:
        raise SettingError(
            f"There is no frame {frame!r} to put a picture in: this clip's frames are 0 to {frames - 1}."
        )
    return int(frame)


def _check_places(family, given: set[int], frames: int) -> None:
    """Raise :class:`SettingError` for a picture that the family takes nowhere, or that it needs and
    hasn't got.
    """
    places = {frames - 1: "last-image", 0: "image"}  # in this order: a single frame is the first
    kinds = {places.get(frame, "keyframes") for frame in given}
    if kinds - family.capabilities:
        raise SettingError(
            f"This model takes no {min(kinds - family.capabilities)}; --list-models shows what each can do."
        )
    if family.needs - kinds:
        if frames == 1 and "last-image" in family.needs:
            raise SettingError(
                "This model goes from a first picture to a last one, so one frame is too few; give more with --frames."
            )
        flag = min(family.needs - kinds)
        raise SettingError(
            f"This model brings pictures to life and has none for the {flag.replace('-', ' ')}: give one with --{flag}."
        )


def _read(source: Any, frame: int) -> tuple[np.ndarray, str]:
    """A picture's pixels, and where it came from."""
    if isinstance(source, (str, os.PathLike)):
        path = os.path.abspath(
            os.path.expanduser(os.fspath(source))
        )  # whole, so that --from finds it again from another folder
        return images.read_image(path), path
    if not isinstance(source, (np.ndarray, Image.Image)):
        raise SettingError(
            f"The picture for frame {frame} must be a path, a Pillow image or a uint8 array, not {type(source).__name__}."
        )
    return images.read_image(source), IN_MEMORY


def _size(
    width: int | None,
    height: int | None,
    picture: np.ndarray | None,
    defaults: Defaults,
    geometry: Geometry,
) -> tuple[int, int, list[str]]:
    """Width and height on the geometry's grid, and a line about each that is not what was asked
    for.
    """
    if picture is None or (width is not None and height is not None):
        return geometry.round_size(
            defaults.width if width is None else width,
            defaults.height if height is None else height,
        )
    aspect = picture.shape[1] / picture.shape[0]
    if width is None and height is None:
        wide = math.sqrt(defaults.width * defaults.height * aspect)
        high = wide / aspect
    else:
        wide, high = (width, width / aspect) if height is None else (height * aspect, height)
    wide, high = (
        side if isinstance(side, int) else min(MAX_SIDE, max(1, round(side)))
        for side in (wide, high)
    )
    width, height, _ = round_size(wide, high, geometry.multiples)
    if (width, height) == (defaults.width, defaults.height):
        return width, height, []
    return (
        width,
        height,
        [
            f"The clip is {width}x{height}, after the proportions of the picture ({picture.shape[1]}x{picture.shape[0]})."
        ],
    )


def _joints(
    family, sources: Mapping[str, Any], frames: int
) -> dict[str, tuple[int, np.ndarray, str]]:
    """By "extend" or "join": the frame where the frames shared with another clip begin, those,
    uint8 [N, H, W, 3], and their source.

    A clip that extends another begins with the last frames of that one; one that joins another ends
    with its first.
    """
    joints, shared = {}, family.joint
    for name, source in sources.items():
        if source is None:
            continue
        if name not in family.capabilities:
            raise SettingError(f"This model has no --{name}; --list-models shows what each can do.")
        pixels, where = _read_clip(source)
        if len(pixels) < shared:
            raise SettingError(
                f"The clip to {name} has fewer frames than the {shared} that it shares with the new one; give a longer one."
            )
        joints[name] = (
            (0, pixels[-shared:], where)
            if name == "extend"
            else (frames - shared, pixels[:shared], where)
        )
    if frames <= shared * len(joints):
        raise SettingError(
            f"This clip shares {shared * len(joints)} frames with others; make it longer than that."
        )
    if "join" in joints and family.geometry.slot(frames - shared, frames)[1] != frames - shared:
        whole = shared * max(len(joints) + 1, math.ceil(frames / shared))
        raise SettingError(
            f"A clip that joins another has a multiple of {shared} frames, not {frames}; make it {whole} frames long."
        )
    return joints


def _read_clip(source: Any) -> tuple[np.ndarray, str]:
    """A clip's frames, and where it came from."""
    if isinstance(source, (str, os.PathLike)):
        path = os.path.abspath(os.path.expanduser(os.fspath(source)))
        return Clip.load(path).frames, path
    return (source if isinstance(source, Clip) else Clip(source, 1)).frames, IN_MEMORY


def _pictures(
    given: list[tuple[int, np.ndarray, str]],
    width: int,
    height: int,
    frames: int,
    geometry: Geometry,
) -> dict[int, np.ndarray]:
    """Pictures, and frames of other clips, fitted to the clip by the latent frame where they begin."""
    pictures, taken = {}, set()
    for frame, picture, _ in given:
        slot, at = geometry.slot(frame, frames)
        if at != frame:
            log.warning(
                "The picture for frame %d goes to frame %d, the nearest that this model can be given.",
                frame,
                at,
            )
        several = picture if picture.ndim == 4 else picture[None]
        places = set(range(slot, slot + geometry.latent_frames(len(several))))
        if places & taken:
            raise SettingError(f"Two pictures are given for frame {at}; leave one of them out.")
        taken |= places
        fitted, notes = zip(*(images.fit(one, width, height) for one in several), strict=True)
        pictures[slot] = np.stack(fitted) if picture.ndim == 4 else fitted[0]
        if notes[0]:
            log.warning(notes[0])
    return pictures


def _options(family, given: Mapping[str, float | str]) -> dict[str, float | str]:
    """The family's own values and over them the given ones, checked."""
    for name in given:
        if name not in OPTIONS:
            raise SettingError(f"There is no option {name!r}; there are: {', '.join(OPTIONS)}.")
        if flag(name) not in family.capabilities:
            raise SettingError(
                f"This model has no --{flag(name)}; --list-models shows what each can do."
            )
    return {name: _option(name, value) for name, value in {**family.options, **given}.items()}


def _option(name: str, value: Any) -> float | str:
    option = OPTIONS[name]
    if option.low is not None:
        return _number(f"--{flag(name)}", value, option.low, option.high)
    if (
        not isinstance(value, str)
        or not value.strip()
        or not value.isprintable()
        or len(value) > MAX_TEXT
    ):
        raise SettingError(
            f"--{flag(name)} is a text of up to {MAX_TEXT} characters, not {value!r:.60}."
        )
    return value.strip()


def _number(name: str, value: float, low: float, high: float) -> float:
    if (
        isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high
    ):  # also for NaN
        raise SettingError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingError(f"This model has no {what} {value!r}; use one of: {', '.join(allowed)}.")
    return value
