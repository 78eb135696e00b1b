"""Frames that are given: they stand still, or follow their trajectory, around every scheduler."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.schedulers import FlowEuler, FlowHeun, Predict, Scheduler, UniPC
from mlxvid.schedulers.given import GivenOnTrajectory, GivenStill, moving

STEPS = 4
SHIFT = 2.0
SHAPE = (1, 4, 2, 2, 3)
INNER = {"euler": FlowEuler, "heun": FlowHeun, "unipc": UniPC}


def random(seed: int, *shape: int) -> mx.array:
    return mx.random.normal(shape or SHAPE, key=mx.random.key(seed))


def straight(x0: mx.array, noise: mx.array) -> Predict:
    """A model that knows the straight trajectory from `noise` to `x0`."""
    return lambda x, time: noise - x0


def curved(x: mx.array, time: float) -> mx.array:
    """A model whose prediction depends on what it is given and when."""
    return mx.sin(3 * x) + time


@pytest.fixture(params=INNER)
def inner(request) -> Scheduler:
    return INNER[request.param](STEPS, SHIFT)


def run(scheduler: Scheduler, predict: Predict, noise: mx.array) -> list[mx.array]:
    """The latents before each step, and after the last."""
    states = [scheduler.begin(noise)]
    for i in range(scheduler.steps):
        x, _ = scheduler.step(predict, states[-1], i)
        states.append(x)
    return states


def equal(a: mx.array, b: mx.array) -> bool:
    return mx.array_equal(a, b)


# --- both ----------------------------------------------------------------------------------------


def wrapped(kind: str, inner: Scheduler) -> Scheduler:
    """`inner` with the first frame given."""
    if kind == "still":
        edit = np.array([[0.0, 1.0, 1.0, 1.0]], np.float32)
        return GivenStill(inner, random(2), edit, lambda i: random(3 + i))
    return GivenOnTrajectory(inner, random(2)[:, :1], mx.ones((1, 1, 1, 1, 1)), random(1))


@pytest.mark.parametrize("kind", ["still", "trajectory"])
def test_the_schedule_is_the_inner_one_s(kind, inner):
    scheduler = wrapped(kind, inner)
    assert scheduler.steps == STEPS
    assert np.array_equal(scheduler.sigmas, inner.sigmas)
    assert np.array_equal(scheduler.times, inner.times)
    x0 = random(0)
    noise = random(1)
    assert equal(scheduler.noised(x0, noise, 2), inner.noised(x0, noise, 2))


@pytest.mark.parametrize("kind", ["still", "trajectory"])
@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("after", [1, 2, 3])
def test_another_one_goes_on_from_its_state_bit_for_bit(kind, name, after):
    first = wrapped(kind, INNER[name](STEPS, SHIFT))
    states = [first.begin(random(1))]
    for i in range(after):
        states.append(first.step(curved, states[-1], i)[0])
    second = wrapped(kind, INNER[name](STEPS, SHIFT))
    second.restore(first.state())
    x = states[-1]
    other = states[-1]
    for i in range(after, STEPS):
        x, _ = first.step(curved, x, i)
        other, _ = second.step(curved, other, i)
        assert equal(x, other)


# --- GivenStill ----------------------------------------------------------------------------------


def test_given_frames_stand_still_until_their_edit_ratio():
    x0 = random(0)
    noise = random(1)
    given = random(2)
    fresh = random(3)
    edit = np.array([[0.0, 0.5, 1.0, 0.3]], np.float32)
    asked = []

    def fresh_noise(i: int) -> mx.array:
        asked.append(i)
        return fresh

    scheduler = GivenStill(FlowEuler(4), given, edit, fresh_noise)
    states = [scheduler.begin(noise)]
    predicted = []
    for i in range(4):
        x, step_x0 = scheduler.step(straight(x0, noise), states[-1], i)
        states.append(x)
        predicted.append(step_x0)
    for frame in (0, 1, 3):
        assert equal(states[0][:, frame], given[:, frame])
    assert equal(states[0][:, 2], noise[:, 2])
    assert all(equal(state[:, 0], given[:, 0]) for state in states)
    assert all(equal(state[:, 1], given[:, 1]) for state in states[:3])
    begun = 0.5 * given[:, 1] + 0.5 * fresh[:, 1]
    assert mx.allclose(states[3][:, 1], begun - 0.25 * (noise - x0)[:, 1], atol=1e-6)
    begun = 0.75 * given[:, 3] + 0.25 * fresh[:, 3]
    assert mx.allclose(states[4][:, 3], begun - 0.25 * (noise - x0)[:, 3], atol=1e-6)
    assert mx.allclose(states[4][:, 2], x0[:, 2], atol=1e-6)
    assert asked == [2, 3]
    # What a preview shows of frames that stand still are they.
    assert mx.allclose(predicted[1][:, 2], x0[:, 2], atol=1e-6)
    assert equal(predicted[1][:, :2], given[:, :2])


def test_frames_that_never_move_are_untouched_and_the_others_reach_x0(inner):
    x0 = random(0)
    noise = random(1)
    given = random(2)
    edit = np.array([[0.0, 1.0, 1.0, 0.0]], np.float32)
    scheduler = GivenStill(inner, given, edit, lambda i: pytest.fail("nothing begins to move"))
    states = run(scheduler, straight(x0, noise), noise)
    for state in states:
        assert equal(state[:, 0], given[:, 0])
        assert equal(state[:, 3], given[:, 3])
    assert mx.allclose(states[-1][:, 1:3], x0[:, 1:3], atol=1e-5)


def test_with_nothing_given_it_is_the_inner_scheduler():
    ones = np.ones(SHAPE[:2], np.float32)
    for kind in INNER.values():
        masked = GivenStill(kind(STEPS, SHIFT), mx.zeros(SHAPE), ones, random)
        expected = run(kind(STEPS, SHIFT), curved, random(1))
        states = run(masked, curved, random(1))
        assert all(equal(a, b) for a, b in zip(states, expected, strict=True))


def test_moving():
    edit = np.array([[0.0, 0.3, 1.0]], np.float32)
    assert moving(edit, 1.0).tolist() == [[False, False, True]]
    assert moving(edit, 0.25).tolist() == [[False, True, True]]
    assert moving(edit, 0.0).all()
    assert moving(mx.array(edit), 0.25).tolist() == [[False, True, True]]


# --- GivenOnTrajectory ---------------------------------------------------------------------------


def test_given_frames_are_as_noisy_as_the_schedule_is(inner):
    noise = random(1)
    given = random(2)[:, :2]
    scheduler = GivenOnTrajectory(inner, given, mx.ones((1, 2, 1, 1, 1)), noise)
    states = run(scheduler, curved, noise)
    for state, sigma in zip(states[1:], inner.sigmas[1:].tolist(), strict=True):
        expected = (1 - sigma) * given + sigma * noise[:, :2]
        assert mx.allclose(state[:, :2], expected, atol=1e-6)
    assert equal(states[-1][:, :2], given)


def test_frames_that_are_not_given_go_their_own_way(inner):
    x0 = random(0)
    noise = random(1)
    given = random(2)[:, :1]
    scheduler = GivenOnTrajectory(inner, given, mx.ones((1, 1, 1, 1, 1)), noise)
    states = run(scheduler, straight(x0, noise), noise)
    assert mx.allclose(states[-1][:, 1:], x0[:, 1:], atol=1e-5)


def test_a_mask_gives_some_positions_of_a_frame():
    noise = random(1)
    given = random(2)[:, :1]
    left = mx.broadcast_to(mx.array([1.0, 0.0])[None, None, None, :, None], (1, 1, 2, 2, 1))
    scheduler = GivenOnTrajectory(FlowEuler(STEPS, SHIFT), given, left, noise)
    states = run(scheduler, curved, noise)
    free = run(FlowEuler(STEPS, SHIFT), curved, noise)
    assert equal(states[-1][:, 0, :, 0], given[:, 0, :, 0])
    assert mx.allclose(states[-1][:, 0, :, 1], free[-1][:, 0, :, 1], atol=1e-6)
    assert equal(states[-1][:, 1:], free[-1][:, 1:])


def test_with_an_empty_mask_it_is_the_inner_scheduler():
    for kind in INNER.values():
        noise = random(1)
        mask = mx.zeros((1, 1, 1, 1, 1))
        masked = GivenOnTrajectory(kind(STEPS, SHIFT), random(2)[:, :1], mask, noise)
        states = run(masked, curved, noise)
        expected = run(kind(STEPS, SHIFT), curved, noise)
        assert all(equal(a, b) for a, b in zip(states, expected, strict=True))
