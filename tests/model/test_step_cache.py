"""Step caches: which evaluations they leave out, and what stands in their place."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.model.step_cache import CALLS, SKIPPED, EasyCache

STEPS = 12
SHAPE = (1, 2, 3, 5, 4)


def inputs() -> list[np.ndarray]:
    """Latents on a curved way from noise."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(SHAPE).astype(np.float32)
    end = rng.standard_normal(SHAPE).astype(np.float32)
    shares = np.linspace(0, 1, STEPS, dtype=np.float32) ** 2
    return [noise + share * (end - noise) for share in shares]


def network(x: np.ndarray, slope: float) -> np.ndarray:
    return np.tanh(slope * x) + 0.1 * x**2


def easy_reference(xs: list[np.ndarray], threshold: float, first: int) -> list[np.ndarray]:
    """The method's description, of the prompt's pass and a negative one, in NumPy."""
    made = []
    error = 0.0
    rate = None
    before = computed = outputs = None
    for number, x in enumerate(xs):
        full = number < first or number == len(xs) - 1
        if full:
            error = 0.0
        elif rate is not None:
            error += rate * np.abs(x - before).mean() / np.abs(outputs[0]).mean()
            full = error >= threshold
            error = 0.0 if full else error
        else:
            full = True
        before = x
        if not full:
            made.append([x + (output - computed) for output in outputs])
            continue
        new = [network(x, 1.5), network(x, -0.7)]
        if outputs is not None:
            rate = np.abs(new[0] - outputs[0]).mean() / np.abs(x - computed).mean()
        outputs = new
        computed = x
        made.append(new)
    return made


def run(cache: EasyCache, xs, first: int, names=("negative", "prompt"), calls=None):
    made = []
    for number, x in enumerate(xs):
        x = mx.array(x)

        def evaluate(x=x, number=number):
            if calls is not None:
                calls.append(number)
            outputs = {"prompt": network(np.array(x), 1.5), "negative": network(np.array(x), -0.7)}
            return {name: mx.array(outputs[name]) for name in names}

        full = number < first or number == len(xs) - 1
        made.append(cache(x, 1 - number / len(xs), names, evaluate, full))
    return made


@pytest.mark.parametrize("threshold", [0.3, 0.6, 2.0])
def test_easy_cache_is_the_methods_description(threshold):
    xs = inputs()
    calls: list[int] = []
    memory: dict[str, mx.array] = {}
    made = run(EasyCache(memory, threshold, lambda time: "one"), xs, 3, calls=calls)
    wanted = easy_reference(xs, threshold, 3)
    assert 0 < len(calls) < STEPS
    for outputs, (prompt, negative) in zip(made, wanted, strict=True):
        assert np.abs(np.array(outputs["prompt"]) - prompt).max() < 1e-5
        assert np.abs(np.array(outputs["negative"]) - negative).max() < 1e-5
    assert int(memory[CALLS]) == STEPS
    assert int(memory[SKIPPED]) == STEPS - len(calls)


def test_a_threshold_of_nothing_leaves_nothing_out():
    calls: list[int] = []
    run(EasyCache({}, 0.0, lambda time: "one"), [inputs()[0]] * STEPS, 1, calls=calls)
    assert calls == list(range(STEPS))


def test_what_one_network_made_tells_nothing_of_another():
    calls: list[int] = []
    names = lambda time: "high" if time >= 0.5 else "low"  # noqa: E731
    run(EasyCache({}, 1e9, names), inputs(), 2, calls=calls)
    changed = next(i for i in range(STEPS) if 1 - i / STEPS < 0.5)
    # Two computed ones of each network say how fast its outputs change.
    assert calls == [0, 1, changed, changed + 1, STEPS - 1]


def test_a_pass_that_was_not_computed_is():
    memory: dict[str, mx.array] = {}
    cache = EasyCache(memory, 1e9, lambda time: "one")
    calls: list[int] = []
    xs = inputs()
    run(cache, xs[:6], 2, names=("prompt",), calls=calls)
    assert calls == [0, 1, 5]
    run(cache, xs[6:9], 0, calls=calls)
    assert calls == [0, 1, 5, 0, 2]
