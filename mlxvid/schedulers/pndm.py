"""PLMS: DDIM with the predictions of up to four steps combined."""

from __future__ import annotations

import mlx.core as mx

from .base import Model
from .ddim import levels
from .noise import NoiseConfig, NoiseScheduler, Road

# Adams-Bashforth: the weights of the predictions, the latest first.
WEIGHTS = {
    2: (3 / 2, -1 / 2),
    3: (23 / 12, -16 / 12, 5 / 12),
    4: (55 / 24, -59 / 24, 37 / 24, -9 / 24),
}


class PNDM(NoiseScheduler):
    """The linear multistep method of PNDM (arXiv:2202.09778), with one Heun step in the beginning,
    which calls the model twice.

    Equal to Diffusers' PNDMScheduler with skip_prk_steps.
    """

    def road(self, steps: int, config: NoiseConfig) -> Road:
        times, stride = config.whole_times(steps, "leading"), config.num_train_timesteps // steps
        if steps > 1:
            # The Heun step, too, is reckoned by the stride, back from the timestep that the second
            # call is made at.
            self.heun = levels(config, times[1] + [stride, 0])
        return Road(
            times,
            levels(config, times),
            levels(config, times - stride, config.set_alpha_to_one is True),
        )

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        output = model(x, self.times[i].item())
        past = [self.memory[str(age)] for age in range(len(self.memory))] if i else []
        outputs = [output, *past][:4]
        self.memory = {str(age): o for age, o in enumerate(outputs)}
        if past:
            mean = sum(weight * o for weight, o in zip(WEIGHTS[len(outputs)], outputs, strict=True))
            return self.move(x, mean, self.here[i], self.there[i])
        guess = self.move(x, output, self.here[0], self.there[0])
        if len(self.times) == 1:
            return guess
        mean = (output + model(guess, self.times[1].item())) / 2
        return self.move(x, mean, *self.heun)
