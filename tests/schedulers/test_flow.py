"""The samplers of rectified flows, on flows whose solutions are known."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.schedulers import (
    FlowEuler,
    FlowHeun,
    FlowStochastic,
    UniPC,
    flow_sigmas,
    trained_sigmas,
)

from .samplers import FLOW, RENOISED, follow, made


def test_sigmas_run_from_1_to_0():
    assert np.allclose(flow_sigmas(4), [1, 0.75, 0.5, 0.25, 0])
    shifted = flow_sigmas(4, 3.0)  # 3 s / (1 + 2 s)
    assert np.allclose(shifted, [1, 0.9, 0.75, 0.5, 0])
    assert shifted.dtype == np.float64
    assert flow_sigmas(1, 1.5).tolist() == trained_sigmas(1, 1.5).tolist() == [1, 0]
    assert np.allclose(trained_sigmas(3), [1, 0.5005, 0.001, 0])


@pytest.mark.parametrize("name", [name for name in FLOW if name not in RENOISED])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_straight_flow_is_solved_exactly(name, steps):
    x0 = mx.array([[0.5, -2.0]])
    noise = mx.array([[1.5, 0.25]])
    scheduler = made(name, steps)
    x = noise
    for i in range(steps):
        assert mx.allclose(x, scheduler.noised(x0, noise, i), atol=3e-6)
        x, predicted = scheduler.step(lambda x, time: noise - x0, x, i)
        assert mx.allclose(predicted, x0, atol=3e-6)
    assert mx.allclose(x, x0, atol=3e-6)


def test_euler_is_of_first_order_and_heun_and_unipc_of_higher():
    """dx/ds = cos(3 s) x has the solution x(s) = x(0) exp(sin(3 s) / 3).

    Halving the step halves Euler's error and quarters Heun's.
    """
    exact = math.exp(-math.sin(3.0) / 3)

    def velocity(x: mx.array, sigma: float) -> mx.array:
        return math.cos(3 * sigma) * x

    for kind, low, high in ((FlowEuler, 1.6, 2.5), (FlowHeun, 3.2, 5.0), (UniPC, 6.0, 15.0)):
        errors = []
        for steps in (16, 32, 64):
            scheduler = kind(steps)
            # UniPC's whole timesteps are not quite where its latents are.
            scheduler.times = scheduler.sigmas[:-1]
            errors.append(abs(follow(scheduler, velocity, mx.array([1.0])).item() - exact))
        assert low < errors[0] / errors[1] < high, (kind, errors)
        assert low < errors[1] / errors[2] < high, (kind, errors)


def called(scheduler) -> list[float]:
    """The times at which a scheduler calls the model."""
    times = []

    def predict(x: mx.array, time: float) -> mx.array:
        times.append(time)
        return x

    follow(scheduler, predict, mx.array([1.0]))
    return times


def test_unipc_calls_the_model_at_whole_timesteps():
    scheduler = UniPC(5, 3.0)
    assert np.allclose(scheduler.times * 1000, [999, 923, 818, 667, 429])
    assert called(scheduler) == scheduler.times.tolist()


def test_heun_calls_the_model_at_both_ends_of_a_step_but_never_at_0():
    assert called(FlowHeun(2)) == [1.0, 0.5, 0.5]


def test_the_stochastic_method_reaches_a_known_x0_whatever_noise_it_adds():
    x0 = mx.array([[0.5, -2.0]])

    def velocity(x: mx.array, time: float) -> mx.array:
        return (x - x0) / time

    x = follow(FlowStochastic(7, 1.5, seed=3), velocity, mx.array([[1.5, 0.25]]))
    assert mx.allclose(x, x0, atol=1e-6)


def test_the_stochastic_method_replaces_all_of_the_noise():
    x0 = mx.zeros((300, 300))
    x = mx.random.normal(x0.shape, key=mx.random.key(4))
    states = {}
    for seed in (4, 5):
        scheduler = FlowStochastic(4, seed=seed)
        y = x
        for i in range(3):
            y, predicted = scheduler.step(lambda y, time: y / time, y, i)
            assert mx.allclose(predicted, x0, atol=1e-6)
            states[seed, i] = y / scheduler.sigmas[i + 1].item()
    drawn = np.array([x, *states.values()]).reshape(7, -1)
    assert np.abs(np.cov(drawn) - np.eye(7)).max() < 0.05
