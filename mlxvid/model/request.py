"""What a clip is asked to be, with nothing left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .keyframes import Keyframe, Placed
from .skipped_layers import SkippedLayers
from .strength import first_step

# What does not stand in the settings as it is.
_NESTED = frozenset(
    {
        "placed", "pictures", "sources", "joints", "video", "strength", "control", "options",
        "digests", "more",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Request:
    """The settings of one clip, completed with the model's defaults and checked.

    shift: of the noise schedule, None for a model that has none. placed: pictures and clips that
    are given, with their places and strengths. pictures: of these the ones that stand on a latent
    frame, by its number, uint8 [H, W, 3], or [N, H, W, 3] for frames of a clip. sources: where
    those came from that were given for frames, by frame; joints: where other clips came from, by
    "extend", "join", "video" or "control". video: the frames that it is made from, fitted uint8
    [F, H, W, 3], and strength, how far it is made anew. control: the frames that it follows, in the
    same way, of a length that the model could make. options: of the settings that single families
    add, those that this model takes. digests: of the pictures and clips that were given, by path,
    or by where they stand for those in memory. more: every other setting of
    :data:`mlxvid.model.settings.SETTINGS` that was given.
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
    placed: Sequence[Placed] = ()
    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)
    joints: Mapping[str, str] = field(default_factory=dict)
    video: np.ndarray | None = None
    strength: float = 1.0
    control: np.ndarray | None = None
    options: Mapping[str, float | str | bool] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> int:
        """The step to begin with; later than 0 only where it is made from another clip."""
        return first_step(self.steps, self.strength)

    @property
    def true_guidance(self) -> float:
        """The scale of classifier-free guidance where `guidance` is an input of the network."""
        return self.more.get("true_guidance", 1.0)

    @property
    def length_extrapolation(self) -> bool:
        """Whether a clip much longer than the training's is kept from repeating itself."""
        return self.more.get("length_extrapolation", False)

    @property
    def cache(self) -> str:
        """The step cache: "off", "easy" or "tea"."""
        return self.more.get("cache", "off")

    @property
    def cache_threshold(self) -> float | None:
        """Of the step cache; None for the model's own."""
        return self.more.get("cache_threshold")

    @property
    def guidance_interval(self) -> tuple[float, float]:
        """The shares of the steps from which on and up to which guidance pulls."""
        return self.more.get("guidance_start", 0.0), self.more.get("guidance_stop", 1.0)

    @property
    def guidance_method(self) -> str:
        """One of :data:`mlxvid.model.how_settings.GUIDANCE_METHODS`."""
        return self.more.get("guidance_method", "cfg")

    @property
    def skipped_layers(self) -> SkippedLayers | None:
        """Skipped-layer guidance, where it is asked for."""
        return SkippedLayers.of(self.more)

    def settings(self) -> dict[str, Any]:
        """The JSON-able settings that make this clip again."""
        plain = {name: value for name, value in vars(self).items() if name not in _NESTED}
        strengths = {item.frame: item.strength for item in self.placed}
        keyframes = {
            str(frame): Keyframe(source, strengths.get(frame, 1.0)).as_json()
            for frame, source in self.sources.items()
        }
        strength = {} if self.video is None else {"strength": self.strength}
        options = {"options": dict(self.options)} if self.options else {}
        digests = {"digests": dict(self.digests)} if self.digests else {}
        others = {**self.joints, **strength, **options, **self.more, **digests}
        return {**plain, "keyframes": keyframes, **others}
