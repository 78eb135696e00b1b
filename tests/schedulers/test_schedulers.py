"""The samplers on flows whose roads are known."""

from __future__ import annotations

import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.folder import from_json
from mlxvid.schedulers import SAMPLERS, NoiseConfig, Scheduler, sampler
from mlxvid.schedulers.flow_euler import FlowEuler, flow_sigmas, trained_sigmas
from mlxvid.schedulers.flow_heun import FlowHeun
from mlxvid.schedulers.unipc import UniPC

FLOW = ("euler", "heun", "unipc")
NOISE = tuple(name for name in SAMPLERS if name not in FLOW)
STOCHASTIC = ("ddpm", "euler-ancestral", "kdpm2-ancestral")
CONFIG = NoiseConfig(clip_sample=False)


def made(name: str, steps: int) -> Scheduler:
    return sampler(name)(steps, 1.5 if name in FLOW else CONFIG)


def follow(scheduler: Scheduler, model, x: mx.array, first: int = 0) -> mx.array:
    for i in range(first, len(scheduler.times)):
        x = scheduler.step(model, x, i)
    return x


def test_sigmas_run_from_noise_to_none():
    assert np.allclose(flow_sigmas(4), [1, 0.75, 0.5, 0.25, 0])
    shifted = flow_sigmas(4, 3.0)  # 3 s / (1 + 2 s)
    assert np.allclose(shifted, [1, 0.9, 0.75, 0.5, 0]) and shifted.dtype == np.float64
    assert flow_sigmas(1, 1.5).tolist() == trained_sigmas(1, 1.5).tolist() == [1, 0]
    assert np.allclose(trained_sigmas(3), [1, 0.5005, 0.001, 0])


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_what_every_sampler_offers(name, steps):
    scheduler = made(name, steps)
    assert scheduler.sigmas.shape == (steps + 1,) and scheduler.times.shape == (steps,)
    assert scheduler.sigmas.dtype == scheduler.times.dtype == np.float64
    assert scheduler.state() == {} and scheduler.begin(mx.ones((2,))).shape == (2,)
    assert (
        (np.diff(scheduler.sigmas) <= 0).all()
        and 0 <= scheduler.sigmas[-1]
        and 0.01 < scheduler.sigmas[0] <= 1
    )
    assert (
        (np.diff(scheduler.times) < 0).all()
        and 0 <= scheduler.times[-1]
        and scheduler.times[0] <= 1
    )


@pytest.mark.parametrize("name", FLOW)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_straight_road_is_walked_exactly(name, steps):
    clip, noise = mx.array([[0.5, -2.0]]), mx.array([[1.5, 0.25]])
    scheduler = made(name, steps)
    assert mx.allclose(follow(scheduler, lambda x, time: noise - clip, noise), clip, atol=3e-6)
    assert mx.allclose(scheduler.clean(noise, noise - clip, 0), clip, atol=3e-6)


@pytest.mark.parametrize(
    ("name", "prediction"),
    # PNDM combines the outputs of several steps, and Heun calls the model at two levels: noise is
    # the same there, v is not.
    [(name, "epsilon") for name in NOISE if name not in STOCHASTIC]
    + [
        (name, "v_prediction")
        for name in NOISE
        if name not in (*STOCHASTIC, "pndm", "heun-discrete")
    ],
)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_known_noise_is_taken_out_exactly(name, prediction, steps):
    clip, noise = mx.array([[0.5, -2.0]]), mx.array([[1.5, 0.25]])
    scheduler = sampler(name)(
        steps, NoiseConfig(clip_sample=False, set_alpha_to_one=True, prediction_type=prediction)
    )
    x = scheduler.here[0].signal * clip + scheduler.here[0].noise * noise
    for i, level in enumerate(scheduler.here):
        output = noise if prediction == "epsilon" else level.signal * noise - level.noise * clip
        assert mx.allclose(scheduler.clean(x, output, i), clip, atol=1e-4)
        x = scheduler.step(lambda x, time, output=output: output, x, i)
    end = scheduler.there[-1]
    assert mx.allclose(x, end.signal * clip + end.noise * noise, atol=1e-4)


@pytest.mark.parametrize(
    "name", [name for name in NOISE if name != "pndm"]
)  # which combines clips as if they were noises
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_known_clip_is_come_to_whatever_is_added_underway(name, steps):
    clip = mx.array([[0.5, -2.0]])
    scheduler = sampler(name)(steps, NoiseConfig(clip_sample=False, prediction_type="sample"), 3)
    x = follow(scheduler, lambda x, time: clip, scheduler.begin(mx.array([[1.5, 0.25]])))
    assert mx.allclose(x, clip, atol=1e-3 + 3 * scheduler.there[-1].noise)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_what_is_added_is_normal_and_of_the_seed_and_the_step_alone(name):
    x, made_of = mx.random.normal((200, 200), key=mx.random.key(4)), {}
    for seed, steps in ((4, 7), (5, 7), (4, 20)):
        scheduler = sampler(name)(steps, CONFIG, seed)
        made_of[seed, steps] = [scheduler.drawn(x, i) for i in range(7)]
    assert all(mx.array_equal(a, b) for a, b in zip(made_of[4, 7], made_of[4, 20], strict=True))
    drawn = np.array([x, *made_of[4, 7], *made_of[5, 7]]).reshape(15, -1)
    assert drawn.dtype == np.float32 and np.abs(np.cov(drawn) - np.eye(15)).max() < 0.05
    half = mx.array([[1.0]]).astype(mx.bfloat16)
    assert scheduler.drawn(half, 0).dtype == mx.float32
    ends = [
        follow(sampler(name)(7, CONFIG, seed), lambda x, time: mx.tanh(x), x) for seed in (4, 4, 5)
    ]
    assert mx.array_equal(ends[0], ends[1]) and not mx.allclose(ends[0], ends[2], atol=0.1)


