"""The samplers of distilled models, against their authors' formulas in NumPy."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.schedulers import FlowEven, FlowRenoised, sampler

TIMESTEPS = (1000, 757, 522)


def velocity(x, time: float):
    """Something that depends on latents and time, in NumPy and in MLX alike."""
    return x * (0.3 + time) + 0.1


def training_table(shift: float) -> tuple[np.ndarray, np.ndarray]:
    """The thousand sigmas of the reference's scheduler, from noise on, and their timesteps."""
    even = np.linspace(1, 1000, 1000)[::-1] / 1000
    sigmas = shift * even / (1 + (shift - 1) * even)
    return sigmas, sigmas * 1000


@pytest.mark.parametrize("shift", [8.0, 5.0, 1.0])
def test_renoising_is_the_references(shift):
    ours = FlowRenoised(3, shift, seed=5, timesteps=TIMESTEPS)
    noise = mx.random.normal((1, 2, 3, 4, 5), key=mx.random.key(1))
    sigmas, timesteps = training_table(shift)

    def sigma_of(timestep: int) -> float:
        return sigmas[np.argmin(np.abs(timesteps - timestep))]

    theirs = np.array(noise, np.float64)
    x = noise
    for i, timestep in enumerate(TIMESTEPS):
        x, predicted = ours.step(velocity, x, i)
        theirs = theirs - sigma_of(timestep) * velocity(theirs, timestep / 1000)
        assert np.allclose(predicted, theirs, atol=1e-5)
        if i + 1 < len(TIMESTEPS):
            sigma = sigma_of(TIMESTEPS[i + 1])
            fresh = np.array(ours.fresh_noise(noise, i))
            theirs = (1 - sigma) * theirs + sigma * fresh
        assert np.allclose(x, theirs, atol=1e-5)
    assert mx.array_equal(x, predicted)


def test_the_sigmas_of_the_released_steps():
    scheduler = FlowRenoised(3, 8.0, timesteps=TIMESTEPS)
    assert scheduler.times.tolist() == [1.0, 0.757, 0.522]
    # 8 s / (1 + 7 s) at 1, 0.28 and 0.12
    assert np.allclose(scheduler.sigmas, [1, 2.24 / 2.96, 0.96 / 1.84, 0], atol=1e-12)


def test_each_step_draws_noise_of_its_own_from_the_seed():
    like = mx.zeros((2, 3))
    drawn = [FlowRenoised(3, 8.0, seed).fresh_noise(like, i) for seed in (1, 2) for i in (0, 1)]
    for i, one in enumerate(drawn):
        assert not any(mx.allclose(one, other) for other in drawn[:i])
    assert mx.array_equal(FlowRenoised(3, 8.0, 2).fresh_noise(like, 1), drawn[-1])


def test_other_steps_than_there_are_timesteps_are_a_mistake():
    with pytest.raises(ValueError, match="3 timesteps for 4 steps"):
        FlowRenoised(4, 8.0, timesteps=TIMESTEPS)


def test_even_steps_are_those_of_the_distilled_list():
    """[1000, 750, 500, 250] of a thousand sigmas from 1 on, shifted by 5."""
    table = np.linspace(1, 0, 1001)[:-1]
    shifted = 5 * table / (1 + 4 * table)
    wanted = shifted[[1000 - step for step in (1000, 750, 500, 250)]]
    scheduler = sampler("euler-even")(4, 5.0)
    assert isinstance(scheduler, FlowEven)
    assert np.allclose(scheduler.sigmas, [*wanted, 0], atol=1e-12)
    assert np.allclose(scheduler.times, wanted, atol=1e-12)
    x = noise = mx.random.normal((2, 3), key=mx.random.key(1))
    theirs = np.array(noise, np.float64)
    for i in range(4):
        x, _ = scheduler.step(velocity, x, i)
        step = scheduler.sigmas[i] - scheduler.sigmas[i + 1]
        theirs = theirs - step * velocity(theirs, wanted[i])
    assert np.allclose(x, theirs, atol=1e-5)
