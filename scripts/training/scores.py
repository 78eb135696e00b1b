"""The scores: whether clips show what was asked for, and how steadily.

Whatever makes clips is a function ``(prompt, seed) -> uint8 frames [F, H, W, 3]`` here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from . import detect, drawing, world
from .track import bounce_heights, consistency, parabola_fit

Make = Callable[[str, int], np.ndarray]
# Motions in which colour and size should not change, with enough throws and bounces among them to
# judge their physics.
STEADY = ("left", "throw", "rise", "bounce", "right", "throw", "orbit", "bounce")

SIDED = ("throw", "pan", "shadow")  # motions whose captions name a direction


@dataclass
class Case:
    """One prompt to be scored: the scene whose caption it is, and its clip's seed."""

    scene: world.Scene
    seed: int
    unseen: bool

    @property
    def prompt(self) -> str:
        """The scene's caption."""
        return self.scene.caption


@dataclass
class Verdict:
    """What was right in one clip; `second_colour` is None where the prompt names one thing only."""

    case: Case
    seen: detect.Seen
    colour: bool
    shape: bool
    motion: bool
    second_colour: bool | None


def cases(count: int, frames: int, height: int, width: int, seed: int = 0) -> list[Case]:
    """`count` prompts, every second one of an unseen combination.

    The same arguments give the same prompts.
    """
    rng = np.random.default_rng([seed, 1])
    some = []
    for i in range(count):
        unseen = bool(i % 2)
        scene = world.sample(rng, frames, height, width, unseen=unseen)
        some.append(Case(scene, seed + i, unseen))
    return some


def steady_cases(count: int, frames: int, height: int, width: int, seed: int = 0) -> list[Case]:
    """`count` prompts for :func:`steadiness`, of seen combinations, motions as in `STEADY`."""
    rng = np.random.default_rng([seed, 2])
    some = []
    for i in range(count):
        motion = STEADY[i % len(STEADY)]
        scene = world.sample(rng, frames, height, width, motion=motion)
        some.append(Case(scene, seed + i, False))
    return some


def drawn(some: Sequence[Case]) -> Make:
    """The maker that knows the answers: for the seed of one of the cases, its scene as drawn."""
    scenes = {case.seed: case.scene for case in some}
    return lambda prompt, seed: drawing.to_bytes(drawing.draw(scenes[seed]))


def judge(case: Case, frames: np.ndarray) -> Verdict:
    """Compare what a clip shows with what its prompt said.

    A direction counts where the caption names one; motion doesn't count in a clip of one frame.
    """
    scene = case.scene
    seen = detect.detect(frames)
    motion = seen.motion == scene.motion
    if scene.motion in SIDED:
        motion = motion and seen.direction == scene.direction
    second = None
    if scene.second_colour is not None and scene.frames > 1:
        second = seen.second_colour == scene.second_colour
    return Verdict(
        case,
        seen,
        colour=seen.colour == scene.colour,
        shape=seen.shape == scene.shape,
        motion=motion or scene.frames == 1,
        second_colour=second,
    )


def score(
    make: Make, some: Iterable[Case], keep: Callable[[Case, np.ndarray], None] | None = None
) -> list[Verdict]:
    """Make and judge a clip for each case; `keep(case, frames)`, if given, is shown every clip."""
    verdicts = []
    for case in some:
        frames = make(case.prompt, case.seed)
        if keep is not None:
            keep(case, frames)
        verdicts.append(judge(case, frames))
    return verdicts


def shares(verdicts: Sequence[Verdict]) -> dict[str, float | int]:
    """The shares of clips with the right colour, shape, motion, and all of them, and their count.

    Shares are from 0 to 1, NaN without a clip.
    """
    return {
        "colour": _mean([verdict.colour for verdict in verdicts]),
        "shape": _mean([verdict.shape for verdict in verdicts]),
        "motion": _mean([verdict.motion for verdict in verdicts]),
        "all": _mean([v.colour and v.shape and v.motion for v in verdicts]),
        "count": len(verdicts),
    }


def _mean(values: Sequence[float]) -> float:
    """The mean of what is not NaN; NaN where nothing is left."""
    known = np.array(values, float)
    known = known[np.isfinite(known)]
    return float(np.mean(known)) if len(known) else float("nan")


def steadiness(make: Make, some: Iterable[Case]) -> dict[str, float]:
    """How steadily things keep their look and path, averaged over the clips that can be measured.

    `there`: share of frames with the thing in them; `colour`, `size`, `jitter`: see
    :func:`track.consistency` (jitter without the bounces, whose turns are sharp); `throw_r2`: R² of
    a parabola through each throw's height; `bounces`: share of the bounces that show a whole
    rebound; `bounce_lower`: of these, the share in which each rebound is lower than the last. NaN
    where no clip can be measured.
    """
    measures = ("there", "colour", "size", "jitter", "throw_r2", "bounce_lower", "bounces")
    found: dict[str, list[float]] = {name: [] for name in measures}
    for case in some:
        motion = case.scene.motion
        track = detect.detect(make(case.prompt, case.seed)).track
        found["there"].append(float(track.seen.mean()))
        for name, value in consistency(track).items():
            if name != "jitter" or motion != "bounce":
                found[name].append(value)
        if motion == "throw":
            found["throw_r2"].append(parabola_fit(track))
        if motion == "bounce":
            _, lower = bounce_heights(track)
            found["bounces"].append(lower is not None)
            found["bounce_lower"].append(np.nan if lower is None else lower)
    return {name: _mean(values) for name, values in found.items()}


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 arrays of one shape, dB."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