def test_the_variance_that_ddpm_does_not_know():
    for known in (None, "fixed_small", "learned_range"):
        assert sampler("ddpm")(3, NoiseConfig(variance_type=known)).times.shape == (3,)
    with pytest.raises(SettingError) as caught:
        sampler("ddpm")(3, NoiseConfig(variance_type="fixed_large"))
    assert (
        str(caught.value)
        == "The ddpm sampler does not know this model's variance_type 'fixed_large'; take another sampler."
    )


def test_euler_is_of_first_order_and_heun_and_unipc_of_higher():
    """dx/ds = cos(3 s) x has the solution x(s) = x(0) exp(sin(3 s) / 3); halving the step halves
    Euler's error, and quarters Heun's.
    """
    exact = math.exp(-math.sin(3.0) / 3)
    velocity = lambda x, sigma: math.cos(3 * sigma) * x  # noqa: E731
    for cls, low, high in ((FlowEuler, 1.6, 2.5), (FlowHeun, 3.2, 5.0), (UniPC, 6.0, 15.0)):
        errors = []
        for steps in (16, 32, 64):
            scheduler = cls(steps)
            scheduler.times = scheduler.sigmas[
                :-1
            ]  # UniPC's whole timesteps are not quite where its latents are
            errors.append(abs(follow(scheduler, velocity, mx.array([1.0])).item() - exact))
        assert low < errors[0] / errors[1] < high and low < errors[1] / errors[2] < high, (
            cls,
            errors,
        )


def test_unipc_calls_the_model_at_whole_timesteps():
    scheduler = UniPC(5, 3.0)
    assert np.allclose(scheduler.times * 1000, [999, 923, 818, 667, 429])
    asked = []
    follow(scheduler, lambda x, time: asked.append(time) or x, mx.array([1.0]))
    assert asked == scheduler.times.tolist()


def test_heun_asks_twice_a_step_but_once_at_the_end():
    asked = []
    follow(FlowHeun(2), lambda x, sigma: asked.append(sigma) or x, mx.array([1.0]))
    assert asked == [1.0, 0.5, 0.5]  # never at 0, where no model was trained


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_interrupted_run_goes_on_bit_for_bit(name):
    model = lambda x, time: mx.tanh(x + time) - 0.3 * x  # noqa: E731
    x, states = made(name, 7).begin(mx.random.normal((2, 3), key=mx.random.key(0))), []
    unbroken, scheduler = x, made(name, 7)
    for i in range(7):
        states.append((unbroken, scheduler.state()))
        unbroken = scheduler.step(model, unbroken, i)
    for i, (latents, state) in enumerate(states):
        fresh = made(name, 7)
        fresh.restore(state)
        assert mx.array_equal(follow(fresh, model, latents, i), unbroken), f"resumed at step {i}"
    assert mx.array_equal(follow(scheduler, model, x), unbroken), (
        "what an earlier run left behind is seen"
    )


def test_an_unknown_sampler_is_named_with_those_that_there_are():
    names = (
        "euler, heun, unipc, ddim, ddpm, pndm, euler-discrete, euler-ancestral, heun-discrete, kdpm2-ancestral, dpm++, dpm++-single, "
        "deis, unipc-discrete"
    )
    with pytest.raises(SettingError) as caught:
        sampler("dpm")
    assert str(caught.value) == f"There is no sampler 'dpm' for this model; use one of: {names}."
    with pytest.raises(SettingError, match=r"use one of: euler\.$"):
        sampler("heun", ("euler",))


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
def test_more_steps_than_the_model_has_timesteps(name, steps, config):
    with pytest.raises(SettingError) as caught:
        sampler(name)(steps, NoiseConfig(**config))
    assert (
        str(caught.value) == f"This sampler can't take {steps} steps with this model; take fewer."
    )


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
def test_a_noise_schedule_that_can_not_be_followed(values, what):
    with pytest.raises(WeightsError) as caught:
        from_json(NoiseConfig, values, Path("scheduler_config.json"))
    sentence = f"scheduler_config.json does not describe a model that mlxvid can make ({what}); download or convert the model again."
    assert str(caught.value) == sentence
