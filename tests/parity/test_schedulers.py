"""The samplers against Diffusers' schedulers: the same noise and the same model give the same latents after every step."""

from __future__ import annotations

import json

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest

from mlxvid import schedulers
from mlxvid.configs import from_json
from mlxvid.schedulers import NoiseConfig, sampler, trained_sigmas

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

TOLERANCE = 1e-5  # of the largest value
# What the reference itself rounds away, in latents that are scaled by a noise 4096 times the signal.
ZERO_SNR_TOLERANCE = 5e-4
SHAPE = (2, 3, 4)
LINEAR = dict(beta_start=0.0001, beta_end=0.02, beta_schedule="linear")
SCALED = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def denoiser(cos, tanh, x, time):
    """A stand-in for a model: smooth in latents and time, and no straight road. The functions are of the library that `x` is of."""
    return 0.7 * tanh(0.8 * x + time) + 0.3 * cos(2 * x - 3 * time) + 0.2 * x


def walk(scheduler, steps: int) -> tuple[list[np.ndarray], list[float]]:
    """The latents after each step, and the times at which the model was called."""
    times = []

    def model(x, time):
        times.append(time * 1000)
        return denoiser(mx.cos, mx.tanh, x, time)

    x, after = scheduler.begin(mx.array(noise())), []
    for i in range(steps):
        x = scheduler.step(model, x, i)
        after.append(np.array(x))
    return after, times


def reference_walk(scheduler, steps: int, calls: int | None = None) -> tuple[list[np.ndarray], list[float]]:
    """The same with a Diffusers scheduler, driven as its pipelines do it. A level that its own latents are scaled by is taken out."""
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == (calls or steps)
    x, after = torch.from_numpy(noise()) * getattr(scheduler, "init_noise_sigma", 1.0), []
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        output = denoiser(torch.cos, torch.tanh, scaled, t.item() / 1000)
        x = scheduler.step(output, t, x, return_dict=False)[0]
        is_scaled = isinstance(scheduler, diffusers.EulerDiscreteScheduler)
        after.append((x / (scheduler.sigmas[i + 1] ** 2 + 1) ** 0.5 if is_scaled else x).numpy())
    return after, scheduler.timesteps.tolist()


def same(ours: tuple, theirs: tuple, tolerance: float = TOLERANCE) -> None:
    (after, times), (expected, their_times) = ours, theirs
    assert np.allclose(times, their_times, rtol=1e-6, atol=1e-4)
    if len(expected) == len(after) + 1:
        expected = expected[1:]  # PNDM's second call of the model finishes the first step
    assert len(after) == len(expected) and expected[-1].std() > 0.005
    for x, y in zip(after, expected, strict=True):
        assert np.abs(x - y).max() < tolerance * np.abs(y).max()


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 20, 50])
def test_unipc(steps, shift):
    theirs = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, num_train_timesteps=1000
    )
    same(walk(sampler("unipc")(steps, shift), steps), reference_walk(theirs, steps))


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50])
def test_flow_match_euler(steps, shift):
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    same(walk(sampler("euler")(steps, shift, trained_sigmas), steps), reference_walk(theirs, steps))


NOISE_SAMPLERS = {
    "ddim": diffusers.DDIMScheduler,
    "dpm++": diffusers.DPMSolverMultistepScheduler,
    "euler-discrete": diffusers.EulerDiscreteScheduler,
    "pndm": diffusers.PNDMScheduler,
}
CONFIGS = {
    "linear": LINEAR,
    "scaled": SCALED,
    "v": {**SCALED, "prediction_type": "v_prediction"},
    "trailing": {**SCALED, "timestep_spacing": "trailing"},
    "linspace": {**LINEAR, "timestep_spacing": "linspace"},
    "leading": {**SCALED, "timestep_spacing": "leading", "steps_offset": 1},
    "betas": {"trained_betas": np.linspace(0.001, 0.01, 1000).tolist()},
}
# What some of the samplers know: (samplers, config).
SPECIAL = {
    "not clipped": (("ddim",), {**LINEAR, "clip_sample": False}),
    "clipped at 2": (("ddim",), {**SCALED, "clip_sample_range": 2.0, "prediction_type": "v_prediction"}),
    "nearest to the clip": (("ddim",), {**LINEAR, "set_alpha_to_one": False, "steps_offset": 1}),
    "the clip": (("pndm",), {**LINEAR, "set_alpha_to_one": True}),
    "sample": (("ddim", "dpm++"), {**LINEAR, "prediction_type": "sample"}),
    "karras": (("dpm++", "euler-discrete"), {**SCALED, "use_karras_sigmas": True}),
    "least": (("dpm++", "euler-discrete"), {**LINEAR, "final_sigmas_type": "sigma_min"}),
    "least, second order": (("dpm++",), {**LINEAR, "final_sigmas_type": "sigma_min", "lower_order_final": False}),
    "zero snr": (
        ("ddim", "dpm++", "euler-discrete"),
        {**SCALED, "rescale_betas_zero_snr": True, "prediction_type": "v_prediction", "timestep_spacing": "trailing"},
    ),
}
CASES = [(name, key, config) for name in NOISE_SAMPLERS for key, config in CONFIGS.items()]
CASES += [(name, key, config) for key, (names, config) in SPECIAL.items() for name in names]


@pytest.mark.parametrize(
    ("name", "config"), [(name, config) for name, _, config in CASES], ids=[f"{name}, {key}" for name, key, _ in CASES]
)
def test_noise_samplers(name, config, tmp_path):
    theirs = NOISE_SAMPLERS[name](**config, **({"skip_prk_steps": True} if name == "pndm" else {}))
    theirs.save_config(tmp_path)
    path = tmp_path / "scheduler_config.json"
    ours = from_json(NoiseConfig, json.loads(path.read_text()), path)  # from the file as a checkpoint has it, every key written out
    for steps in (1, 2, 7, 20, 50):
        calls = steps + 1 if name == "pndm" and steps > 1 else steps
        tolerance = ZERO_SNR_TOLERANCE if name == "euler-discrete" and ours.rescale_betas_zero_snr else TOLERANCE
        same(walk(sampler(name)(steps, ours), steps), reference_walk(theirs, steps, calls), tolerance)
        if config.get("prediction_type", "epsilon") == "epsilon" and config is LINEAR:
            bare = NoiseConfig(**config)  # keys that are not in the file get the sampler's own defaults
            same(walk(sampler(name)(steps, bare), steps), reference_walk(theirs, steps, calls))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_preview_is_the_reference_s_foreseen_clip(prediction):
    config = {**LINEAR, "prediction_type": prediction}
    theirs = diffusers.DDIMScheduler(**config)
    theirs.set_timesteps(5)
    x, output = noise(), noise()[::-1].copy()
    for i, t in enumerate(theirs.timesteps):
        expected = theirs.step(torch.from_numpy(output), t, torch.from_numpy(x)).pred_original_sample.numpy()
        clean = schedulers.DDIM(5, NoiseConfig(**config)).clean(mx.array(x), mx.array(output), i)
        assert np.abs(np.array(clean) - expected).max() < TOLERANCE
