"""Samplers of rectified flows that were distilled to a few steps, at times of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .flow import FlowEuler, FlowStochastic, flow_sigmas, shifted

TRAINED_TIMES = 1000


class FlowEven(FlowEuler):
    """Euler's method at evenly spaced sigmas, then shifted: 1, 3/4, 1/2 and 1/4 for four steps.

    Where Diffusers' spacing ends at the training's least sigma, this one's last step is as long as
    the others: so LightX2V samples what it distilled (`WanStepDistillScheduler` of
    ModelTC/LightX2V).
    """

    def __init__(self, steps: int, shift: float = 1.0):
        super().__init__(steps, shift, flow_sigmas)


class FlowRenoised(FlowStochastic):
    """Each step goes to x0 as it is predicted, and back with fresh noise, at given timesteps.

    Sampling after distribution matching distillation (DMD2, arXiv:2405.14867; `DmdDenoisingStage`
    of hao-ai-lab/FastVideo). The last step returns x0.

    timesteps: from 1000 to 1, at which the model was distilled and is called; as many as `steps`.
    Without them they are the whole ones nearest to evenly spaced sigmas. The sigma of each is that
    of the nearest of the thousand timesteps of the training, which are fractions once shifted.
    """

    def __init__(
        self,
        steps: int,
        shift: float = 1.0,
        seed: int = 0,
        timesteps: Sequence[int] | None = None,
    ):
        if timesteps is None:
            even = flow_sigmas(steps, shift)[:-1] * TRAINED_TIMES
            timesteps = np.maximum(np.round(even), 1).astype(int).tolist()
        if len(timesteps) != steps:
            raise ValueError(f"{len(timesteps)} timesteps for {steps} steps")
        times = np.array(timesteps) / TRAINED_TIMES
        trained = shifted(np.arange(1, TRAINED_TIMES + 1) / TRAINED_TIMES, shift)
        nearest = np.abs(trained - times[:, None]).argmin(axis=1)
        sigmas = np.append(trained[nearest], 0.0)
        super().__init__(steps, shift, lambda steps, shift: sigmas, seed)
        self.times = times
