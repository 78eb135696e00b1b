"""What every scheduler offers; the package's docstring says how it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlx.core as mx
import numpy as np

# model(x, time): what the denoiser says of latents `x` at `time`, a share of the training's time
# from 0 (clip) to 1 (noise).
Model = Callable[[mx.array, float], mx.array]


class Scheduler:
    """Steps from noise to latents. All numbers are worked out in float64 on the host; latents are
    float32.

    sigmas: float64 [steps + 1], the share of noise (its standard deviation) in the latents before
    each step, and after the last. times: float64 [steps], what the model is first called with in
    each step. memory: what is remembered of the steps so far, by those that need it; a step puts a
    new one in its place.
    """

    sigmas: np.ndarray
    times: np.ndarray
    memory: Mapping[str, mx.array] = {}

    def begin(self, noise: mx.array) -> mx.array:
        """The latents that step 0 takes, from normal noise."""
        return noise

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        """Latents after step `i`, from `x` before it."""
        raise NotImplementedError

    def clean(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        """The clip as foreseen in step `i`: `x` is what the model was first called with in it,
        `output` what it said. The preview.
        """
        raise NotImplementedError

    def state(self) -> dict[str, mx.array]:
        """What is remembered of the steps so far: with it and the latents, another scheduler of the
        same kind goes on bit for bit.
        """
        return dict(self.memory)

    def restore(self, state: Mapping[str, mx.array]) -> None:
        """Take up the work of the scheduler whose :meth:`state` this is."""
        self.memory = dict(state)
