"""Diffusion models: their noise schedules, and what their samplers share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .base import Level, Predict, Scheduler, combine

# The values of a scheduler_config.json that the samplers here know.
KNOWN_VALUES: dict[str, tuple[object, ...]] = {
    "beta_schedule": ("linear", "scaled_linear"),
    "prediction_type": ("epsilon", "v_prediction", "sample"),
    "timestep_spacing": (None, "leading", "linspace", "trailing"),
    "final_sigmas_type": ("zero", "sigma_min"),
    "solver_order": (2,),
    "solver_type": (None, "midpoint", "logrho", "bh2"),
    "algorithm_type": (None, "dpmsolver++", "deis"),
    "predict_x0": (True,),
}
UNKNOWN_SWITCHES = (
    "thresholding",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "use_lu_lambdas",
    "use_flow_sigmas",
)
# With rescale_betas_zero_snr the last level is noise alone. For the samplers that divide by its
# signal, the reference replaces its alpha by this.
LEAST_ALPHA = 2.0**-24
RHO = 7.0


@dataclass(frozen=True)
class NoiseConfig:
    """A scheduler_config.json, with the keys and defaults of Diffusers' schedulers.

    None: each sampler has its own default. Raises ValueError for a schedule that no sampler here
    can follow.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: list[float] | None = None
    rescale_betas_zero_snr: bool = False
    snr_shift_scale: float | None = None  # the signal-to-noise ratio is divided by it
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

    def __post_init__(self) -> None:
        for key, known in KNOWN_VALUES.items():
            value = getattr(self, key)
            if value not in known:
                raise ValueError(f"{key} {value!r} is none of: {', '.join(map(str, known))}")
        for key in UNKNOWN_SWITCHES:
            if getattr(self, key):
                raise ValueError(f"{key} is not known here")
        if self.num_train_timesteps < 1:
            raise ValueError(f"num_train_timesteps is {self.num_train_timesteps}")
        if self.trained_betas is not None and len(self.trained_betas) != self.num_train_timesteps:
            raise ValueError(
                f"{len(self.trained_betas)} trained_betas for {self.num_train_timesteps} timesteps"
            )
        if self.snr_shift_scale is not None and not 0 < self.snr_shift_scale < np.inf:
            raise ValueError(f"snr_shift_scale is {self.snr_shift_scale}")
        betas = self.betas()
        if not ((betas > 0) & (betas < 1)).all():
            raise ValueError("betas are not between 0 and 1")

    def betas(self) -> np.ndarray:
        """The noise variance that each training timestep adds, float64 [num_train_timesteps]."""
        if self.trained_betas is not None:
            return np.array(self.trained_betas, np.float64)
        if self.beta_schedule == "linear":
            return np.linspace(self.beta_start, self.beta_end, self.num_train_timesteps)
        return np.linspace(self.beta_start**0.5, self.beta_end**0.5, self.num_train_timesteps) ** 2

    def alphas(self) -> np.ndarray:
        """The share of x0 in the variance at each training timestep ("alpha bar").

        float64 [num_train_timesteps], rounded to float32 where the reference is: near x0, little
        but the rounding is left of 1 - alpha. The schedulers that shift the signal-to-noise ratio
        round nothing, and shift it before its end is brought to zero.
        """
        rounded = _rounded if self.snr_shift_scale is None else _exact
        alphas = rounded(np.cumprod(rounded(1 - rounded(self.betas()))))
        if self.snr_shift_scale is not None:
            alphas = alphas / (self.snr_shift_scale + (1 - self.snr_shift_scale) * alphas)
        if self.rescale_betas_zero_snr:  # arXiv:2305.08891, algorithm 1
            roots = np.sqrt(alphas)
            alphas = rounded(((roots - roots[-1]) * roots[0] / (roots[0] - roots[-1])) ** 2)
        return alphas

    def ratios(self) -> np.ndarray:
        """Noise over signal at each training timestep, float64 [num_train_timesteps].

        The "sigma" of Karras et al. and of Diffusers' schedulers.
        """
        alphas = self.alphas()
        if self.rescale_betas_zero_snr:
            alphas[-1] = LEAST_ALPHA
        return np.sqrt((1 - alphas) / alphas)

    def whole_times(self, steps: int, spacing: str, spare: int = 0) -> np.ndarray:
        """`steps` timesteps from noise to x0, int64, spaced as in arXiv:2305.08891, table 2.

        spacing: where the config has none. spare: for any spacing but "trailing", how many steps
        more, at the end, the timesteps are spaced for; these are left out. Raises
        :class:`SettingError` for more steps than there are timesteps.
        """
        total = self.num_train_timesteps
        spacing = self.timestep_spacing or spacing
        spaced: np.ndarray
        if spacing == "leading":
            stride = total // (steps + spare)
            spaced = np.arange(steps + spare)[::-1] * stride + self.steps_offset
        elif spacing == "linspace":
            spaced = np.linspace(0, total - 1, steps + spare).round()[::-1]
        else:
            spaced = np.arange(total, 0, -total / steps).round() - 1
        times = spaced[:steps].astype(np.int64)
        if times[0] >= total or (np.diff(times) >= 0).any():
            raise SettingError(
                f"This sampler can't take {steps} steps with this model; lower `steps`."
            )
        return times


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)


