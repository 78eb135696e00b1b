"""LTX-Video's schedules against Diffusers' and against the lists in the distilled releases."""

from __future__ import annotations

import numpy as np
import pytest

from mlxvid.models.ltx.schedules import given, linear_quadratic, token_shifted
from mlxvid.schedulers import FlowEuler

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import FlowMatchEulerDiscreteScheduler  # noqa: E402
from diffusers.pipelines.ltx.pipeline_ltx import calculate_shift  # noqa: E402
from diffusers.pipelines.ltx.pipeline_ltx_condition import (  # noqa: E402
    linear_quadratic_schedule,
)

# `allowed_inference_steps` in the files of the distilled releases.
DISTILLED = [1.0, 0.9937, 0.9875, 0.9812, 0.975, 0.9094, 0.725, 0.4219]
FIRST_PASS = DISTILLED[:-1]
SECOND_PASS = [0.9094, 0.725, 0.4219]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8, 30, 40])
def test_linear_quadratic(steps):
    ours = linear_quadratic(steps)
    assert ours.dtype == np.float64 and ours.shape == (steps + 1,) and ours[-1] == 0
    assert np.abs(ours[:-1] - linear_quadratic_schedule(steps).numpy()).max() < 1e-6
    assert (np.diff(ours) < 0).all()


def test_eight_steps_are_the_distilled_list():
    assert np.abs(linear_quadratic(8)[:-1] - DISTILLED).max() < 1e-4


@pytest.mark.parametrize("tokens", [100, 1024, 4096, 13376])
@pytest.mark.parametrize("steps", [2, 5, 40])
def test_shifted_by_tokens(steps, tokens):
    scheduler = FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )
    mu = calculate_shift(tokens, 1024, 4096, 0.95, 2.05)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=mu)
    ours = token_shifted(steps, tokens)
    assert ours.dtype == np.float64 and ours.shape == (steps + 1,)
    assert np.abs(ours - scheduler.sigmas.numpy()).max() < 1e-5  # theirs are float32
    assert ours[-2] == pytest.approx(0.1) and ours[-1] == 0


def test_a_single_step_goes_all_the_way():
    assert token_shifted(1, 4096).tolist() == [1.0, 0.0]


def test_given_times():
    assert given(FIRST_PASS).tolist() == [*FIRST_PASS, 0.0]
    assert given(SECOND_PASS, 0.25).tolist() == [*SECOND_PASS, 0.25]
    # The lists in Diffusers' documentation end with steps that move nothing.
    assert given([1.0, 0.909, 0.725, 0.421, 0.0]).tolist() == [1.0, 0.909, 0.725, 0.421, 0.0]


def test_a_sampler_takes_them():
    scheduler = FlowEuler(7, spacing=lambda steps, shift: given(FIRST_PASS))
    assert scheduler.times.tolist() == FIRST_PASS
    assert scheduler.sigmas[-1] == 0
