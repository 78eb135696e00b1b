"""The samplers against Diffusers' schedulers.

The same noise and the same model give the same latents, and the same x0, after every step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid import schedulers
from mlxvid.model.folder import from_json
from mlxvid.schedulers import NoiseConfig, sampler, trained_sigmas

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-5  # of the largest value
# Where the reference divides by how little noise there is, or the denoiser here is steep.
ROUGH_TOLERANCE = 1e-4
# What the reference itself rounds away, in latents that are scaled by a noise 4096 times the
# signal.
ZERO_SNR_TOLERANCE = 1e-3
SHAPE = (2, 3, 4)
LINEAR = dict(beta_start=0.0001, beta_end=0.02, beta_schedule="linear")
SCALED = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


class Run(NamedTuple):
    """The latents and x0 after each step, and the timesteps at which the model was called.

    x0s is empty for a reference that does not report them.
    """

    latents: list[np.ndarray]
    x0s: list[np.ndarray]
    timesteps: list[float]


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def denoiser(cos: Callable, tanh: Callable, x: Any, time: float) -> Any:
    """A stand-in for a model: smooth in latents and time, and not linear.

    The functions are of the library that `x` is of.
    """
    return 0.7 * tanh(0.8 * x + time) + 0.3 * cos(2 * x - 3 * time) + 0.2 * x


def run(scheduler: schedulers.Scheduler) -> Run:
    result = Run([], [], [])

    def predict(x: mx.array, time: float) -> mx.array:
        result.timesteps.append(time * 1000)
        return denoiser(mx.cos, mx.tanh, x, time)

    x = scheduler.begin(mx.array(noise()))
    for i in range(scheduler.steps):
        x, x0 = scheduler.step(predict, x, i)
        result.latents.append(np.array(x))
        result.x0s.append(np.array(x0))
    return result


# Of these the latents are x0 + sigma * noise.
SCALED_LATENTS = (
    diffusers.EulerDiscreteScheduler,
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.HeunDiscreteScheduler,
    diffusers.KDPM2AncestralDiscreteScheduler,
)
TWO_CALLS = (diffusers.HeunDiscreteScheduler, diffusers.KDPM2AncestralDiscreteScheduler)
# These keep the x0 of each model call.
KEEPING_X0 = (
    diffusers.DPMSolverMultistepScheduler,
    diffusers.DPMSolverSinglestepScheduler,
    diffusers.UniPCMultistepScheduler,
)
SEED = 5


class Doubled:
    """NumPy, with float64 in the place of float32."""

    float32 = np.float64

    def __getattr__(self, name: str):
        return getattr(np, name)


@pytest.fixture(autouse=True)
def doubled(monkeypatch):
    """This scheduler's sigmas in float64: in float32, few steps leave no digit, and two NaN."""
    monkeypatch.setattr(
        sys.modules[diffusers.KDPM2AncestralDiscreteScheduler.__module__], "np", Doubled()
    )


@pytest.fixture(autouse=True)
def our_noise(monkeypatch):
    """In place of the reference's noise of its n-th step, ours. Call it to start again."""
    counts: dict[tuple[int, ...], int] = {}
    source = schedulers.DDPM(1, NoiseConfig(), SEED)

    def drawn(shape, **_):
        shape = tuple(shape)
        step = counts.get(shape, 0)
        counts[shape] = step + 1
        return torch.from_numpy(np.array(source.fresh_noise(mx.zeros(shape), step)))

    for scheduler in (
        diffusers.DDPMScheduler,
        diffusers.EulerAncestralDiscreteScheduler,
        diffusers.KDPM2AncestralDiscreteScheduler,
    ):
        monkeypatch.setattr(sys.modules[scheduler.__module__], "randn_tensor", drawn)
    return counts.clear


def reference_run(scheduler: Any, steps: int, calls: int | None = None) -> Run:
    """The run of a Diffusers scheduler, driven as its pipelines do it, in our scale of latents."""
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == (calls or steps)
    result = Run([], [], scheduler.timesteps.tolist())
    x = torch.from_numpy(noise()) * getattr(scheduler, "init_noise_sigma", 1.0)
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        output = denoiser(torch.cos, torch.tanh, scaled, t.item() / 1000)
        step = scheduler.step(output, t, x)
        x = step.prev_sample
        latents = x
        if isinstance(scheduler, SCALED_LATENTS):
            latents = x / (scheduler.sigmas[i + 1] ** 2 + 1) ** 0.5
        result.latents.append(latents.numpy())
        if hasattr(step, "pred_original_sample"):
            result.x0s.append(step.pred_original_sample.numpy())
        elif isinstance(scheduler, KEEPING_X0):
            result.x0s.append(scheduler.model_outputs[-1].numpy())
    if isinstance(scheduler, TWO_CALLS):
        # The second call finishes a step, and the last one has none; x0 is the first call's.
        latents_after = result.latents[1::2] + result.latents[-1:]
        return Run(latents_after, result.x0s[0::2], result.timesteps)
    return result


