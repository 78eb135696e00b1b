"""What is given with a strength stands still until the schedule comes down to its noise."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.schedulers import FlowEuler, FlowStochastic
from mlxvid.schedulers.given import GivenByStrength

SHAPES = {"tokens": (2, 4, 3), "frames": (2, 4, 2, 1, 3)}
# Of four steps from sigma 1 to 0, the second begins with 0.75 and the last with 0.25.
EDIT = np.array([[0.0, 0.75, 0.3, 1.0]], np.float32)


@pytest.fixture(params=SHAPES)
def shape(request) -> tuple[int, ...]:
    return SHAPES[request.param]


def random(seed: int, shape: tuple[int, ...]) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


def test_each_moves_when_its_time_has_come(shape):
    given = random(2, shape)
    noise = random(1, shape)
    velocity = random(0, shape)
    scheduler = GivenByStrength(FlowEuler(4), given, EDIT)
    x = scheduler.begin(noise)
    assert mx.array_equal(x[:, 0], given[:, 0])
    assert mx.allclose(x[:, 1], 0.25 * given[:, 1] + 0.75 * noise[:, 1], atol=1e-6)
    assert mx.array_equal(x[:, 3], noise[:, 3])
    moved = []
    for i in range(4):
        after, x0 = scheduler.step(lambda x, time: velocity, x, i)
        change = mx.where(after == x, 0, after - x)
        moved.append([bool(mx.any(change[:, n])) for n in range(4)])
        moves = mx.array(moved[-1]).reshape(1, 4, *(1,) * (len(shape) - 2))
        assert mx.allclose(after, mx.where(moves, x - 0.25 * velocity, x), atol=1e-6)
        clean = x - scheduler.sigmas[i].item() * velocity
        assert mx.allclose(x0, mx.where(moves, clean, x), atol=1e-6)
        x = after
    assert np.array(moved).sum(axis=0).tolist() == [0, 3, 1, 4]
    assert moved[1] == [False, True, False, True]


def test_what_never_moves_has_new_noise_in_each_step(shape):
    given = random(2, shape)
    seen = []

    def predict(x: mx.array, time: float) -> mx.array:
        seen.append(x)
        return 0.1 * x

    scheduler = GivenByStrength(FlowEuler(4), given, EDIT, lambda i: random(10 + i, shape))
    x = scheduler.begin(random(1, shape))
    for i, sigma in enumerate((1, 0.75, 0.5, 0.25)):
        before = x
        x, _ = scheduler.step(predict, x, i)
        noisy = given + sigma**2 * random(10 + i, shape)
        assert mx.allclose(seen[i][:, 0], noisy[:, 0], atol=1e-6)
        assert mx.array_equal(seen[i][:, 1:], before[:, 1:])
        assert mx.array_equal(x[:, 0], seen[i][:, 0])


def test_another_one_goes_on_bit_for_bit(shape):
    def made() -> GivenByStrength:
        inner = FlowStochastic(4, seed=5)
        return GivenByStrength(inner, random(2, shape), EDIT, lambda i: random(10 + i, shape))

    first = made()
    states = [first.begin(random(1, shape))]
    for i in range(4):
        states.append(first.step(lambda x, time: mx.sin(3 * x) + time, states[-1], i)[0])
    second = made()
    second.restore(first.state())
    x = states[2]
    for i in (2, 3):
        x, _ = second.step(lambda x, time: mx.sin(3 * x) + time, x, i)
        assert mx.array_equal(x, states[i + 1])


def test_with_nothing_given_it_is_the_inner_scheduler(shape):
    free = GivenByStrength(FlowEuler(4), mx.zeros(shape), np.ones((1, 4), np.float32))
    inner = FlowEuler(4)
    x = free.begin(random(1, shape))
    expected = random(1, shape)
    for i in range(4):
        x, _ = free.step(lambda x, time: mx.sin(x), x, i)
        expected, _ = inner.step(lambda x, time: mx.sin(x), expected, i)
        assert mx.array_equal(x, expected)
