"""The fit of TeaCache's constants: what it measures is what the cache goes by."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

import mlxvid
from mlxvid.errors import SettingError
from mlxvid.layers import stack
from mlxvid.model.caching import Tea
from scripts import fit_tea
from scripts.training import scores

SIZE = {"width": 48, "height": 48, "frames": 5}
STEPS = 12


def test_what_is_watched_is_what_the_cache_goes_by(monkeypatch):
    prompt = "a red ball rising"
    (run,) = fit_tea.watched("mini", [prompt], 7, [STEPS], SIZE)
    assert len(run.changes) == STEPS - 1
    asked = []
    distance = Tea.distance

    def heard(tea, change):
        asked.append(change)
        return distance(tea, change)

    monkeypatch.setattr(Tea, "distance", heard)
    settings = {**SIZE, "steps": STEPS, "seed": 7, "cache": "tea", "cache_threshold": 0}
    mlxvid.load("mini").generate(prompt, **settings)
    # The last step is computed without being asked for.
    assert asked == pytest.approx([change.signal for change in run.changes[:-1]])


def test_a_watched_stack_makes_the_same():
    x = mx.array([1.0, 2.0])
    watched = fit_tea.Watched()
    watched.evaluation(0.9)
    with stack.hooked(watched.hook):
        assert mx.array_equal(stack.through(x, lambda: x, lambda x: 3 * x), 3 * x)


def test_the_fit_finds_the_polynomial():
    tea = Tea((3.0, -2.0, 1.5, 0.7, 0.01), 0.1)
    signals = np.linspace(0.05, 0.5, 40)
    changes = [fit_tea.Change(signal, tea.distance(signal)) for signal in signals]
    coefficients, explained = fit_tea.fitted([fit_tea.Watched(changes)])
    assert coefficients == pytest.approx(tea.coefficients)
    assert explained == pytest.approx(1)


def test_prompts_to_fit_with_are_not_those_that_are_scored():
    prompts = fit_tea.drawn_prompts(48)
    held_out = {case.prompt for case in scores.cases(300, 17, 64, 64)}
    assert len(set(prompts)) > 40 and not held_out & set(prompts)


def test_another_model_needs_prompts():
    with pytest.raises(SettingError, match="--prompts"):
        fit_tea.parse(["latte-1"])