def same(ours: Run, theirs: Run, tolerance: float = TOLERANCE) -> None:
    assert np.allclose(ours.timesteps, theirs.timesteps, rtol=1e-6, atol=1e-4)
    expected = theirs.latents
    if len(expected) == len(ours.latents) + 1:
        expected = expected[1:]  # PNDM's second call of the model finishes the first step
    assert len(ours.latents) == len(expected)
    assert expected[-1].std() > 0.005
    for x, y in zip(ours.latents, expected, strict=True):
        assert np.abs(x - y).max() < tolerance * np.abs(y).max()
    if theirs.x0s:
        # Rounding in the latents is divided by how little signal there is.
        tolerance = max(tolerance, ROUGH_TOLERANCE)
        for x, y in zip(ours.x0s, theirs.x0s, strict=True):
            assert np.abs(x - y).max() < tolerance * np.abs(y).max()


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 20, 50])
def test_unipc(steps, shift):
    theirs = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        num_train_timesteps=1000,
    )
    same(run(sampler("unipc")(steps, shift)), reference_run(theirs, steps))


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50])
def test_flow_match_euler(steps, shift):
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    same(run(sampler("euler")(steps, shift, trained_sigmas)), reference_run(theirs, steps))


@pytest.mark.parametrize("steps", [1, 2, 5, 20])
def test_stochastic_flow_match_euler(steps, monkeypatch):
    """For a reference without times of tokens, which negates the model's output."""
    ours = sampler("euler-stochastic")(steps, 3.0, trained_sigmas, 4)
    numbers = iter(range(steps))

    def drawn(shape, **others):
        return torch.from_numpy(np.array(ours.fresh_noise(mx.zeros(shape), next(numbers))))

    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True)
    monkeypatch.setattr(sys.modules[type(theirs).__module__], "randn_tensor", drawn)
    same(run(ours), reference_run(theirs, steps))


NOISE_SAMPLERS = {
    "ddim": diffusers.DDIMScheduler,
    "ddpm": diffusers.DDPMScheduler,
    "pndm": diffusers.PNDMScheduler,
    "euler-discrete": diffusers.EulerDiscreteScheduler,
    "euler-ancestral": diffusers.EulerAncestralDiscreteScheduler,
    "heun-discrete": diffusers.HeunDiscreteScheduler,
    "kdpm2-ancestral": diffusers.KDPM2AncestralDiscreteScheduler,
    "dpm++": diffusers.DPMSolverMultistepScheduler,
    "dpm++-single": diffusers.DPMSolverSinglestepScheduler,
    "deis": diffusers.DEISMultistepScheduler,
    "unipc-discrete": diffusers.UniPCMultistepScheduler,
}
CONFIGS = {
    "linear": LINEAR,
    "latte": {**LINEAR, "clip_sample": False, "timestep_spacing": "leading"},
    "scaled": SCALED,
    "v": {**SCALED, "prediction_type": "v_prediction"},
    "trailing": {**SCALED, "timestep_spacing": "trailing"},
    "linspace": {**LINEAR, "timestep_spacing": "linspace"},
    "leading": {**SCALED, "timestep_spacing": "leading", "steps_offset": 1},
    "betas": {"trained_betas": np.linspace(0.001, 0.01, 1000).tolist()},
}
# What some of the samplers know: (samplers, config).
SPECIAL = {
    "not clipped": (("ddim", "ddpm"), {**LINEAR, "clip_sample": False}),
    "clipped at 2": (
        ("ddim", "ddpm", "heun-discrete"),
        {
            **SCALED,
            "clip_sample": True,
            "clip_sample_range": 2.0,
            "prediction_type": "v_prediction",
        },
    ),
    "ends near x0": (("ddim",), {**LINEAR, "set_alpha_to_one": False, "steps_offset": 1}),
    "ends at x0": (("pndm",), {**LINEAR, "set_alpha_to_one": True}),
    "sample": (
        ("ddim", "ddpm", "dpm++", "dpm++-single", "deis", "unipc-discrete"),
        {**LINEAR, "prediction_type": "sample"},
    ),
    "karras": (
        tuple(name for name in NOISE_SAMPLERS if name not in ("ddim", "pndm")),
        {**SCALED, "use_karras_sigmas": True},
    ),
    "least": (
        ("dpm++", "dpm++-single", "unipc-discrete", "euler-discrete", "heun-discrete"),
        {**LINEAR, "final_sigmas_type": "sigma_min"},
    ),
    "least, second order": (
        ("dpm++", "dpm++-single", "unipc-discrete"),
        {**LINEAR, "final_sigmas_type": "sigma_min", "lower_order_final": False},
    ),
    "least, first order": (
        ("dpm++-single",),
        {**LINEAR, "final_sigmas_type": "sigma_min", "lower_order_final": True},
    ),
    "zero snr": (
        ("ddim", "ddpm", "dpm++", "euler-discrete", "euler-ancestral", "unipc-discrete"),
        {
            **SCALED,
            "rescale_betas_zero_snr": True,
            "prediction_type": "v_prediction",
            "timestep_spacing": "trailing",
        },
    ),
}
CASES = [(name, key, config) for name in NOISE_SAMPLERS for key, config in CONFIGS.items()]
CASES += [(name, key, config) for key, (names, config) in SPECIAL.items() for name in names]


