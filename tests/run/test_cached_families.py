"""Step caches in whole runs of the families: noise in every step, given frames, three passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("diffusers")
from mlxvid.model.caching import Tea  # noqa: E402

from .unchanged_clips import CASES, PROMPT, Models  # noqa: E402

TEA = Tea((1.0, 0.0), 0.1)  # the change itself
STEPS = 12
RUNS = ("latte-euler-ancestral", "opensora-given", "cogvideox-1.5-i2v", "ltx-guided")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return Models(tmp_path_factory.mktemp("cached"))


@pytest.mark.parametrize(
    ("kind", "case"), [*(("tea", case) for case in RUNS), ("easy", "opensora-given")]
)
def test_a_run_with_a_cache(models, kind, case):
    pipe = models.loaded(case)
    card = pipe.model.card
    family = replace(card.family, tea=lambda card: TEA)
    defaults = replace(card.defaults, steps=STEPS)
    pipe.model.card = replace(card, family=family, defaults=defaults)
    settings = {**CASES[case][1], "steps": STEPS, "seed": 7}
    whole = pipe.generate(PROMPT, **settings)
    none = pipe.generate(PROMPT, **settings, cache=kind, cache_threshold=0)
    assert np.array_equal(none.frames, whole.frames)
    assert none.settings["skipped"] == [0, STEPS]
    some = pipe.generate(PROMPT, **settings, cache=kind, cache_threshold=10)
    skipped, of = some.settings["skipped"]
    assert of == STEPS and of / 2 <= skipped <= of - 2
    assert some.frames.std() > 5 and not np.array_equal(some.frames, whole.frames)
