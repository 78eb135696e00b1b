"""LTX-Video's guidance by the formulas of the release, and Diffusers' where it has them."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.ltx.guidance import guided
from mlxvid.models.ltx.recipes import RECIPES, Strengths
from mlxvid.models.ltx.schedules import linear_quadratic, sigmas_of

from .twins import random

SHAPE = (2, 6, 5)
PROMPT = random(*SHAPE, seed=1)
NEGATIVE = 0.5 * PROMPT + random(*SHAPE, seed=2)
PERTURBED = 0.7 * PROMPT + random(*SHAPE, seed=3)
# configs/ltxv-13b-0.9.8-dev.yaml of the original repository: the first pass.
TIMES = (1.0, 0.996, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180)
SCALES = (1, 1, 6, 8, 6, 1, 1)
STG = (0, 0, 4, 4, 4, 2, 1)
BLOCKS = ((), (11, 25, 35, 39), (22, 35, 39), (28,), (28,), (28,), (28,))
DEV = RECIPES["0.9.8-13b-dev"].first


def ours(strengths: Strengths, *passes: np.ndarray | None, star: bool = False) -> np.ndarray:
    given = [None if velocity is None else mx.array(velocity) for velocity in passes]
    return np.array(guided(strengths, *given, star=star))


def rescaled(velocity: np.ndarray, share: float) -> np.ndarray:
    """As the release has it, row by row."""
    rows = []
    for row, prompt in zip(velocity, PROMPT, strict=True):
        factor = prompt.std(ddof=1) / row.std(ddof=1)
        rows.append(row * (share * factor + 1 - share))
    return np.stack(rows)


def close(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.abs(a - b).max() < 1e-5)


def test_the_prompt_alone_is_itself():
    assert np.array_equal(ours(Strengths(), PROMPT), PROMPT)


def test_classifier_free_guidance():
    expected = NEGATIVE + 3 * (PROMPT - NEGATIVE)
    assert close(ours(Strengths(3.0), PROMPT, NEGATIVE), expected)


def test_star_projects_the_negative_velocity_of_each_row():
    star = ours(Strengths(3.0), PROMPT, NEGATIVE, star=True)
    rows = []
    for prompt, negative in zip(PROMPT, NEGATIVE, strict=True):
        alpha = (prompt * negative).sum() / ((negative**2).sum() + 1e-8)
        rows.append(alpha * negative + 3 * (prompt - alpha * negative))
    assert close(star, np.stack(rows))
    assert not close(star, ours(Strengths(3.0), PROMPT, NEGATIVE))
    # What is left of the prompt's beside the negative is at right angles to it.
    zero = ours(Strengths(0.0), PROMPT, NEGATIVE, star=True)
    assert np.abs(((PROMPT - zero) * NEGATIVE).sum(axis=(1, 2))).max() < 1e-4


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_spatio_temporal_guidance(rescale):
    alone = PROMPT + 1.5 * (PROMPT - PERTURBED)
    both = NEGATIVE + 3 * (PROMPT - NEGATIVE) + 1.5 * (PROMPT - PERTURBED)
    strengths = Strengths(3.0, 1.5, rescale)
    assert close(ours(strengths, PROMPT, None, PERTURBED), rescaled(alone, rescale))
    assert close(ours(strengths, PROMPT, NEGATIVE, PERTURBED), rescaled(both, rescale))


@pytest.mark.parametrize("rescale", [0.3, 1.0])
def test_rescaling_is_diffusers(rescale):
    torch = pytest.importorskip("torch")
    pipeline = pytest.importorskip("diffusers.pipelines.ltx.pipeline_ltx")
    velocity = torch.from_numpy(NEGATIVE + 3 * (PROMPT - NEGATIVE))
    expected = pipeline.rescale_noise_cfg(velocity, torch.from_numpy(PROMPT), rescale)
    assert close(ours(Strengths(3.0, 0.0, rescale), PROMPT, NEGATIVE, PERTURBED), expected.numpy())


def test_latents_with_axes_of_frames_and_space():
    grid = (2, 3, 2, 1, 5)
    passes = (PROMPT, NEGATIVE, PERTURBED)
    strengths = Strengths(3.0, 1.5, 0.7)
    flat = ours(strengths, *passes, star=True)
    gridded = ours(strengths, *(velocity.reshape(grid) for velocity in passes), star=True)
    assert close(gridded, flat.reshape(grid))


def index(time: float) -> int:
    """By the release's words: the first that is not above the time, else the last."""
    below = [i for i, start in enumerate(TIMES) if start <= time]
    return below[0] if below else len(TIMES) - 1


@pytest.mark.parametrize("time", [*TIMES, 0.9999, 0.99, 0.7, 0.6, 0.01, *linear_quadratic(30)])
def test_guidance_by_time(time):
    i = index(time)
    strengths = DEV.guidance.at(time)
    assert (strengths.scale, strengths.stg, DEV.guidance.star) == (SCALES[i], STG[i], True)
    assert strengths.blocks == BLOCKS[i]
    assert strengths.rescale == (0.5 if i in (2, 3) else 0)


def test_the_steps_of_the_13b_recipe():
    """30 steps without the last three: where its guidance begins, peaks and ends."""
    times = sigmas_of(DEV, "linear-quadratic", 1)[:-1]
    assert len(times) == 27 and times[-1] == pytest.approx(0.4458, abs=1e-4)
    steps = [DEV.guidance.at(time) for time in times]
    assert [step.has_negative for step in steps[:3]] == [False, False, False]
    assert max(step.scale for step in steps) == 8
    assert steps[-1] == Strengths(1, 1, 0, (28,))
    assert sum(1 + step.has_negative + step.has_perturbed for step in steps) < 3 * len(steps)


def test_the_passes_that_a_step_needs():
    assert not Strengths().has_negative and not Strengths().has_perturbed
    assert Strengths(1.5).has_negative and not Strengths(1.0).has_negative
    assert Strengths(stg=1.0, blocks=(3,)).has_perturbed
    assert not Strengths(stg=1.0).has_perturbed  # of the same values as the prompt's pass
    assert not Strengths(blocks=(3,)).has_perturbed


def test_without_a_perturbed_pass_the_release_does_not_rescale():
    assert close(
        ours(Strengths(3.0, 0.0, 0.7), PROMPT, NEGATIVE), NEGATIVE + 3 * (PROMPT - NEGATIVE)
    )