def calls(name: str, steps: int) -> int:
    """How often a sampler calls the model."""
    if name in ("heun-discrete", "kdpm2-ancestral"):
        return 2 * steps - 1
    return steps + 1 if name == "pndm" and steps > 1 else steps


def tolerance(name: str, config: dict) -> float:
    if name.startswith("euler-") and "rescale_betas_zero_snr" in config:
        return ZERO_SNR_TOLERANCE
    return ROUGH_TOLERANCE if name in ("heun-discrete", "kdpm2-ancestral", "deis") else TOLERANCE


@pytest.mark.parametrize(
    ("name", "config"),
    [(name, config) for name, _, config in CASES],
    ids=[f"{name}, {key}" for name, key, _ in CASES],
)
def test_noise_samplers(name, config, tmp_path, our_noise):
    def reference(steps: int) -> Run:
        our_noise()
        scheduler = NOISE_SAMPLERS[name].from_config({**config, "skip_prk_steps": True})
        scheduler.save_config(tmp_path)
        return reference_run(scheduler, steps, calls(name, steps))

    for steps in (1, 2, 3, 7, 20, 50):
        if (name, steps) == ("deis", 1) and "use_karras_sigmas" in config:
            continue  # the reference ends there where it begins
        theirs = reference(steps)
        path = tmp_path / "scheduler_config.json"
        # From the file as a checkpoint has it, every key written out; the file of another sampler
        # may have keys that this one doesn't know.
        full = from_json(NoiseConfig, {**config, **json.loads(path.read_text())}, path)
        bare = NoiseConfig(**config)  # keys that are not in the file get the sampler's own defaults
        for noise_config in (full, bare):
            ours = run(sampler(name)(steps, noise_config, SEED))
            same(ours, theirs, tolerance(name, config))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_x0_is_the_references_pred_original_sample(prediction):
    """At every step, for the same output of the model."""
    config = {**LINEAR, "prediction_type": prediction}
    theirs = diffusers.DDIMScheduler(**config)
    theirs.set_timesteps(5)
    ours = schedulers.DDIM(5, NoiseConfig(**config))
    x = noise()
    output = noise()[::-1].copy()
    for i, t in enumerate(theirs.timesteps):
        step = theirs.step(torch.from_numpy(output), t, torch.from_numpy(x))
        _, x0 = ours.step(lambda x, time: mx.array(output), mx.array(x), i)
        assert np.abs(np.array(x0) - step.pred_original_sample.numpy()).max() < TOLERANCE


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("name", NOISE_SAMPLERS)
def test_noised_is_the_references_add_noise(name, spacing):
    config = {**SCALED, "timestep_spacing": spacing}
    theirs = NOISE_SAMPLERS[name].from_config({**config, "skip_prk_steps": True})
    theirs.set_timesteps(5)
    ours = sampler(name)(5, NoiseConfig(**config))
    x0 = noise(1)
    for i, time in enumerate(ours.times.tolist()):
        # The reference's own value of this timestep, which it looks up.
        nearest = (theirs.timesteps - 1000 * time).abs().argmin()
        t = theirs.timesteps[nearest : nearest + 1]
        expected = theirs.add_noise(torch.from_numpy(x0), torch.from_numpy(noise()), t).numpy()
        if isinstance(theirs, SCALED_LATENTS):
            expected = expected / np.hypot(1, theirs.sigmas[nearest].item())
        noised = np.array(ours.noised(mx.array(x0), mx.array(noise()), i))
        assert np.abs(noised - expected).max() < TOLERANCE * np.abs(expected).max()


def test_noised_is_the_references_scale_noise():
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(5)
    ours = sampler("euler")(5, 3.0, trained_sigmas)
    x0 = noise(1)
    for i in range(5):
        t = theirs.timesteps[i : i + 1]
        expected = theirs.scale_noise(torch.from_numpy(x0), t, torch.from_numpy(noise())).numpy()
        noised = np.array(ours.noised(mx.array(x0), mx.array(noise()), i))
        assert np.abs(noised - expected).max() < TOLERANCE * np.abs(expected).max()
