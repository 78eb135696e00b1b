"""The contract of every scheduler; the package's docstring shows how one is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import mlx.core as mx
import numpy as np

Predict = Callable[[mx.array, float], mx.array]
"""predict(x, time): the model's output for latents `x` at `time`, from 1 (noise) to 0 (x0)."""


class Level(NamedTuple):
    """A mixture of x0 and noise: x = signal * x0 + noise * (normal noise)."""

    signal: float
    noise: float


def combine(x0: mx.array, noise: mx.array, level: Level) -> mx.array:
    """The latents at `level` that are made of `x0` and `noise`."""
    return level.signal * x0 + level.noise * noise


class Scheduler:
    """A sampling schedule and the method that follows it.

    Latents are float32. The schedule is computed in float64 on the host.
    """

    is_flow: bool = False
    """Whether the model's output is the velocity from x0 to noise."""

    evaluations: int = 1
    """Model calls a step. The first or last step of a schedule may take one more or less."""

    times: np.ndarray
    """float64 [steps]: the time of the first model call of each step."""

    levels: Sequence[Level]
    """[steps + 1]: the mixture before each step, and after the last."""

    sigmas: np.ndarray
    """float64 [steps + 1]: the noise of :attr:`levels`, its standard deviation in the latents."""

    memory: Mapping[str, mx.array] = {}
    """What a multistep method keeps of its past steps. Each step replaces it by a new mapping."""

    @property
    def steps(self) -> int:
        """The number of steps in the schedule."""
        return len(self.times)

    def begin(self, noise: mx.array) -> mx.array:
        """The latents that step 0 takes, from normal noise."""
        return noise

    def noised(self, x0: mx.array, noise: mx.array, i: int) -> mx.array:
        """The latents before step `i` that are made of `x0` and of normal noise.

        i: from 0 to `steps`; `steps` gives the latents after the last step.
        """
        return combine(x0, noise, self.levels[i])

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        """The latents after step `i` and the step's prediction of x0, from latents `x` before it.

        The prediction is that of the step's first model call, before any correction.
        """
        raise NotImplementedError

    def _x0(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        """x0 as predicted by `output`, the model's for latents `x` in step `i`'s first call."""
        raise NotImplementedError

    def state(self) -> dict[str, mx.array]:
        """A snapshot of :attr:`memory`.

        Together with the latents it lets another scheduler of the same schedule continue the run,
        bit for bit.
        """
        return dict(self.memory)

    def restore(self, state: Mapping[str, mx.array]) -> None:
        """Continue the run of the scheduler whose :meth:`state` is given."""
        self.memory = dict(state)


class FreshNoise:
    """What a sampler has that adds noise in its steps."""

    seed: int

    def fresh_noise(self, like: mx.array, i: int) -> mx.array:
        """Normal noise in float32, which depends on the seed, step `i` and the shape alone.

        So :meth:`Scheduler.state` need not hold it.
        """
        key = mx.random.split(mx.random.key(self.seed), i + 1)[i]
        return mx.random.normal(like.shape, key=key)