def _exact(values: np.ndarray) -> np.ndarray:
    return values


def level_from_alpha(alpha: float) -> Level:
    """The level at which `alpha` is the share of x0 in the variance."""
    return Level(float(alpha) ** 0.5, (1 - float(alpha)) ** 0.5)


def level_from_ratio(ratio: float) -> Level:
    """The level at which `ratio` is noise over signal."""
    signal = 1 / (float(ratio) ** 2 + 1) ** 0.5
    return Level(signal, float(ratio) * signal)


def levels_from_times(config: NoiseConfig, times: np.ndarray, reach_x0: bool = True) -> list[Level]:
    """The levels at whole timesteps.

    reach_x0: whether a timestep below 0 means x0 itself; else it means the training's least noise.
    """
    alphas = config.alphas()
    final = 1.0 if reach_x0 else alphas[0]
    return [level_from_alpha(alphas[t] if t >= 0 else final) for t in times]


def levels_from_ratios(config: NoiseConfig, ratios: np.ndarray) -> list[Level]:
    """The levels at ratios of noise to signal, and the config's final one.

    That is x0 itself, or the training's least noise.
    """
    final = 0.0 if config.final_sigmas_type == "zero" else config.ratios()[0]
    return [level_from_ratio(ratio) for ratio in (*ratios, final)]


def times_from_ratios(config: NoiseConfig, ratios: np.ndarray) -> np.ndarray:
    """The fractional timesteps of the training at ratios of noise to signal."""
    table = config.ratios()
    return np.interp(np.log(ratios), np.log(table), np.arange(len(table)))


def karras_ratios(first: float, last: float, steps: int) -> np.ndarray:
    """Ratios of noise to signal from `first` to `last` (Karras et al., arXiv:2206.00364, eq. 5)."""
    return np.linspace(first ** (1 / RHO), last ** (1 / RHO), steps) ** RHO


class Trajectory(NamedTuple):
    """The training timesteps of a schedule, and the levels before and after each step.

    times: [steps], whole or fractional. starts, ends: [steps] each.
    """

    times: np.ndarray
    starts: Sequence[Level]
    ends: Sequence[Level]

    @classmethod
    def connected(cls, times: np.ndarray, levels: Sequence[Level]) -> Trajectory:
        """The trajectory in which each step starts where the one before ends.

        levels: [steps + 1].
        """
        return cls(times, levels[:-1], levels[1:])


class NoiseScheduler(Scheduler):
    """A sampler of a diffusion model, at x = signal * x0 + noise * n with signal^2 + noise^2 = 1.

    A subclass gives its `trajectory`, and its `step` where that is not DDIM's. seed: of the noise
    that some samplers add; the others don't read it. Raises :class:`SettingError` for more steps
    than the model has timesteps.
    """

    def __init__(self, steps: int, config: NoiseConfig, seed: int = 0):
        self.config = config
        self.seed = seed
        times, self.starts, self.ends = self.trajectory(steps, config)
        self.times = times / config.num_train_timesteps
        self.levels = (*self.starts, self.ends[-1])
        self.sigmas = np.array([level.noise for level in self.levels])

    def trajectory(self, steps: int, config: NoiseConfig) -> Trajectory:
        """The timesteps and levels of the schedule."""
        raise NotImplementedError

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        """DDIM's step with eta = 0 (arXiv:2010.02502, eq. 12)."""
        x0, noise = self._split(x, predict(x, self.times[i].item()), self.starts[i])
        return combine(x0, noise, self.ends[i]), x0

    def _x0(self, x: mx.array, output: mx.array, i: int) -> mx.array:
        return self._split(x, output, self.starts[i])[0]

    def _split(self, x: mx.array, output: mx.array, level: Level) -> tuple[mx.array, mx.array]:
        """x0 and noise in latents `x` at `level`, as predicted by the model's `output` for them."""
        if self.config.prediction_type == "epsilon":
            return x0_from_noise(x, output, level), output
        if self.config.prediction_type == "v_prediction":  # arXiv:2202.00512
            return level.signal * x - level.noise * output, level.signal * output + level.noise * x
        return output, noise_from_x0(x, output, level)

    def _clipped(self, x: mx.array, x0: mx.array, level: Level) -> tuple[mx.array, mx.array]:
        """`x0` clipped to the config's clip_sample_range, and the noise that `x` then holds."""
        limit = self.config.clip_sample_range
        x0 = mx.clip(x0, -limit, limit)
        return x0, noise_from_x0(x, x0, level)


def x0_from_noise(x: mx.array, noise: mx.array, level: Level) -> mx.array:
    """x0 in latents `x` at `level` whose noise is known."""
    return (x - level.noise * noise) / level.signal


def noise_from_x0(x: mx.array, x0: mx.array, level: Level) -> mx.array:
    """The noise in latents `x` at `level` whose x0 is known."""
    return (x - level.signal * x0) / level.noise
