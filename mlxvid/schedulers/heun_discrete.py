"""Heun's method on a diffusion model's noise levels: second order, two model calls a step."""

from __future__ import annotations

from dataclasses import replace

import mlx.core as mx

from .base import Model
from .euler_discrete import EulerDiscrete
from .noise import Level, NoiseConfig, Road, clip_in, mixed


class HeunDiscrete(EulerDiscrete):
    """The mean of the noises at both ends of the step; the last step, into no noise at all, is
    Euler's.

    Karras et al., arXiv:2206.00364, algorithm 1. Equal to Diffusers' HeunDiscreteScheduler.
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        return super().road(steps, replace(config, final_sigmas_type="zero"))

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        here, there = self.here[i], self.there[i]
        clip, noise = self.split(x, model(x, self.times[i].item()), here)
        guess = mixed(clip, noise, there)
        if there.noise == 0:
            return guess
        noise = (noise + self.split(guess, model(guess, self.times[i + 1].item()), there)[1]) / 2
        return mixed(clip_in(x, noise, here), noise, there)

    def split(self, x: mx.array, output: mx.array, here: Level) -> tuple[mx.array, mx.array]:
        clip, noise = super().split(x, output, here)
        return self.clipped(x, clip, here) if self.config.clip_sample else (clip, noise)
