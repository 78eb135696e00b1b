"""The contract of schedulers, for every sampler."""

from __future__ import annotations

from collections.abc import Mapping

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.schedulers import SAMPLERS, NoiseConfig, Predict, Scheduler, sampler

from .samplers import FLOW, NOISE, follow, made, normal

TWO_CALLS = ("heun", "heun-discrete", "kdpm2-ancestral")
# These clip x0 to [-1, 1] unless the config says otherwise.
CLIPPING = ("ddim", "ddpm")


def predict(x: mx.array, time: float) -> mx.array:
    return mx.tanh(x + time) - 0.3 * x


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_schedule_runs_from_noise_to_x0(name, steps):
    scheduler = made(name, steps)
    sigmas = scheduler.sigmas
    times = scheduler.times
    assert scheduler.steps == steps
    assert sigmas.shape == (steps + 1,)
    assert times.shape == (steps,)
    assert sigmas.dtype == times.dtype == np.float64
    assert sigmas.tolist() == [level.noise for level in scheduler.levels]
    assert scheduler.state() == {}
    assert scheduler.begin(mx.ones((2,))).shape == (2,)
    assert (np.diff(sigmas) <= 0).all()
    assert 0 <= sigmas[-1]
    assert 0.01 < sigmas[0] <= 1
    assert (np.diff(times) < 0).all()
    assert 0 <= times[-1]
    assert times[0] <= 1


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 5])
def test_noised_mixes_x0_and_noise_at_the_level_of_each_step(name, steps):
    scheduler = made(name, steps)
    x0 = normal(1)
    noise = normal(2)
    for i in range(steps + 1):
        sigma = scheduler.sigmas[i]
        signal = 1 - sigma if name in FLOW else np.sqrt(1 - sigma**2)
        expected = signal * np.array(x0, np.float64) + sigma * np.array(noise, np.float64)
        assert np.abs(np.array(scheduler.noised(x0, noise, i)) - expected).max() < 1e-6
    if scheduler.sigmas[-1] == 0:
        assert mx.array_equal(scheduler.noised(x0, noise, steps), x0)


