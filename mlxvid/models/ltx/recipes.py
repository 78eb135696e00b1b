"""How each release of LTX-Video is sampled: schedules, guidance by time, passes, decoding.

Facts from Lightricks/LTX-Video: its configs/*.yaml, and the defaults of ltx_video/inference.py.
No MLX here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mlxvid.errors import SettingError
from mlxvid.model.passes import NEGATIVE, PROMPT

Schedule = Literal["token-shifted", "linear-quadratic"]
Generation = Literal["A", "B", "C"]

PERTURBED = "perturbed"
"""What steers the pass of spatio-temporal guidance."""

NEGATIVE_PROMPT = "worst quality, inconsistent motion, blurry, jittery, distorted"
# `allowed_inference_steps` of the distilled files: eight linear-quadratic steps, rounded.
DISTILLED = (1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219)
# The first pass of two works at this share of the sides that are asked for.
WORK_SHARE = 0.6666666


@dataclass(frozen=True)
class Strengths:
    """Guidance at one time.

    scale: of classifier-free guidance, 1 for none. stg: of spatio-temporal guidance, 0 for none;
    blocks: those whose self-attention it perturbs. rescale: how far the deviation of the result is
    brought back to that of the prompt's own prediction, from 0, not at all; the release's configs
    have 1 where nothing is rescaled.
    """

    scale: float = 1.0
    stg: float = 0.0
    rescale: float = 0.0
    blocks: tuple[int, ...] = ()

    @property
    def has_negative(self) -> bool:
        """Whether there is a pass of the negative prompt."""
        return self.scale > 1

    @property
    def has_perturbed(self) -> bool:
        """Whether there is a perturbed pass."""
        return self.stg > 0 and bool(self.blocks)

    def passes(self, is_guided: bool) -> tuple[str, ...]:
        """What steers each pass. is_guided: whether that of the negative prompt may be among
        them.
        """
        names = [PROMPT]
        if self.has_negative and is_guided:
            names.append(NEGATIVE)
        if self.has_perturbed:
            names.append(PERTURBED)
        return tuple(names)


@dataclass(frozen=True)
class Guidance:
    """Strengths by time: entry i holds at times from `times[i]` up to the entry before it; the last
    one below that too.

    star: whether the negative prediction is projected onto the prompt's first (CFG-star).
    """

    times: tuple[float, ...] = (1.0,)
    strengths: tuple[Strengths, ...] = (Strengths(),)
    star: bool = False

    def __post_init__(self) -> None:
        if len(self.times) != len(self.strengths) or not self.times:
            raise ValueError(f"{len(self.strengths)} strengths for {len(self.times)} times")

    def at(self, time: float) -> Strengths:
        """The strengths at a time from 1 (noise) to 0."""
        for start, strengths in zip(self.times, self.strengths, strict=True):
            if start <= time:
                return strengths
        return self.strengths[-1]

    @property
    def scale(self) -> float:
        """The highest scale, by which the whole is known to users."""
        return max(strengths.scale for strengths in self.strengths)

    @property
    def stg(self) -> float:
        """The highest of spatio-temporal guidance."""
        return max(strengths.stg for strengths in self.strengths)

    @property
    def rescale(self) -> float:
        """The highest share of rescaling."""
        return max(strengths.rescale for strengths in self.strengths)

    def with_peaks(self, scale: float, stg: float, rescale: float) -> Guidance:
        """The same course of guidance with other peaks, all of it in proportion to them.

        What is off throughout becomes the same throughout.
        """
        changed = []
        for own in self.strengths:
            changed.append(
                replace(
                    own,
                    scale=1 + _in_proportion(own.scale - 1, self.scale - 1, scale - 1),
                    stg=_in_proportion(own.stg, self.stg, stg),
                    rescale=_in_proportion(own.rescale, self.rescale, rescale),
                )
            )
        return replace(self, strengths=tuple(changed))


def _in_proportion(value: float, peak: float, wanted: float) -> float:
    return value if peak == wanted else (wanted if peak == 0 else value * wanted / peak)


@dataclass(frozen=True)
class Pass:
    """One pass of denoising.

    steps: of the whole schedule, of which the first `skip_first` and the last `skip_last` are left
    out: after the last one that is taken the time is 0. times: of a schedule that is given, as the
    distilled models were trained for; they are `steps` many.
    """

    steps: int
    guidance: Guidance
    skip_first: int = 0
    skip_last: int = 0
    times: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.times and len(self.times) != self.steps:
            raise ValueError(f"{len(self.times)} times for {self.steps} steps")

    @property
    def evaluations(self) -> int:
        """Steps that are taken."""
        return self.steps - self.skip_first - self.skip_last

    @property
    def given(self) -> tuple[float, ...]:
        """The given times of the steps that are taken; empty where they follow from a formula."""
        return self.times[self.skip_first : self.steps - self.skip_last]

    def of_steps(self, steps: int) -> Pass:
        """The pass in another number of steps, of which as large a share is left out; of given
        times so many, evenly chosen.

        Raises :class:`SettingError` for more steps than there are given times.
        """
        if steps == self.steps:
            return self
        if self.times and steps > self.steps:
            raise SettingError(
                f"This model was distilled to {self.steps} `steps` and can't take {steps}; take "
                f"{self.steps} or fewer."
            )
        chosen = [i * self.steps // steps for i in range(steps)] if self.times else []
        first = min(round(self.skip_first * steps / self.steps), steps - 1)
        last = min(round(self.skip_last * steps / self.steps), steps - 1 - first)
        times = tuple(self.times[i] for i in chosen)
        return replace(self, steps=steps, skip_first=first, skip_last=last, times=times)

    def guided(self, scale: float, stg: float, rescale: float) -> Pass:
        """The pass with these at the peaks of its guidance."""
        return replace(self, guidance=self.guidance.with_peaks(scale, stg, rescale))


@dataclass(frozen=True)
class Recipe:
    """A release's recipe.

    release: its version and kind, as "0.9.6-distilled". blocks: of its transformer. generation: of
    its VAE. alone: the only pass, where there is one; first, second: the passes before and after
    the latents are made twice as large, None for a release that was not made for it. schedule: of
    passes whose times are not given. stochastic: whether each step draws fresh noise. decode_time,
    decode_noise: the decoder's time, and the share of noise in what it is given; None where it has
    no time. tone_mapping: how far large latents are compressed before they are decoded, 0 to 1.
    image_noise: of the noise that each step adds anew to what is given and held. text_tokens: of a
    prompt, padded to as many; text_mask: whether the text encoder is told where it ends.
    causal: whether the first latent frame counts as one frame in the positions. width, height,
    frames, fps: of the usual clip. licence: of the weights.
    """

    release: str
    blocks: int
    generation: Generation
    alone: Pass
    first: Pass | None = None
    second: Pass | None = None
    schedule: Schedule = "linear-quadratic"
    stochastic: bool = False
    decode_time: float | None = 0.05
    decode_noise: float | None = 0.025
    tone_mapping: float = 0.0
    image_noise: float = 0.15
    text_tokens: int = 256
    text_mask: bool = True
    causal: bool = True
    width: int = 1216
    height: int = 704
    frames: int = 121
    fps: float = 30.0
    licence: str = "LTX-Video OpenRAIL-M"

    def runs(
        self, upscale: bool, steps: int, guidance: float, stg: float, rescale: float
    ) -> list[Pass]:
        """The passes of a clip, with the guidance and steps that are asked for: of two the second
        keeps its own guidance.

        Raises :class:`SettingError` for two passes where there is one.
        """
        passes = [self.alone]
        if upscale:
            if self.first is None or self.second is None:
                raise SettingError(
                    f"LTX-Video {self.release} was made for one pass; turn `upscale` off."
                )
            passes = [self.first, self.second]
        asked = [run.of_steps(steps) for run in passes]
        return [asked[0].guided(guidance, stg, rescale), *asked[1:]]

    @property
    def distilled(self) -> bool:
        """Whether it was trained to do without guidance in a few steps at given times."""
        return bool(self.alone.times)


def _constant(scale: float, stg: float, rescale: float, blocks: tuple[int, ...]) -> Guidance:
    return Guidance(strengths=(Strengths(scale, stg, rescale, blocks),))


def _course(
    times: Sequence[float],
    scales: Sequence[float],
    stg: Sequence[float],
    rescale: Sequence[float],
    blocks: Sequence[tuple[int, ...]],
) -> Guidance:
    """Guidance that changes with time, from lists as the release's configs have them."""
    strengths = map(Strengths, scales, stg, rescale, blocks)
    return Guidance(tuple(times), tuple(strengths), star=True)


