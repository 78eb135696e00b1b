"""Samplers on the whole timesteps of a diffusion model: DDIM, DDPM and PNDM."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .base import FreshNoise, Level, Predict, combine
from .noise import NoiseConfig, NoiseScheduler, Trajectory, levels_from_times

# Diffusers' names of the posterior's variance; "fixed_small_log" only computes it in another way. A
# learned variance, which the model predicts, is not read: the posterior's replaces it.
VARIANCES = (None, "fixed_small", "fixed_small_log", "learned", "learned_range")

# Adams-Bashforth: the weights of the predictions by their number, the latest first.
WEIGHTS = {
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


class DDIM(NoiseScheduler):
    """DDIM with eta = 0, which adds no noise (arXiv:2010.02502).

    Equal to Diffusers' DDIMScheduler.
    """

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        times = config.whole_times(steps, "leading")
        # As in the reference, a step ends one stride after its start, even with a spacing in which
        # the next one starts elsewhere.
        end_times = times - config.num_train_timesteps // steps
        starts = levels_from_times(config, times)
        ends = levels_from_times(config, end_times, config.set_alpha_to_one is not False)
        return Trajectory(times, starts, ends)

    def _split(self, x: mx.array, output: mx.array, level: Level) -> tuple[mx.array, mx.array]:
        x0, noise = super()._split(x, output, level)
        if self.config.clip_sample is False:
            return x0, noise
        # As in the reference, the noise stays that of the unclipped x0.
        return self._clipped(x, x0, level)[0], noise


class AncestralScheduler(FreshNoise, NoiseScheduler):
    """A sampler that replaces a part of the noise by fresh noise in every step.

    The part is that of DDPM's posterior (arXiv:2006.11239, eq. 7), or DDIM's with eta = 1.
    """

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        x0, noise = self._split(x, predict(x, self.times[i].item()), self.starts[i])
        return self._combine_with_fresh_noise(x0, noise, i), x0

    def _combine_with_fresh_noise(self, x0: mx.array, noise: mx.array, i: int) -> mx.array:
        """The latents after step `i` of `x0` and `noise`, with a part of the noise replaced."""
        start = self.starts[i]
        end = self.ends[i]
        kept = end.noise * start.signal / (end.signal * start.noise)
        fresh = (1 - kept**2) ** 0.5 * self.fresh_noise(noise, i)
        return combine(x0, kept * noise + fresh, end)


class DDPM(AncestralScheduler):
    """DDPM, on all of the training's timesteps or fewer (arXiv:2006.11239).

    Equal to Diffusers' DDPMScheduler with "fixed_small". Raises :class:`SettingError` for a model
    with another variance.
    """

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        if config.variance_type not in VARIANCES:
            raise SettingError(
                "The ddpm sampler does not know this model's variance_type "
                f"{config.variance_type!r}; choose another `sampler`."
            )
        times = config.whole_times(steps, "leading")
        return Trajectory.connected(times, levels_from_times(config, np.append(times, -1)))

    def _split(self, x: mx.array, output: mx.array, level: Level) -> tuple[mx.array, mx.array]:
        x0, noise = super()._split(x, output, level)
        if self.config.clip_sample is False:
            return x0, noise
        return self._clipped(x, x0, level)


class PNDM(NoiseScheduler):
    """The linear multistep method of PNDM: DDIM on a mean of up to four outputs.

    arXiv:2202.09778. The first of several steps is Heun's and calls the model twice. Equal to
    Diffusers' PNDMScheduler with skip_prk_steps.
    """

    heun_starts: list[Level]
    heun_ends: list[Level]
    """[steps - 1]: the levels before and after each step that may be the first."""

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        times = config.whole_times(steps, "leading")
        stride = config.num_train_timesteps // steps
        # As in the reference, the Heun step starts one stride before the timestep of its second
        # call.
        self.heun_starts = levels_from_times(config, times[1:] + stride)
        self.heun_ends = levels_from_times(config, times[1:])
        starts = levels_from_times(config, times)
        ends = levels_from_times(config, times - stride, config.set_alpha_to_one is True)
        return Trajectory(times, starts, ends)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        output = predict(x, self.times[i].item())
        x0, noise = self._split(x, output, self.starts[i])
        outputs = [output]
        if i > 0:
            outputs += [self.memory[str(age)] for age in range(len(self.memory))]
        outputs = outputs[:4]
        self.memory = {str(age): past for age, past in enumerate(outputs)}
        if len(outputs) > 1:
            mean = _weighted_sum(WEIGHTS[len(outputs)], outputs)
            return combine(*self._split(x, mean, self.starts[i]), self.ends[i]), x0
        ddim = combine(x0, noise, self.ends[i])
        if i == self.steps - 1:
            return ddim, x0
        mean = (output + predict(ddim, self.times[i + 1].item())) / 2
        start = self.heun_starts[i]
        return combine(*self._split(x, mean, start), self.heun_ends[i]), x0


def _weighted_sum(weights: tuple[float, ...], outputs: list[mx.array]) -> mx.array:
    total = weights[0] * outputs[0]
    for weight, output in zip(weights[1:], outputs[1:], strict=True):
        total = total + weight * output
    return total
