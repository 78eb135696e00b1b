"""The noise schedules of diffusion models, and samplers on models whose predictions are known."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.folder import from_json
from mlxvid.schedulers import (
    DDPM,
    SAMPLERS,
    EulerAncestral,
    KDPM2Ancestral,
    NoiseConfig,
    Predict,
    sampler,
)
from mlxvid.schedulers.denoising import AncestralScheduler
from mlxvid.schedulers.noise import NoiseScheduler

from .samplers import CONFIG, NOISE, STOCHASTIC, follow

DETERMINISTIC = tuple(name for name in NOISE if name not in STOCHASTIC)
# PNDM combines the outputs of several steps, and Heun calls the model at two levels: the noise is
# the same there, v is not.
SEVERAL_LEVELS = ("pndm", "heun-discrete")


def made(name: str, steps: int, config: NoiseConfig, seed: int = 0) -> NoiseScheduler:
    kind = SAMPLERS[name]
    assert issubclass(kind, NoiseScheduler)
    return kind(steps, config, seed)


def constant(output: mx.array) -> Predict:
    return lambda x, time: output


@pytest.mark.parametrize(
    ("name", "prediction"),
    [(name, "epsilon") for name in DETERMINISTIC]
    + [(name, "v_prediction") for name in DETERMINISTIC if name not in SEVERAL_LEVELS],
)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_known_noise_is_removed_exactly(name, prediction, steps):
    x0 = mx.array([[0.5, -2.0]])
    noise = mx.array([[1.5, 0.25]])
    config = NoiseConfig(clip_sample=False, set_alpha_to_one=True, prediction_type=prediction)
    scheduler = made(name, steps, config)
    x = scheduler.noised(x0, noise, 0)
    for i, level in enumerate(scheduler.starts):
        assert mx.allclose(x, scheduler.noised(x0, noise, i), atol=1e-4)
        v = level.signal * noise - level.noise * x0
        x, predicted = scheduler.step(constant(noise if prediction == "epsilon" else v), x, i)
        assert mx.allclose(predicted, x0, atol=1e-4)
    assert mx.allclose(x, scheduler.noised(x0, noise, steps), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in NOISE if name != "pndm"])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_known_x0_is_reached_whatever_noise_is_added(name, steps):
    """But for PNDM, which combines predictions of x0 as if they were noises."""
    x0 = mx.array([[0.5, -2.0]])
    scheduler = made(name, steps, NoiseConfig(clip_sample=False, prediction_type="sample"), 3)
    x = follow(scheduler, constant(x0), scheduler.begin(mx.array([[1.5, 0.25]])))
    assert mx.allclose(x, x0, atol=1e-3 + 3 * scheduler.ends[-1].noise)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_fresh_noise_is_normal_and_depends_on_seed_and_step_alone(name):
    x = mx.random.normal((200, 200), key=mx.random.key(4))
    fresh = {}
    for seed, steps in ((4, 7), (5, 7), (4, 20)):
        scheduler = made(name, steps, CONFIG, seed)
        assert isinstance(scheduler, AncestralScheduler)
        fresh[seed, steps] = [scheduler.fresh_noise(x, i) for i in range(7)]
    assert all(mx.array_equal(a, b) for a, b in zip(fresh[4, 7], fresh[4, 20], strict=True))
    drawn = np.array([x, *fresh[4, 7], *fresh[5, 7]]).reshape(15, -1)
    assert drawn.dtype == np.float32
    assert np.abs(np.cov(drawn) - np.eye(15)).max() < 0.05


@pytest.mark.parametrize("kind", [DDPM, EulerAncestral, KDPM2Ancestral])
def test_fresh_noise_is_float32_for_any_latents(kind):
    half = mx.array([[1.0]]).astype(mx.bfloat16)
    assert kind(7, CONFIG).fresh_noise(half, 0).dtype == mx.float32


@pytest.mark.parametrize("name", STOCHASTIC)
def test_the_seed_of_fresh_noise_matters(name):
    x = mx.random.normal((200, 200), key=mx.random.key(4))
    first, again, other = (
        follow(made(name, 7, CONFIG, seed), lambda x, time: mx.tanh(x), x) for seed in (4, 4, 5)
    )
    assert mx.array_equal(first, again)
    assert not mx.allclose(first, other, atol=0.1)


def test_ddpm_refuses_a_variance_that_it_does_not_know():
    for known in (None, "fixed_small", "learned_range"):
        assert sampler("ddpm")(3, NoiseConfig(variance_type=known)).steps == 3
    with pytest.raises(SettingError, match="variance_type 'fixed_large'.*`sampler`"):
        sampler("ddpm")(3, NoiseConfig(variance_type="fixed_large"))


@pytest.mark.parametrize(
    ("name", "steps", "config"),
    [
        ("ddim", 1001, {}),
        ("dpm++", 1000, {}),
        ("pndm", 11, {"num_train_timesteps": 10}),
        ("ddim", 1000, {"steps_offset": 1}),
        ("euler-discrete", 1001, {"timestep_spacing": "trailing"}),
    ],
)
def test_more_steps_than_the_model_has_timesteps_are_refused(name, steps, config):
    with pytest.raises(SettingError, match=f" {steps} steps .*`steps`"):
        sampler(name)(steps, NoiseConfig(**config))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (
            {"beta_schedule": "squaredcos_cap_v2"},
            "beta_schedule 'squaredcos_cap_v2' is none of: linear, scaled_linear",
        ),
        (
            {"prediction_type": "flow_prediction"},
            "prediction_type 'flow_prediction' is none of: epsilon, v_prediction, sample",
        ),
        (
            {"timestep_spacing": "even"},
            "timestep_spacing 'even' is none of: None, leading, linspace, trailing",
        ),
        ({"solver_order": 3}, "solver_order 3 is none of: 2"),
        ({"solver_type": "heun"}, "solver_type 'heun' is none of: None, midpoint, logrho, bh2"),
        (
            {"algorithm_type": "sde-dpmsolver++"},
            "algorithm_type 'sde-dpmsolver++' is none of: None, dpmsolver++, deis",
        ),
        ({"predict_x0": False}, "predict_x0 False is none of: True"),
        ({"final_sigmas_type": "one"}, "final_sigmas_type 'one' is none of: zero, sigma_min"),
        ({"thresholding": True}, "thresholding is not known here"),
        ({"use_beta_sigmas": True}, "use_beta_sigmas is not known here"),
        ({"num_train_timesteps": 0}, "num_train_timesteps is 0"),
        ({"beta_start": "0.1"}, "beta_start"),
        ({"trained_betas": [0.1] * 999}, "999 trained_betas for 1000 timesteps"),
        ({"beta_end": 1.5}, "betas are not between 0 and 1"),
        ({"trained_betas": [float("nan")] * 1000}, "betas are not between 0 and 1"),
    ],
)
def test_a_noise_schedule_that_no_sampler_can_follow_is_refused(values, what):
    with pytest.raises(WeightsError) as caught:
        from_json(NoiseConfig, values, Path("scheduler_config.json"))
    message = str(caught.value)
    assert "scheduler_config.json" in message
    assert f"({what})" in message
