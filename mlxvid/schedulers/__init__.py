"""Samplers: each turns a model's predictions into steps from noise to latents.

All are used in the same way (:class:`Scheduler` is the contract)::

    scheduler = sampler("unipc")(steps, shift)
    x = scheduler.begin(noise)
    for i in range(scheduler.steps):
        x, x0 = scheduler.step(predict, x, i)

Words: `x0` is the clean signal; `noise` is normal noise; a `sigma` is the standard deviation of the
noise in the latents, from 1 to 0; a `time` is the reference's timestep divided by its number of
training timesteps, from 1 (noise) to 0 (x0).

`x` is always scaled as the model takes it, also where a method's paper or Diffusers scales it
otherwise. A step calls `predict(x, time)` once or more. A model that was trained on whole timesteps
is called at whole ones. Multistep methods remember past steps: `state()` is saved with the latents
of an interrupted run, and `restore(state)` continues it. `noised(x0, noise, i)` brings given frames
to the level of the others.

There are two kinds:

* flow samplers, made with (steps, shift) and, where they add noise, a seed, for a model that
  predicts the velocity noise - x0 at x = (1 - s) x0 + s noise;
* noise samplers, made with (steps, NoiseConfig, seed), for a diffusion model that predicts the
  noise, x0, or a mixture of both ("v") at x = sqrt(1 - s^2) x0 + s noise.
"""

from __future__ import annotations

from collections.abc import Callable

from mlxvid.errors import SettingError

from .base import Predict, Scheduler
from .denoising import DDIM, DDPM, PNDM, DPMSolverSDE
from .exponential import DEIS, DPMSolver, DPMSolverSingle
from .few_steps import FlowEven, FlowRenoised
from .flow import FlowEuler, FlowHeun, FlowStochastic, flow_sigmas, trained_sigmas
from .karras import EulerAncestral, EulerDiscrete, HeunDiscrete, KDPM2Ancestral
from .noise import NoiseConfig
from .unipc import UniPC, UniPCDiscrete

SAMPLERS: dict[str, type[Scheduler]] = {
    "euler": FlowEuler,
    "euler-even": FlowEven,
    "euler-stochastic": FlowStochastic,
    "dmd": FlowRenoised,
    "heun": FlowHeun,
    "unipc": UniPC,
    "ddim": DDIM,
    "ddpm": DDPM,
    "pndm": PNDM,
    "euler-discrete": EulerDiscrete,
    "euler-ancestral": EulerAncestral,
    "heun-discrete": HeunDiscrete,
    "kdpm2-ancestral": KDPM2Ancestral,
    "dpm++": DPMSolver,
    "dpm++-single": DPMSolverSingle,
    "dpm++-sde": DPMSolverSDE,
    "deis": DEIS,
    "unipc-discrete": UniPCDiscrete,
}

__all__ = [
    "DDIM",
    "DDPM",
    "DEIS",
    "DPMSolver",
    "DPMSolverSDE",
    "DPMSolverSingle",
    "EulerAncestral",
    "EulerDiscrete",
    "FlowEuler",
    "FlowEven",
    "FlowHeun",
    "FlowRenoised",
    "FlowStochastic",
    "HeunDiscrete",
    "KDPM2Ancestral",
    "NoiseConfig",
    "PNDM",
    "Predict",
    "SAMPLERS",
    "Scheduler",
    "UniPC",
    "UniPCDiscrete",
    "flow_sigmas",
    "sampler",
    "trained_sigmas",
]


def sampler(name: str, allowed: tuple[str, ...] = tuple(SAMPLERS)) -> Callable[..., Scheduler]:
    """The scheduler class called `name`; what it is made with depends on its kind.

    allowed: the names that a model's predictions fit. Raises :class:`SettingError` for any other.
    """
    if name not in allowed:
        raise SettingError(
            f"There is no `sampler` {name!r} for this model; use one of: {', '.join(allowed)}."
        )
    return SAMPLERS[name]
