"""What the tests of schedulers share: the samplers by kind, and how one is made and followed."""

from __future__ import annotations

import mlx.core as mx

from mlxvid.schedulers import SAMPLERS, NoiseConfig, Predict, Scheduler, sampler

FLOW = ("euler", "euler-even", "euler-stochastic", "dmd", "heun", "unipc")
NOISE = tuple(name for name in SAMPLERS if name not in FLOW)
RENOISED = ("euler-stochastic", "dmd")
STOCHASTIC = ("ddpm", "euler-ancestral", "kdpm2-ancestral", "dpm++-sde")
CONFIG = NoiseConfig(clip_sample=False)


def made(name: str, steps: int) -> Scheduler:
    """The sampler called `name` with a schedule of its kind."""
    if name in FLOW:
        return sampler(name)(steps, 1.5)
    return sampler(name)(steps, CONFIG)


def follow(scheduler: Scheduler, predict: Predict, x: mx.array) -> mx.array:
    """The latents after all steps."""
    for i in range(scheduler.steps):
        x, _ = scheduler.step(predict, x, i)
    return x


def normal(seed: int) -> mx.array:
    """Normal noise [2, 3]."""
    return mx.random.normal((2, 3), key=mx.random.key(seed))