def x0_of(prediction: str, x: np.ndarray, output: np.ndarray, sigma: float) -> np.ndarray:
    """x0 by its definition, in float64."""
    if prediction == "velocity":
        return x - sigma * output
    signal = np.sqrt(1 - sigma**2)
    if prediction == "epsilon":
        return (x - sigma * output) / signal
    if prediction == "v_prediction":
        return signal * x - sigma * output
    return output


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("clipped", [False, None])
@pytest.mark.parametrize(
    ("name", "prediction"),
    [(name, "velocity") for name in FLOW]
    + [(name, kind) for name in NOISE for kind in ("epsilon", "v_prediction", "sample")],
)
def test_x0_is_what_the_first_call_of_each_step_predicts(name, prediction, clipped, steps):
    if prediction == "velocity":
        scheduler = sampler(name)(steps, 1.5)
    else:
        config = NoiseConfig(prediction_type=prediction, clip_sample=clipped)
        scheduler = sampler(name)(steps, config)
    x = scheduler.begin(normal(0))
    for i in range(steps):
        calls: list[tuple[mx.array, float, mx.array]] = []

        def spy(x: mx.array, time: float, calls=calls) -> mx.array:
            calls.append((x, time, predict(x, time)))
            return calls[-1][-1]

        after, x0 = scheduler.step(spy, x, i)
        first_x, first_time, output = calls[0]
        assert mx.array_equal(first_x, x)
        assert first_time == scheduler.times[i]
        assert x0.dtype == after.dtype == mx.float32
        exact = (np.array(x, np.float64), np.array(output, np.float64), scheduler.sigmas[i])
        expected = x0_of(prediction, *exact)
        if name in CLIPPING and clipped is None:
            expected = expected.clip(-1, 1)
        assert np.abs(np.array(x0) - expected).max() < 2e-6 * max(1, np.abs(expected).max())
        x = after


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_evaluations_are_the_model_calls_of_a_step(name, steps):
    scheduler = made(name, steps)
    times: list[float] = []

    def count(x: mx.array, time: float) -> mx.array:
        times.append(time)
        return predict(x, time)

    x = scheduler.begin(normal(0))
    counts = []
    for i in range(steps):
        before = len(times)
        x, _ = scheduler.step(count, x, i)
        counts.append(len(times) - before)
    expected = [type(scheduler).evaluations] * steps
    if name in TWO_CALLS:
        expected[-1] = 1  # at x0, no model was trained
    if name == "pndm" and steps > 1:
        expected[0] = 2  # its Heun step
    assert counts == expected
    assert SAMPLERS[name].evaluations == (2 if name in TWO_CALLS else 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_interrupted_run_continues_bit_for_bit(name):
    steps = 7
    x = made(name, steps).begin(normal(0))
    scheduler = made(name, steps)
    states: list[tuple[mx.array, dict[str, mx.array]]] = []
    results: list[tuple[mx.array, mx.array]] = []
    for i in range(steps):
        states.append((results[-1][0] if results else x, scheduler.state()))
        results.append(scheduler.step(predict, states[-1][0], i))
    for first, (latents, state) in enumerate(states):
        fresh = made(name, steps)
        fresh.restore(state)
        for i in range(first, steps):
            after, x0 = fresh.step(predict, latents, i)
            assert mx.array_equal(after, results[i][0]), f"latents {i} of a run from {first} on"
            assert mx.array_equal(x0, results[i][1]), f"x0 {i} of a run from {first} on"
            latents = after
        final = fresh.state()
        assert final.keys() == scheduler.state().keys()
        assert all(mx.array_equal(final[key], kept) for key, kept in scheduler.state().items())
    again = follow(scheduler, predict, x)
    assert mx.array_equal(again, results[-1][0]), "a run depends on the one before"


class Kept(Scheduler):
    """Another scheduler, with the first of the latents kept at `given`."""

    def __init__(self, inner: Scheduler, given: mx.array, noise: mx.array):
        self.inner = inner
        self.given = given
        self.noise = noise
        self.times = inner.times
        self.sigmas = inner.sigmas
        self.levels = inner.levels

    def _with_given(self, x: mx.array, given: mx.array) -> mx.array:
        return mx.concatenate([given[:1], x[1:]])

    def begin(self, noise: mx.array) -> mx.array:
        given = self.inner.noised(self.given, self.noise, 0)
        return self._with_given(self.inner.begin(noise), given)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        after, x0 = self.inner.step(predict, x, i)
        given = self.inner.noised(self.given, self.noise, i + 1)
        return self._with_given(after, given), self._with_given(x0, self.given)

    def state(self) -> dict[str, mx.array]:
        return self.inner.state()

    def restore(self, state: Mapping[str, mx.array]) -> None:
        self.inner.restore(state)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_scheduler_can_be_wrapped_to_keep_given_frames(name):
    given = normal(1)
    noise = normal(2)
    plain = made(name, 4)
    wrapped = Kept(made(name, 4), given, noise)
    plain_x = plain.begin(noise)
    x = wrapped.begin(noise)
    for i in range(4):
        plain_x, plain_x0 = plain.step(predict, plain_x, i)
        x, x0 = wrapped.step(predict, x, i)
        assert mx.array_equal(x[0], plain.noised(given, noise, i + 1)[0])
        assert mx.array_equal(x0[0], given[0])
        assert mx.array_equal(x[1:], plain_x[1:])
        assert mx.array_equal(x0[1:], plain_x0[1:])


def test_an_unknown_sampler_is_refused_with_the_names_of_all():
    with pytest.raises(SettingError) as caught:
        sampler("dpm")
    message = str(caught.value)
    assert "`sampler`" in message
    assert "'dpm'" in message
    assert all(name in message for name in SAMPLERS)
    with pytest.raises(SettingError, match=r": euler\.$"):
        sampler("heun", ("euler",))
