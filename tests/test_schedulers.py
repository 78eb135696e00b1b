"""The samplers on flows whose roads are known."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.schedulers import SAMPLERS, sampler
from mlxvid.schedulers.flow_euler import FlowEuler, flow_sigmas
from mlxvid.schedulers.flow_heun import FlowHeun


def follow(scheduler: FlowEuler, velocity, x: mx.array) -> mx.array:
    for i in range(len(scheduler.sigmas) - 1):
        x = scheduler.step(velocity, x, i)
    return x


def test_sigmas_run_from_noise_to_none():
    assert np.allclose(flow_sigmas(4), [1, 0.75, 0.5, 0.25, 0])
    shifted = flow_sigmas(4, 3.0)  # 3 s / (1 + 2 s)
    assert np.allclose(shifted, [1, 0.9, 0.75, 0.5, 0]) and shifted.dtype == np.float64
    assert flow_sigmas(1, 1.5).tolist() == [1, 0]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_straight_road_is_walked_exactly(name, steps):
    clip, noise = mx.array([[0.5, -2.0]]), mx.array([[1.5, 0.25]])
    scheduler = sampler(name)(steps, 1.5)
    assert mx.allclose(follow(scheduler, lambda x, sigma: noise - clip, noise), clip, atol=1e-6)
    assert mx.allclose(scheduler.clean(noise, noise - clip, 0), clip, atol=1e-6)


def test_heun_is_of_second_order_and_euler_of_first():
    """dx/ds = cos(3 s) x has the solution x(s) = x(0) exp(sin(3 s) / 3); halving the step quarters Heun's error, and halves Euler's."""
    exact = math.exp(-math.sin(3.0) / 3)
    velocity = lambda x, sigma: math.cos(3 * sigma) * x  # noqa: E731
    for cls, low, high in ((FlowEuler, 1.6, 2.5), (FlowHeun, 3.2, 5.0)):
        errors = [abs(follow(cls(steps), velocity, mx.array([1.0])).item() - exact) for steps in (16, 32, 64)]
        assert low < errors[0] / errors[1] < high and low < errors[1] / errors[2] < high, (cls, errors)


def test_heun_asks_twice_a_step_but_once_at_the_end():
    asked = []
    follow(FlowHeun(2), lambda x, sigma: asked.append(sigma) or x, mx.array([1.0]))
    assert asked == [1.0, 0.5, 0.5]  # never at 0, where no model was trained


def test_an_unknown_sampler_is_named_with_those_that_there_are():
    with pytest.raises(SettingError, match=r"^There is no sampler 'dpm' for this model; use one of: euler, heun\.$"):
        sampler("dpm")
    with pytest.raises(SettingError, match=r"use one of: euler\.$"):
        sampler("heun", ("euler",))
