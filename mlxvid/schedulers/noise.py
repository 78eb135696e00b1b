"""What the samplers of diffusion models share: the noise schedule of the training, and what a
prediction says of clip and noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .base import Model, Scheduler

SCHEDULES = ("linear", "scaled_linear")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
SPACINGS = ("leading", "linspace", "trailing")
# With rescale_betas_zero_snr the last level would be noise alone: the samplers that divide by its
# signal leave this much, as the reference.
LEAST_SIGNAL = 2.0**-24
RHO = 7.0


@dataclass(frozen=True)
class NoiseConfig:
    """A scheduler_config.json, with the keys and defaults of Diffusers' schedulers; None: each
    sampler has its own.

    Raises ValueError for a schedule that none of the samplers here can follow.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: list[float] | None = None
    rescale_betas_zero_snr: bool = False
    prediction_type: str = "epsilon"
    timestep_spacing: str | None = None
    steps_offset: int = 0
    clip_sample: bool | None = None  # DDIM, DDPM and HeunDiscrete
    clip_sample_range: float = 1.0
    set_alpha_to_one: bool | None = None  # DDIM and PNDM
    variance_type: str | None = None  # DDPM
    final_sigmas_type: str = "zero"  # EulerDiscrete, DPM-Solver++ and UniPC
    use_karras_sigmas: bool = False  # these, HeunDiscrete, DEIS and KDPM2Ancestral
    lower_order_final: bool | None = None  # DPM-Solver++, DEIS and UniPC, like the next three
    solver_order: int = 2
    solver_type: str | None = None
    algorithm_type: str | None = None
    predict_x0: bool = True  # UniPC
    thresholding: bool = False
    use_exponential_sigmas: bool = False
    use_beta_sigmas: bool = False
    use_lu_lambdas: bool = False
    use_flow_sigmas: bool = False

    def __post_init__(self):
        for key, value, known in (
            ("beta_schedule", self.beta_schedule, SCHEDULES),
            ("prediction_type", self.prediction_type, PREDICTIONS),
            ("timestep_spacing", self.timestep_spacing, (None, *SPACINGS)),
            ("final_sigmas_type", self.final_sigmas_type, ("zero", "sigma_min")),
            ("solver_order", self.solver_order, (2,)),
            ("solver_type", self.solver_type, (None, "midpoint", "logrho", "bh2")),
            ("algorithm_type", self.algorithm_type, (None, "dpmsolver++", "deis")),
            ("predict_x0", self.predict_x0, (True,)),
        ):
            if value not in known:
                raise ValueError(f"{key} {value!r} is none of: {', '.join(map(str, known))}")
        for key in (
            "thresholding",
            "use_exponential_sigmas",
            "use_beta_sigmas",
            "use_lu_lambdas",
            "use_flow_sigmas",
        ):
            if getattr(self, key):
                raise ValueError(f"{key} is not known here")
        if self.num_train_timesteps < 1:
            raise ValueError(f"num_train_timesteps is {self.num_train_timesteps}")
        if self.trained_betas is not None and len(self.trained_betas) != self.num_train_timesteps:
            raise ValueError(
                f"{len(self.trained_betas)} trained_betas for {self.num_train_timesteps} timesteps"
            )
        betas = self.betas()
        if not ((betas > 0) & (betas < 1)).all():
            raise ValueError("betas are not between 0 and 1")

    def betas(self) -> np.ndarray:
        """How much noise each timestep of the training adds, float64 [num_train_timesteps]."""
        if self.trained_betas is not None:
            return np.array(self.trained_betas, np.float64)
        if self.beta_schedule == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.num_train_timesteps)
        return np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.num_train_timesteps) ** 2

    def alphas(self) -> np.ndarray:
        """The share of the clip in the variance at each timestep of the training ("alpha bar"),
        float64 [num_train_timesteps].

        Rounded to float32 where the reference is: near the clip little but the rounding is left of
        1 - alpha.
        """
        alphas = _rounded(np.cumprod(_rounded(1 - _rounded(self.betas()))))
        if self.rescale_betas_zero_snr:  # arXiv:2305.08891, algorithm 1
            roots = np.sqrt(alphas)
            alphas = _rounded(((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2)
        return alphas

    def ratios(self) -> np.ndarray:
        """Noise over signal at each timestep of the training, float64 [num_train_timesteps]: the
        "sigma" of Karras et al.
        """
        alphas = self.alphas()
        if self.rescale_betas_zero_snr:
            alphas[-1] = LEAST_SIGNAL
        return np.sqrt((1 - alphas) / alphas)

    def whole_times(self, steps: int, spacing: str, spare: int = 0) -> np.ndarray:
        """`steps` timesteps from noise to clip, int64, spaced as arXiv:2305.08891, table 2, says.

        spare: how many more steps, towards the clip, the spacings but "trailing" are made for and
        which are then left out. Raises :class:`SettingError` for more steps than there are
        timesteps.
        """
        total, spacing = self.num_train_timesteps, self.timestep_spacing or spacing
        if spacing == "leading":
            times = np.arange(steps + spare)[::-1] * (total // (steps + spare)) + self.steps_offset
        elif spacing == "linspace":
            times = np.linspace(0, total - 1, steps + spare).round()[::-1]
        else:
            times = np.arange(total, 0, -total / steps).round() - 1
        times = times[:steps].astype(np.int64)
        if times[0] >= total or (np.diff(times) >= 0).any():
            raise SettingError(
                f"This sampler can't take {steps} steps with this model; take fewer."
            )
        return times


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


class Level(NamedTuple):
    """How much of the clip and of the noise is in the latents: x = signal * clip + noise * (normal
    noise).
    """

    signal: float
    noise: float


def level_of(alpha: float) -> Level:
    """The level at which the clip's share of the variance is `alpha`."""
    return Level(float(alpha) ** 0.5, (1 - float(alpha)) ** 0.5)


def place(ratio: float) -> Level:
    """The level at which there is `ratio` times as much noise as signal."""
    signal = 1 / (float(ratio) ** 2 + 1) ** 0.5
    return Level(signal, float(ratio) * signal)


def ended(ratios: np.ndarray, table: np.ndarray, config: NoiseConfig) -> np.ndarray:
    """The ratios of noise to signal with the last one, after all steps: none, or the training's
    least.
    """
    return np.append(ratios, 0.0 if config.final_sigmas_type == "zero" else table[0])


def karras(first: float, last: float, steps: int) -> np.ndarray:
    """Ratios of noise to signal between two, spaced as in Karras et al., arXiv:2206.00364, eq. 5."""
    return np.linspace(first ** (1 / RHO), last ** (1 / RHO), steps) ** RHO


def times_of(ratios: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The (broken) timesteps of the training with these ratios of noise to signal."""
    return np.interp(np.log(ratios), np.log(table), np.arange(len(table)))


class Road(NamedTuple):
    """Where a sampler goes: the timesteps, whole or broken, and the levels before and after each
    step.
    """

    times: np.ndarray
    here: Sequence[Level]
    there: Sequence[Level]


def through(times: np.ndarray, levels: Sequence[Level]) -> Road:
    """The road whose every step begins at the level where the one before has ended."""
    return Road(times, levels[:-1], levels[1:])


class NoiseScheduler(Scheduler):
    """A sampler of a diffusion model. A kind of it says which `road` it takes, and where it does
    not step as DDIM does, its `step`.

    seed: what a sampler that adds noise draws it from; the others don't read it.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        self.config, self.seed = config, seed
        times, self.here, self.there = self.road(steps, config)
        self.times = times / config.num_train_timesteps
        self.levels = (*self.here, self.there[-1])
        self.sigmas = np.array([level.noise for level in self.levels])

    def road(self, steps: int, config: NoiseConfig) -> Road:
        """Where `steps` steps go; raises :class:`SettingError` for more than there can be."""
        raise NotImplementedError

    def step(self, model: Model, x: mx.array, i: int) -> mx.array:
        return self.move(x, model(x, self.times[i].item()), self.here[i], self.there[i])

    def clean(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        return self.split(x, output, self.here[i])[0]

    def split(self, x: mx.array, output: mx.array, here: Level) -> tuple[mx.array, mx.array]:
        """The clip and the noise that, by the model's `output`, the latents `x` are made of."""
        if self.config.prediction_type == "epsilon":
            return clip_in(x, output, here), output
        if self.config.prediction_type == "v_prediction":  # arXiv:2202.00512
            return here.signal * x - here.noise * output, here.signal * output + here.noise * x
        return output, noise_in(x, output, here)

    def clipped(self, x: mx.array, clip: mx.array, here: Level) -> tuple[mx.array, mx.array]:
        """The foreseen clip, kept in the range that clip_sample tells of, and the noise that `x`
        then has in it.
        """
        clip = mx.clip(clip, -self.config.clip_sample_range, self.config.clip_sample_range)
        return clip, noise_in(x, clip, here)

    def move(self, x: mx.array, output: mx.array, here: Level, there: Level) -> mx.array:
        """The latents at `there`, if clip and noise are what the model foresees (DDIM,
        arXiv:2010.02502, eq. 12 with eta = 0).
        """
        return mixed(*self.split(x, output, here), there)


def mixed(clip: mx.array, noise: mx.array, level: Level) -> mx.array:
    """The latents at a level."""
    return level.signal * clip + level.noise * noise


def clip_in(x: mx.array, noise: mx.array, level: Level) -> mx.array:
    """The clip in latents `x` whose noise is known."""
    return (x - level.noise * noise) / level.signal


def noise_in(x: mx.array, clip: mx.array, level: Level) -> mx.array:
    """The noise in latents `x` whose clip is known."""
    return (x - level.signal * clip) / level.noise
