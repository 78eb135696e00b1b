"""LTX-Video's guidance by the formulas of the release, and Diffusers' where it has them."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.ltx.guidance import Guidance, Schedule, guided
from mlxvid.models.ltx.schedules import given, linear_quadratic

from .twins import random

SHAPE = (2, 6, 5)
PROMPT = random(*SHAPE, seed=1)
NEGATIVE = 0.5 * PROMPT + random(*SHAPE, seed=2)
PERTURBED = 0.7 * PROMPT + random(*SHAPE, seed=3)
# configs/ltxv-13b-0.9.8-dev.yaml of the original repository: the first pass.
DEV = Schedule(
    scale=(1, 1, 6, 8, 6, 1, 1),
    stg=(0, 0, 4, 4, 4, 2, 1),
    rescale=(1, 1, 0.5, 0.5, 1, 1, 1),
    blocks=((), (11, 25, 35, 39), (22, 35, 39), (28,), (28,), (28,), (28,)),
    times=(1.0, 0.996, 0.9933, 0.9850, 0.9767, 0.9008, 0.6180),
    star=True,
)


def ours(guidance: Guidance, *passes: np.ndarray | None) -> np.ndarray:
    given = [None if velocity is None else mx.array(velocity) for velocity in passes]
    return np.array(guided(guidance, *given))


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
    assert np.array_equal(ours(Guidance(), PROMPT), PROMPT)


def test_classifier_free_guidance():
    expected = NEGATIVE + 3 * (PROMPT - NEGATIVE)
    assert close(ours(Guidance(3.0), PROMPT, NEGATIVE), expected)


def test_star_projects_the_negative_velocity_of_each_row():
    star = ours(Guidance(3.0, star=True), PROMPT, NEGATIVE)
    rows = []
    for prompt, negative in zip(PROMPT, NEGATIVE, strict=True):
        alpha = (prompt * negative).sum() / ((negative**2).sum() + 1e-8)
        rows.append(alpha * negative + 3 * (prompt - alpha * negative))
    assert close(star, np.stack(rows))
    assert not close(star, ours(Guidance(3.0), PROMPT, NEGATIVE))
    # What is left of the prompt's beside the negative is at right angles to it.
    zero = ours(Guidance(0.0, star=True), PROMPT, NEGATIVE)
    assert np.abs(((PROMPT - zero) * NEGATIVE).sum(axis=(1, 2))).max() < 1e-4


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_spatio_temporal_guidance(rescale):
    alone = PROMPT + 1.5 * (PROMPT - PERTURBED)
    both = NEGATIVE + 3 * (PROMPT - NEGATIVE) + 1.5 * (PROMPT - PERTURBED)
    guidance = Guidance(3.0, 1.5, rescale)
    assert close(ours(guidance, PROMPT, None, PERTURBED), rescaled(alone, rescale))
    assert close(ours(guidance, PROMPT, NEGATIVE, PERTURBED), rescaled(both, rescale))


@pytest.mark.parametrize("rescale", [0.3, 1.0])
def test_rescaling_is_diffusers(rescale):
    torch = pytest.importorskip("torch")
    pipeline = pytest.importorskip("diffusers.pipelines.ltx.pipeline_ltx")
    velocity = torch.from_numpy(NEGATIVE + 3 * (PROMPT - NEGATIVE))
    expected = pipeline.rescale_noise_cfg(velocity, torch.from_numpy(PROMPT), rescale)
    assert close(ours(Guidance(3.0, 0.0, rescale), PROMPT, NEGATIVE), expected.numpy())


def test_latents_with_axes_of_frames_and_space():
    grid = (2, 3, 2, 1, 5)
    passes = (PROMPT, NEGATIVE, PERTURBED)
    guidance = Guidance(3.0, 1.5, 0.7, star=True)
    flat = ours(guidance, *passes)
    assert close(
        ours(guidance, *(velocity.reshape(grid) for velocity in passes)), flat.reshape(grid)
    )


def index(time: float) -> int:
    """By the release's words: the first that is not above the time, else the last."""
    below = [i for i, start in enumerate(DEV.times) if start <= time]
    return below[0] if below else len(DEV.times) - 1


@pytest.mark.parametrize("time", [*DEV.times, 0.9999, 0.99, 0.7, 0.6, 0.01, *linear_quadratic(30)])
def test_guidance_by_time(time):
    i = index(time)
    guidance = DEV.at(time)
    assert (guidance.scale, guidance.stg, guidance.star) == (DEV.scale[i], DEV.stg[i], True)
    assert guidance.blocks == DEV.blocks[i]
    assert guidance.rescale == (0.5 if i in (2, 3) else 0)


def test_the_steps_of_the_13b_recipe():
    """30 steps without the last three: where its guidance begins, peaks and ends."""
    times = given(linear_quadratic(30)[:-4])[:-1]
    assert len(times) == 27 and times[-1] == pytest.approx(0.4458, abs=1e-4)
    steps = [DEV.at(time) for time in times]
    assert [step.has_negative for step in steps[:3]] == [False, False, False]
    assert max(step.scale for step in steps) == 8
    assert steps[-1] == Guidance(1, 1, 0, (28,), True)
    assert sum(1 + step.has_negative + step.has_perturbed for step in steps) < 3 * len(steps)


def test_one_value_counts_at_all_times():
    schedule = Schedule(scale=(3.0,), stg=(1.0,), rescale=(0.7,), blocks=((19,),))
    for time in (1.0, 0.5, 0.01):
        assert schedule.at(time) == Guidance(3.0, 1.0, 0.7, (19,))
    mixed = Schedule(scale=(3.0, 1.0), stg=(1.0,), blocks=((27,),), times=(0.9, 0.5))
    assert [mixed.at(time).scale for time in (0.95, 0.7, 0.2)] == [3, 1, 1]
    assert mixed.at(0.2).stg == 1


def test_the_passes_that_a_step_needs():
    assert not Guidance().has_negative and not Guidance().has_perturbed
    assert Guidance(1.5).has_negative and not Guidance(1.0).has_negative
    assert Guidance(stg=1.0, blocks=(3,)).has_perturbed
    assert not Guidance(stg=1.0).has_perturbed  # of the same values as the prompt's pass
    assert not Guidance(blocks=(3,)).has_perturbed


def test_without_spatio_temporal_guidance_the_release_does_not_rescale():
    assert Schedule(scale=(3.0,), rescale=(0.7,)).at(0.5) == Guidance(3.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (1, 2, 3)},
        {"scale": ()},
        {"stg": (1, 2), "times": (1.0, 0.5, 0.2)},
        {"blocks": ((1,), (2,))},
    ],
)
def test_lists_of_another_length_than_the_times(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Schedule(**wrong)
