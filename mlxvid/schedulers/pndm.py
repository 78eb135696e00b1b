"""PLMS: DDIM with the predictions of up to four steps combined."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx

from .base import Model
from .ddim import levels
from .noise import NoiseConfig, NoiseScheduler

# Adams-Bashforth: the weights of the predictions, the latest first.
WEIGHTS = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12), 4: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}


class PNDM(NoiseScheduler):
    """The linear multistep method of PNDM (arXiv:2202.09778), with one Heun step in the beginning, which calls the model twice.

    Equal to Diffusers' PNDMScheduler with skip_prk_steps.
    """

    def __init__(self, steps: int, config: NoiseConfig):
        times, stride = config.whole_times(steps, "leading"), config.num_train_timesteps // steps
        final = config.set_alpha_to_one is True
        super().__init__(config, times, levels(config, times), levels(config, times - stride, final))
        if steps > 1:
            # The Heun step, too, is reckoned by the stride, back from the timestep that the second call is made at.
            self.heun = levels(config, times[1] + [stride, 0])
        self._outputs: list[mx.array] = []

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        output = model(x, self.times[i].item())
        past = self._outputs if i else []
        self._outputs = [output, *past][:4]
        if past:
            mean = sum(weight * o for weight, o in zip(WEIGHTS[len(self._outputs)], self._outputs, strict=True))
            return self.move(x, mean, self.here[i], self.there[i])
        guess = self.move(x, output, self.here[0], self.there[0])
        if len(self.times) == 1:
            return guess
        mean = (output + model(guess, self.times[1].item())) / 2
        return self.move(x, mean, *self.heun)

    def state(self) -> dict[str, mx.array]:
        return {str(age): output for age, output in enumerate(self._outputs)}

    def restore(self, state: Mapping[str, mx.array]) -> None:
        self._outputs = [state[str(age)] for age in range(len(state))]
