"""Noise schedules whose signal-to-noise ratio is shifted, against Diffusers' two schedulers that
have them: DDIM, and DPM-Solver++ as an SDE with the same noise.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid.model.folder import from_json
from mlxvid.schedulers import DPMSolverSDE, NoiseConfig, Scheduler, sampler

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

SHAPE = (2, 3, 4)
SEED = 5
TOLERANCE = 1e-5  # of the largest value
# The released scheduler_config.json, but for the shift.
RELEASED = dict(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    prediction_type="v_prediction",
    rescale_betas_zero_snr=True,
    set_alpha_to_one=True,
    clip_sample=False,
    timestep_spacing="trailing",
)
CONFIGS: dict[str, dict[str, Any]] = {
    "2b": {**RELEASED, "snr_shift_scale": 3.0},
    "5b": {**RELEASED, "snr_shift_scale": 1.0},
    "noise": {
        **RELEASED,
        "snr_shift_scale": 2.0,
        "prediction_type": "epsilon",
        "rescale_betas_zero_snr": False,
    },
    "sample, leading": {
        **RELEASED,
        "snr_shift_scale": 1.5,
        "prediction_type": "sample",
        "timestep_spacing": "leading",
        "rescale_betas_zero_snr": False,
        "set_alpha_to_one": False,
    },
}
KINDS = {
    "ddim": diffusers.CogVideoXDDIMScheduler,
    "dpm++-sde": diffusers.CogVideoXDPMScheduler,
}


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def fresh(step: int) -> mx.array:
    """The noise that is added in a step here."""
    return DPMSolverSDE(1, NoiseConfig(), SEED).fresh_noise(mx.zeros(SHAPE), step)


def followed(scheduler: Scheduler, first: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Latents and x0 after each step, from step `first` on."""
    x = mx.array(noise())
    found = []
    for i in range(first, scheduler.steps):
        x, x0 = scheduler.step(lambda x, time: mx.tanh(0.8 * x + time) + 0.2 * x, x, i)
        found.append((np.array(x), np.array(x0)))
    return found


def reference(theirs: Any, steps: int, monkeypatch, first: int = 0):
    """The same of the reference's scheduler, driven as its pipelines do it, in float64."""
    theirs.set_timesteps(steps)
    timesteps = theirs.timesteps[first:]
    x = torch.from_numpy(noise()).double()
    past = None
    found = []
    for i, t in enumerate(timesteps):
        output = torch.tanh(0.8 * x + t.item() / 1000) + 0.2 * x
        if isinstance(theirs, diffusers.CogVideoXDDIMScheduler):
            x, x0 = theirs.step(output, t, x, return_dict=False)
        else:
            drawn = torch.from_numpy(np.array(fresh(first + i))).double()
            monkeypatch.setattr(
                sys.modules[type(theirs).__module__], "randn_tensor", lambda *_, d=drawn, **__: d
            )
            back = timesteps[i - 1] if i > 0 else None
            x, x0 = theirs.step(output, past, t, back, x, return_dict=False)
            past = x0
        found.append((x.numpy(), x0.numpy()))
    return found


def same(ours, theirs) -> None:
    assert len(ours) == len(theirs)
    for (x, x0), (their_x, their_x0) in zip(ours, theirs, strict=True):
        assert np.isfinite(x).all() and np.isfinite(x0).all()
        assert np.abs(x - their_x).max() < TOLERANCE * np.abs(their_x).max()
        assert np.abs(x0 - their_x0).max() < 10 * TOLERANCE * np.abs(their_x0).max()


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", KINDS)
def test_samplers(name, config, monkeypatch, tmp_path):
    theirs = KINDS[name](**CONFIGS[config])
    theirs.save_config(tmp_path)
    path = tmp_path / "scheduler_config.json"
    schedule = from_json(NoiseConfig, json.loads(path.read_text()), path)
    for steps in (1, 2, 3, 7, 20, 50):
        ours = sampler(name)(steps, schedule, SEED)
        same(followed(ours), reference(theirs, steps, monkeypatch))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("first", [1, 3, 6])
def test_a_run_that_begins_in_the_middle(name, first, monkeypatch):
    """Of a noised clip: the first step that is made is the first of all to a multistep method."""
    config = CONFIGS["5b"]
    ours = sampler(name)(7, NoiseConfig(**config), SEED)
    same(followed(ours, first), reference(KINDS[name](**config), 7, monkeypatch, first))


@pytest.mark.parametrize("config", CONFIGS)
def test_the_schedule_is_the_reference_s(config):
    theirs = diffusers.CogVideoXDDIMScheduler(**CONFIGS[config])
    alphas = NoiseConfig(**CONFIGS[config]).alphas()
    assert np.abs(alphas - theirs.alphas_cumprod.numpy()).max() < 1e-15


@pytest.mark.parametrize("name", KINDS)
def test_noised_is_the_reference_s_add_noise(name):
    theirs = KINDS[name](**CONFIGS["2b"])
    theirs.set_timesteps(5)
    ours = sampler(name)(5, NoiseConfig(**CONFIGS["2b"]))
    x0 = noise(1)
    for i in range(5):
        expected = theirs.add_noise(
            torch.from_numpy(x0), torch.from_numpy(noise()), theirs.timesteps[i : i + 1]
        )
        noised = np.array(ours.noised(mx.array(x0), mx.array(noise()), i))
        assert np.abs(noised - expected.numpy()).max() < TOLERANCE


def test_the_first_step_leaves_noise_alone():
    """At zero signal-to-noise the start has no signal, and what it holds is noise."""
    ours = sampler("dpm++-sde")(50, NoiseConfig(**CONFIGS["2b"]), SEED)
    assert ours.levels[0] == (0, 1)
    assert ours.kept(0) == 0 and ours.kept(49) == 0
    x0 = mx.ones(SHAPE)
    x, predicted = ours.step(lambda x, time: -x0, mx.array(noise()), 0)
    end = ours.levels[1]
    assert mx.array_equal(predicted, x0)
    assert mx.allclose(x, end.signal * x0 + end.noise * fresh(0), atol=1e-6)


def test_a_shift_that_is_none():
    with pytest.raises(ValueError, match="snr_shift_scale is 0"):
        NoiseConfig(snr_shift_scale=0)
