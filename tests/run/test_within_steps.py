"""Within a step: evaluations that are bounded in every family, progress, time to go, and cancel."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("diffusers")
from mlxvid import progress  # noqa: E402
from mlxvid.errors import CancelledError  # noqa: E402
from mlxvid.layers import bounds  # noqa: E402
from mlxvid.model.prompt_cache import PromptCache  # noqa: E402
from mlxvid.progress import Progress, Watch  # noqa: E402

from .unchanged_clips import CASES, Models  # noqa: E402

# Operations of an evaluation, by the model's width: some tokens' feed-forward.
SMALL_BOUNDS = {"mini": 2e7, "wan": 1e5, "latte": 1e5, "opensora": 1e5}
FAMILIES = ("mini", "mini-full", "mini-heun", "wan-i2v", "latte", "opensora", "opensora-given")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return Models(tmp_path_factory.mktemp("within"))


@pytest.fixture
def bounded(monkeypatch, case):
    """Evaluations so small that every block of the case's network takes several."""
    monkeypatch.setattr(bounds._Bound, "ops", SMALL_BOUNDS[case.split("-")[0]])
    monkeypatch.setattr(bounds, "share", lambda: 1.0)  # only steps: decoding stays as it is
    monkeypatch.setattr(progress, "WITHIN_SECONDS", 0.0)


@pytest.mark.parametrize("case", FAMILIES)
def test_a_clip_in_small_evaluations_is_the_clip(models, bounded, case, monkeypatch):
    seen: list[Progress] = []
    small = models.frames(case, on_progress=seen.append)
    monkeypatch.undo()
    whole = models.frames(case)
    assert np.abs(small.astype(int) - whole).max() <= 1
    inside = [p for p in seen if p.fraction and p.stage == "denoise"]
    total = CASES[case][1]["steps"]
    assert {p.step for p in inside} == set(range(total))
    for step in range(total):
        fractions = [p.fraction for p in inside if p.step == step]
        assert fractions == sorted(fractions)
        # A last step of Heun's is one of Euler's.
        assert fractions[0] <= 0.5 and 0.45 < fractions[-1] < 1
    for p in inside:
        assert p.remaining is not None and p.remaining > 0
        assert p.preview() is None


@pytest.mark.parametrize(
    ("case", "stage"),
    [
        ("mini", "denoise"),
        ("wan-t2v", "encode"),
        ("wan-t2v", "denoise"),
        ("latte", "denoise"),
        ("opensora", "encode"),
        ("opensora", "denoise"),
    ],
)
def test_cancel_is_heard_at_the_next_evaluation(models, bounded, case, stage):
    for pipe in models._loaded.values():
        pipe.model.prompt_cache = PromptCache()  # so that the text encoder is used again
    cancel = threading.Event()
    after: list[Progress] = []

    def on_progress(p: Progress) -> None:
        if cancel.is_set():
            after.append(p)
        if p.fraction and p.stage == stage:
            cancel.set()

    with pytest.raises(CancelledError):
        models.frames(case, on_progress=on_progress, cancel=cancel)
    assert after == []


def told(calls: int, shares: list[float | None]) -> list[Progress]:
    """What a watch tells of a step of `calls` calls in which these shares are heard."""
    seen: list[Progress] = []
    watch = Watch(seen.append, None)
    watch.begin("denoise", 4)
    listen = watch.within(calls)
    for share in shares:
        listen(share)
    return seen[1:]


@pytest.mark.parametrize(
    ("calls", "shares", "fractions"),
    [
        (1, [0.5, 1.0], [0.5, progress.NEARLY]),
        (2, [0.5, 1.0, 0.5, 1.0], [0.25, 0.5, 0.75, progress.NEARLY]),
        (2, [None, 0.4, None, 0.8, None, 0.4], [0.0, 0.2, 0.2, 0.4, 0.4, 0.7]),
        (1, [1.0, 1.0, 1.0], [progress.NEARLY] * 3),  # more calls than were expected
    ],
)
def test_fractions_of_a_step(monkeypatch, calls, shares, fractions):
    monkeypatch.setattr(bounds, "share", lambda: 1.0)  # only steps: decoding stays as it is
    monkeypatch.setattr(progress, "WITHIN_SECONDS", 0.0)
    seen = told(calls, shares)
    assert [p.fraction for p in seen] == pytest.approx(fractions)
    assert {p.step for p in seen} == {0}


def test_reports_within_a_step_keep_their_distance(monkeypatch):
    monkeypatch.setattr(bounds, "share", lambda: 1.0)  # only steps: decoding stays as it is
    monkeypatch.setattr(progress, "WITHIN_SECONDS", 1000.0)
    assert told(1, [0.1, 0.2, 0.9]) == []
