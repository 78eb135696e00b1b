"""What a clip is asked to be, completed with the model's defaults and checked before any work begins."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from PIL import Image

from . import images
from .errors import SettingError
from .geometry import Geometry, check_whole

log = logging.getLogger("mlxvid")

MAX_STEPS, MAX_GUIDANCE, MAX_SEED = 1000, 100.0, 2**63 - 1


@dataclass(frozen=True)
class Request:
    """Settings with nothing left open. `pictures`: fitted uint8 [H, W, 3] by latent frame; `sources`: where they came from, by frame."""

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
    pictures: Mapping[int, np.ndarray]
    sources: Mapping[int, str]

    def settings(self) -> dict[str, Any]:
        """The JSON-able settings that make this clip again."""
        plain = {k: v for k, v in vars(self).items() if k not in ("pictures", "sources")}
        return {**plain, "keyframes": {str(frame): source for frame, source in self.sources.items()}}


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
    image: Any = None,
    last_image: Any = None,
    keyframes: Mapping[int, Any] | None = None,
) -> Request:
    """Fill in what is None from the family's defaults, round sizes to its grid (each change is logged), and check the rest.

    Raises :class:`SettingError` for what no clip of this family can have and :class:`MediaError` for pictures that can't be read.
    """
    defaults, geometry = family.defaults, family.geometry
    negative_prompt = negative_prompt or defaults.negative_prompt
    if not isinstance(prompt, str) or not prompt.strip():
        raise SettingError("The prompt is empty; say what the clip should show.")
    for name, text in (("prompt", prompt), ("negative prompt", negative_prompt)):
        if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise SettingError(f"The {name} must be text (in UTF-8, where it comes from a terminal or file).")
    frames, width, height, notes = geometry.round(
        defaults.frames if frames is None else frames,
        defaults.width if width is None else width,
        defaults.height if height is None else height,
    )
    for note in notes:
        log.warning(note)
    fps = _number("Frames a second", defaults.fps if fps is None else fps, 0.1, 1000)
    steps = check_whole("Steps", defaults.steps if steps is None else steps, MAX_STEPS, "steps")
    guidance = _number("Guidance", defaults.guidance if guidance is None else guidance, 0, MAX_GUIDANCE)
    seed = secrets.randbelow(2**31) if seed is None else seed
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed <= MAX_SEED:
        raise SettingError(f"A seed is a whole number from 0 to 2^63 - 1, not {seed!r}.")
    sampler = _one_of("sampler", defaults.sampler if sampler is None else sampler, family.samplers)
    attention = _one_of("attention mode", family.attention_modes[0] if attention is None else attention, family.attention_modes)
    if negative_prompt and guidance == 1:
        log.warning("The negative prompt does nothing at guidance 1.")
    given = [*(keyframes or {}).items(), (0, image), (frames - 1, last_image)]
    given = [(_frame(frame, frames), source) for frame, source in given if source is not None]
    pictures, sources = _pictures(family, given, frames, width, height, geometry)
    return Request(
        prompt, negative_prompt, width, height, frames, fps, steps, guidance, int(seed), sampler, attention, pictures, sources
    )  # fmt: skip


def _frame(frame: int, frames: int) -> int:
    if isinstance(frame, bool) or not isinstance(frame, Integral) or not 0 <= frame < frames:
        raise SettingError(f"There is no frame {frame!r} to put a picture in: this clip's frames are 0 to {frames - 1}.")
    return int(frame)


def _pictures(family, given: list[tuple[int, Any]], frames: int, width: int, height: int, geometry: Geometry):
    places = {frames - 1: "last-image", 0: "image"}  # in this order: a single frame is the first
    needed = {places.get(frame, "keyframes") for frame, _ in given}
    if needed - family.capabilities:
        raise SettingError(f"This model takes no {min(needed - family.capabilities)}; --list-models shows what each can do.")
    pictures, sources = {}, {}
    for frame, source in sorted(given, key=lambda pair: pair[0]):
        slot = round(frame / geometry.t_factor)
        at = slot * geometry.t_factor
        if at != frame:
            log.warning("The picture for frame %d goes to frame %d, the nearest that this model can be given.", frame, at)
        if slot in pictures:
            raise SettingError(f"Two pictures are given for frame {at}; leave one of them out.")
        sources[at] = "a picture in memory"
        if isinstance(source, (str, os.PathLike)):
            # Whole, so that --from finds the picture again from another folder.
            source = sources[at] = os.path.abspath(os.path.expanduser(os.fspath(source)))
        elif not isinstance(source, (np.ndarray, Image.Image)):
            raise SettingError(f"The picture for frame {at} must be a path, a Pillow image or a uint8 array, not {type(source).__name__}.")
        pictures[slot], note = images.fit(images.read_image(source), width, height)
        if note:
            log.warning(note)
    return pictures, sources


def _number(name: str, value: float, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:  # also for NaN
        raise SettingError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingError(f"This model has no {what} {value!r}; use one of: {', '.join(allowed)}.")
    return value
