"""What the samplers that add noise share."""

from __future__ import annotations

import mlx.core as mx

from .base import Model
from .noise import NoiseScheduler, mixed


class Ancestral(NoiseScheduler):
    """In every step a part of the noise is drawn afresh, so much that the step undoes one of the
    diffusion, however long.

    That is the posterior of DDPM (arXiv:2006.11239, eq. 7), by which an ancestor is drawn for what
    is there; DDIM's with eta = 1.
    """

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        return self.renewed(*self.split(x, model(x, self.times[i].item()), self.here[i]), i)

    def renewed(self, clip: mx.array, noise: mx.array, i: int) -> mx.array:
        """The latents after step `i` made of `clip` and of `noise`, of which a part is replaced."""
        here, there = self.here[i], self.there[i]
        kept = there.noise * here.signal / (there.signal * here.noise)
        return mixed(clip, kept * noise + (1 - kept**2) ** 0.5 * self.drawn(noise, i), there)

    def drawn(self, like: mx.array, i: int) -> mx.array:
        """Normal noise, float32, that depends on the seed, the step and the shape alone."""
        return mx.random.normal(like.shape, key=mx.random.split(mx.random.key(self.seed), i + 1)[i])