BLOCKS_2B = 28
BLOCKS_13B = 48
_BASE = Pass(40, _constant(3.0, 1.0, 0.7, (19,)))
# No guidance; the blocks are for whoever asks for spatio-temporal guidance all the same.
_FREE_2B = _constant(1.0, 0.0, 0.0, (19,))
_FREE_13B = _constant(1.0, 0.0, 0.0, (28,))
_COURSE_098 = _course(
    (1.0, 0.996, 0.9933, 0.985, 0.9767, 0.9008, 0.618),
    (1, 1, 6, 8, 6, 1, 1),
    (0, 0, 4, 4, 4, 2, 1),
    (0, 0, 0.5, 0.5, 0, 0, 0),
    ((), (11, 25, 35, 39), (22, 35, 39), (28,), (28,), (28,), (28,)),
)
_COURSE_097 = Guidance(
    _COURSE_098.times[:1] + _COURSE_098.times[2:],
    _COURSE_098.strengths[:1] + _COURSE_098.strengths[2:],
    star=True,
)
_SECOND_DEV = Pass(30, replace(_constant(1.0, 1.0, 0.0, (27,)), star=True), skip_first=17)
_OLD_LICENCE = "LTX-Video License"


def _distilled(release: str, blocks: int, guidance: Guidance, tone_mapping: float = 0.0) -> Recipe:
    """A recipe of two passes without guidance: seven of the eight times, then the last three."""
    steps = len(DISTILLED)
    return Recipe(
        release,
        blocks,
        "C",
        Pass(steps, guidance, times=DISTILLED),
        first=Pass(steps, guidance, times=DISTILLED, skip_last=1),
        second=Pass(steps, guidance, times=DISTILLED, skip_first=5),
        tone_mapping=tone_mapping,
    )


