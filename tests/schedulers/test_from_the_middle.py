"""Runs that begin at a later step, from a noised clip: the same as with Diffusers' schedulers."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.schedulers import SAMPLERS, NoiseConfig, sampler, trained_sigmas

from .samplers import FLOW, made, normal

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
from .test_parity import (  # noqa: E402
    NOISE_SAMPLERS,
    ROUGH_TOLERANCE,
    SCALED,
    SCALED_LATENTS,
    denoiser,
    noise,
)

PLACES = [(2, 1), (7, 1), (7, 2), (7, 3), (7, 6), (20, 5)]
FOLLOWED = ("ddim", "euler-discrete", "heun-discrete", "dpm++", "dpm++-single", "deis")


def ours(scheduler, first: int) -> np.ndarray:
    """The latents after all steps from `first` on."""
    x = scheduler.noised(mx.array(noise(1)), mx.array(noise()), first)
    for i in range(first, scheduler.steps):
        x, _ = scheduler.step(lambda x, time: denoiser(mx.cos, mx.tanh, x, time), x, i)
    return np.array(x)


def theirs(scheduler, steps: int, first: int) -> np.ndarray:
    """The same as Diffusers' pipelines for pictures and clips do it."""
    scheduler.set_timesteps(steps)
    timesteps = scheduler.timesteps[first * scheduler.order :]
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first * scheduler.order)
    mix = scheduler.add_noise if hasattr(scheduler, "add_noise") else None
    clip = torch.from_numpy(noise(1))
    fresh = torch.from_numpy(noise())
    if mix is None:
        x = scheduler.scale_noise(clip, timesteps[:1], fresh)
    else:
        x = mix(clip, fresh, timesteps[:1])
    for t in timesteps:
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        output = denoiser(torch.cos, torch.tanh, scaled, t.item() / 1000)
        x = scheduler.step(output, t, x).prev_sample
    if isinstance(scheduler, SCALED_LATENTS):
        x = x / (scheduler.sigmas[-1] ** 2 + 1) ** 0.5
    return x.numpy()


def same(one: np.ndarray, other: np.ndarray) -> None:
    assert other.std() > 0.005
    assert np.abs(one - other).max() < ROUGH_TOLERANCE * np.abs(other).max()


@pytest.mark.parametrize(("steps", "first"), PLACES)
def test_flows(steps, first):
    unipc = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    same(ours(sampler("unipc")(steps, 3.0), first), theirs(unipc, steps, first))
    euler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    same(ours(sampler("euler")(steps, 3.0, trained_sigmas), first), theirs(euler, steps, first))


@pytest.mark.parametrize(("steps", "first"), PLACES)
@pytest.mark.parametrize("name", [*FOLLOWED, "unipc-discrete"])
def test_diffusion_models(name, steps, first):
    reference = NOISE_SAMPLERS[name].from_config(SCALED)
    same(ours(sampler(name)(steps, NoiseConfig(**SCALED)), first), theirs(reference, steps, first))


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("first", [1, 4, 6])
def test_every_sampler_begins_anywhere_and_goes_on_where_it_stopped(name, first):
    """A model that knows x0 leads there from any level."""
    x0 = 0.3 * mx.tanh(normal(1))
    fresh = normal(2)

    def run(stop: int | None = None) -> mx.array:
        scheduler = made(name, 7)
        level = {time: scheduler.levels[i] for i, time in enumerate(scheduler.times.tolist())}

        def predict(x: mx.array, time: float) -> mx.array:
            nearest = level[min(level, key=lambda known: abs(known - time))]
            if name in FLOW:
                return (x - x0) / nearest.noise
            return (x - nearest.signal * x0) / nearest.noise

        x = scheduler.noised(x0, fresh, first)
        for i in range(first, 7):
            if i == stop:
                state = scheduler.state()
                scheduler = made(name, 7)
                scheduler.restore(state)
            x, predicted = scheduler.step(predict, x, i)
            assert mx.abs(predicted - x0).max() < 1e-3
        return x

    whole = run()
    assert mx.isfinite(whole).all()
    for stop in range(first + 1, 7):
        assert mx.array_equal(run(stop), whole)
