"""Conditioning by strength against the loop of Diffusers' LTXConditionPipeline.

The loop's own scheduler and functions run here, on predictions that stand in for the network's.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.models.ltx.schedules import linear_quadratic
from mlxvid.schedulers import FlowEuler
from mlxvid.schedulers.given import GivenByStrength

from .twins import random

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import FlowMatchEulerDiscreteScheduler, LTXConditionPipeline  # noqa: E402

STEPS = 9
NOISE_SCALE = 0.15
SIGMAS = linear_quadratic(STEPS)
# Of tokens: some free, some that never move, some that begin to move at a step's sigma, between two
# of them, or (0.99) at less than the last one, which is never.
STRENGTHS = np.array(
    [
        [1.0, 0.0, 0.5, 0.02, 1 - SIGMAS[4], 0.15, 0.0],
        [0.0, 1.0, 0.5, 1 - SIGMAS[7], 0.99, 0.2, 1.0],
    ],
    np.float32,
)
SHAPE = (*STRENGTHS.shape, 3)


def network(lib, x, times):
    """A stand-in that depends on the tokens and on the time of each, [B, N, 1]."""
    return lib.sin(3 * x) + times * x + 0.3


def reference(given: np.ndarray, noise: np.ndarray, first: int, noise_scale: float):
    """The latents after each step from `first` on, and what the network sees in it."""
    mask = torch.from_numpy(STRENGTHS)
    scheduler = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=SIGMAS[:-1].tolist())
    generator = torch.Generator().manual_seed(7)
    latents = torch.lerp(torch.from_numpy(noise), torch.from_numpy(given), mask[..., None])
    initial = latents.clone()
    states = []
    seen = []
    for t in scheduler.timesteps[first:]:
        if noise_scale > 0:
            latents = LTXConditionPipeline.add_noise_to_image_conditioning_latents(
                t / 1000.0, initial, latents, noise_scale, mask, generator
            )
        seen.append(latents.numpy())
        timestep = t.expand(len(mask)).unsqueeze(-1).float()
        timestep = torch.min(timestep, (1 - mask) * 1000.0)
        output = network(torch, latents, timestep[..., None] / 1000)
        denoised = scheduler.step(-output, t, latents, per_token_timesteps=timestep)[0]
        moves = (t / 1000 - 1e-6 < (1.0 - mask)).unsqueeze(-1)
        latents = torch.where(moves, denoised, latents)
        states.append(latents.numpy())
    return states, seen


@pytest.mark.parametrize("noise_scale", [0.0, NOISE_SCALE])
@pytest.mark.parametrize("first", [0, 3])
def test_tokens_move_as_in_the_condition_pipeline(first, noise_scale):
    given = random(*SHAPE, seed=1)
    noise = random(*SHAPE, seed=2)
    expected, expected_seen = reference(given, noise, first, noise_scale)
    generator = torch.Generator().manual_seed(7)
    drawn = [torch.randn(SHAPE, generator=generator).numpy() for _ in range(STEPS - first)]
    edit = 1 - STRENGTHS
    seen = []

    def predict(x: mx.array, time: float) -> mx.array:
        seen.append(np.array(x))
        return network(mx, x, mx.array(np.minimum(time, edit)[..., None].astype(np.float32)))

    def renoise(i: int) -> mx.array:
        return noise_scale * mx.array(drawn[i - first])

    inner = FlowEuler(STEPS, spacing=lambda steps, shift: linear_quadratic(steps))
    scheduler = GivenByStrength(inner, mx.array(given), edit, renoise if noise_scale else None)
    x = scheduler.begin(mx.array(noise))
    for i in range(first, STEPS):
        x, _ = scheduler.step(predict, x, i)
        assert np.abs(seen[i - first] - expected_seen[i - first]).max() < 1e-5
        assert np.abs(np.array(x) - expected[i - first]).max() < 1e-5
    if noise_scale:
        return
    change = np.abs(np.array(x) - np.array(scheduler.begin(mx.array(noise)))).max(axis=-1)
    assert np.array_equal(change > 1e-3, STRENGTHS < 0.9)