def _dev(release: str, course: Guidance) -> Recipe:
    """A recipe of two passes with guidance that changes with time."""
    return Recipe(
        release,
        BLOCKS_13B,
        "C",
        Pass(30, course),
        first=Pass(30, course, skip_last=3),
        second=_SECOND_DEV,
    )


_ALL = (
    Recipe(
        "0.9.0",
        BLOCKS_2B,
        "A",
        _BASE,
        schedule="token-shifted",
        decode_time=None,
        decode_noise=None,
        image_noise=0.0,
        causal=False,
        width=704,
        height=480,
        fps=25.0,
        licence=_OLD_LICENCE,
    ),
    Recipe(
        "0.9.1",
        BLOCKS_2B,
        "B",
        _BASE,
        schedule="token-shifted",
        image_noise=0.0,
        causal=False,
        width=704,
        height=480,
        fps=25.0,
        licence=_OLD_LICENCE,
    ),
    Recipe("0.9.5", BLOCKS_2B, "C", _BASE, width=704, height=480, fps=25.0),
    Recipe("0.9.6-dev", BLOCKS_2B, "C", _BASE),
    Recipe(
        "0.9.6-distilled",
        BLOCKS_2B,
        "C",
        Pass(len(DISTILLED), _FREE_2B, times=DISTILLED),
        stochastic=True,
    ),
    _dev("0.9.7-dev", _COURSE_097),
    _distilled("0.9.7-distilled", BLOCKS_13B, _FREE_13B),
    _distilled("0.9.8-2b-distilled", BLOCKS_2B, _FREE_2B),
    _dev("0.9.8-13b-dev", _COURSE_098),
    _distilled("0.9.8-13b-distilled", BLOCKS_13B, _FREE_13B, tone_mapping=0.6),
)


def work_size(width: int, height: int, multiple: int) -> tuple[int, int]:
    """The size of the first of two passes towards a clip of `width` x `height` pixels."""
    wide = int(width * WORK_SHARE) // multiple * multiple
    high = int(height * WORK_SHARE) // multiple * multiple
    return max(multiple, wide), max(multiple, high)


RECIPES: dict[str, Recipe] = {recipe.release: recipe for recipe in _ALL}
"""Every release's recipe, by its name here, oldest first."""
