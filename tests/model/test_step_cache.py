"""Step caches: which evaluations they leave out, and what stands in their place."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers import stack
from mlxvid.model.caching import Tea
from mlxvid.model.step_cache import CALLS, SKIPPED, EasyCache, TeaCache

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


# --- TeaCache ------------------------------------------------------------------------------------

TEA = Tea((2.0, -0.5, 1.5, 0.01), 0.2)


def tea_reference(signals: list[np.ndarray], threshold: float) -> list[int]:
    """The calls that are computed by the authors' rule: the first, the last, and those at which
    the polynomial's sum has come to the threshold.
    """
    computed = []
    error = 0.0
    for number, signal in enumerate(signals):
        full = number in (0, len(signals) - 1)
        if not full:
            before = signals[number - 1]
            share = np.abs(signal - before).mean() / np.abs(before).mean()
            error += float(np.poly1d(TEA.coefficients)(share))
            full = error >= threshold
        if full:
            error = 0.0
            computed.append(number)
    return computed


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.6, 100.0])
@pytest.mark.parametrize("together", [True, False])
def test_tea_cache_is_the_authors_rule(threshold, together):
    xs = inputs()
    memory: dict[str, mx.array] = {}
    cache = TeaCache(memory, threshold, lambda time: "one", TEA.distance)
    computed: list[int] = []
    added = {}
    for number, x in enumerate(mx.array(x) for x in xs):

        def stacked(x, slope, number=number):
            def blocks(x):
                computed.append(number)
                added[slope] = mx.tanh(slope * x)
                return x + added[slope]

            return stack.through(x, lambda: 2 * x, blocks)

        def evaluate(x=x):
            if together:
                return {"prompt": stacked(x, 1.5)}
            return {"prompt": stacked(x, 1.5), "negative": stacked(x, -0.7)}

        names = ["prompt"] if together else ["prompt", "negative"]
        made = cache(x, 0.5, names, evaluate, number in (0, STEPS - 1))
        for name, slope in zip(names, (1.5, -0.7), strict=False):
            assert np.allclose(made[name], x + added[slope], atol=1e-6)
    wanted = tea_reference([2 * x for x in xs], threshold)
    assert sorted(set(computed)) == wanted
    assert len(computed) == len(wanted) * (1 if together else 2)
    assert int(memory[SKIPPED]) == STEPS - len(wanted)
    assert threshold or len(wanted) == STEPS


def test_tea_cache_of_other_passes_begins_anew():
    memory: dict[str, mx.array] = {}
    cache = TeaCache(memory, 1e9, lambda time: "one", TEA.distance)
    x = mx.array(inputs()[0])

    def made(*names):
        before = int(memory[SKIPPED]) if memory else 0
        evaluate = lambda: {name: stack.through(x, lambda: x, lambda y: y + 1) for name in names}  # noqa: E731
        cache(x, 0.5, names, evaluate, False)
        return int(memory[SKIPPED]) - before

    assert [made("prompt"), made("prompt")] == [0, 1]
    assert [made("prompt", "negative"), made("prompt", "negative")] == [0, 1]
    assert sum(name.startswith("cache.residual") for name in memory) == 2
