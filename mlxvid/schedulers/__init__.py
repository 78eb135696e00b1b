"""One file a scheduler. Each turns a denoiser's predictions into steps from noise to latents.

All are used in the same way (:class:`Scheduler` has the particulars)::

    scheduler = sampler("unipc")(steps, shift)
    x = scheduler.begin(noise)
    for i in range(steps):
        x = scheduler.step(model, x, i)

`x` is at every moment what the model takes: a scheduler whose paper scales the latents otherwise
scales them back. A step calls `model(x, time)` once or more, with `time` from 1 (noise) to 0
(clip): the reference's timestep as a share of its thousand. A model that was trained on whole
timesteps is given whole ones, divided by a thousand. Multistep schedulers remember the steps
before: `state()` is saved with the latents of an interrupted run, and `restore(state)` goes on with
it.

Two kinds, for two kinds of model:

* flow samplers, made with (steps, shift), for a model that predicts the velocity noise - clip at x = (1 - s) clip + s noise;
* noise samplers, made with (steps, NoiseConfig, seed), for a diffusion model that predicts the noise, or another mixture of noise and
  clip, at x = sqrt(1 - s^2) clip + s noise. The seed is for those that add noise underway: it comes
  from the seed and the number of the step alone, so that nothing of it need be saved.
"""

from __future__ import annotations

from mlxvid.errors import SettingError

from .base import Model, Scheduler
from .ddim import DDIM
from .ddpm import DDPM
from .deis import DEIS
from .dpm_solver import DPMSolver
from .dpm_solver_single import DPMSolverSingle
from .euler_ancestral import EulerAncestral
from .euler_discrete import EulerDiscrete
from .flow_euler import FlowEuler, flow_sigmas, trained_sigmas
from .flow_heun import FlowHeun
from .heun_discrete import HeunDiscrete
from .kdpm2_ancestral import KDPM2Ancestral
from .noise import NoiseConfig
from .pndm import PNDM
from .unipc import UniPC
from .unipc_discrete import UniPCDiscrete

SAMPLERS: dict[str, type[Scheduler]] = {
    "euler": FlowEuler,
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
    "deis": DEIS,
    "unipc-discrete": UniPCDiscrete,
}

__all__ = [
    "DDIM",
    "DDPM",
    "DEIS",
    "DPMSolver",
    "DPMSolverSingle",
    "EulerAncestral",
    "EulerDiscrete",
    "FlowEuler",
    "FlowHeun",
    "HeunDiscrete",
    "KDPM2Ancestral",
    "Model",
    "NoiseConfig",
    "PNDM",
    "SAMPLERS",
    "Scheduler",
    "UniPC",
    "UniPCDiscrete",
    "flow_sigmas",
    "sampler",
    "trained_sigmas",
]


def sampler(name: str, allowed: tuple[str, ...] = tuple(SAMPLERS)) -> type[Scheduler]:
    """The scheduler class called `name`; raises :class:`SettingError` with the names that there
    are.
    """
    if name not in allowed:
        raise SettingError(
            f"There is no sampler {name!r} for this model; use one of: {', '.join(allowed)}."
        )
    return SAMPLERS[name]
