"""The samplers against Diffusers' schedulers: the same noise and the same model give the same
latents after every step.
"""

from __future__ import annotations

import json
import sys

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


def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def denoiser(cos, tanh, x, time):
    """A stand-in for a model: smooth in latents and time, and no straight road. The functions are
    of the library that `x` is of.
    """
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


# Of these the latents are clip + sigma * noise.
SCALED_LATENTS = (
    diffusers.EulerDiscreteScheduler,
    diffusers.EulerAncestralDiscreteScheduler,
    diffusers.HeunDiscreteScheduler,
    diffusers.KDPM2AncestralDiscreteScheduler,
)
TWO_CALLS = (diffusers.HeunDiscreteScheduler, diffusers.KDPM2AncestralDiscreteScheduler)
SEED = 5


class Doubled:
    """NumPy, but that its float32 is none."""

    float32 = np.float64

    def __getattr__(self, name: str):
        return getattr(np, name)


@pytest.fixture(autouse=True)
def doubled(monkeypatch):
    """In float32 what this scheduler works out for few steps has no digit left, and is not even a
    number for two.
    """
    monkeypatch.setattr(
        sys.modules[diffusers.KDPM2AncestralDiscreteScheduler.__module__], "np", Doubled()
    )


@pytest.fixture(autouse=True)
def our_noise(monkeypatch):
    """In the place of the noise that the reference draws for its n-th step, what is drawn here for
    that step; called, it starts again.
    """
    counts = {}

    def drawn(shape, **_):
        step = counts[tuple(shape)] = counts.get(tuple(shape), -1) + 1
        like = mx.zeros(tuple(shape))
        return torch.from_numpy(np.array(schedulers.DDPM(1, NoiseConfig(), SEED).drawn(like, step)))

    for scheduler in (
        diffusers.DDPMScheduler,
        diffusers.EulerAncestralDiscreteScheduler,
        diffusers.KDPM2AncestralDiscreteScheduler,
    ):
        monkeypatch.setattr(sys.modules[scheduler.__module__], "randn_tensor", drawn)
    return counts.clear


def reference_walk(
    scheduler, steps: int, calls: int | None = None
) -> tuple[list[np.ndarray], list[float]]:
    """The same with a Diffusers scheduler, driven as its pipelines do it. A level that its own
    latents are scaled by is taken out.
    """
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == (calls or steps)
    x, after = torch.from_numpy(noise()) * getattr(scheduler, "init_noise_sigma", 1.0), []
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
        output = denoiser(torch.cos, torch.tanh, scaled, t.item() / 1000)
        x = scheduler.step(output, t, x, return_dict=False)[0]
        after.append(
            (
                x / (scheduler.sigmas[i + 1] ** 2 + 1) ** 0.5
                if isinstance(scheduler, SCALED_LATENTS)
                else x
            ).numpy()
        )
    if isinstance(scheduler, TWO_CALLS):
        after = (
            after[1::2] + after[-1:]
        )  # the second call finishes a step, and the last one has none
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
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=shift,
        num_train_timesteps=1000,
    )
    same(walk(sampler("unipc")(steps, shift), steps), reference_walk(theirs, steps))


@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("steps", [1, 2, 5, 20, 50])
def test_flow_match_euler(steps, shift):
    theirs = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    same(walk(sampler("euler")(steps, shift, trained_sigmas), steps), reference_walk(theirs, steps))


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
    "nearest to the clip": (("ddim",), {**LINEAR, "set_alpha_to_one": False, "steps_offset": 1}),
    "the clip": (("pndm",), {**LINEAR, "set_alpha_to_one": True}),
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
    def reference(steps: int) -> tuple:
        our_noise()
        scheduler = NOISE_SAMPLERS[name].from_config({**config, "skip_prk_steps": True})
        scheduler.save_config(tmp_path)
        return reference_walk(scheduler, steps, calls(name, steps))

    for steps in (1, 2, 3, 7, 20, 50):
        if (name, steps) == ("deis", 1) and "use_karras_sigmas" in config:
            continue  # the reference ends there where it begins
        theirs, path = reference(steps), tmp_path / "scheduler_config.json"
        # From the file as a checkpoint has it, every key written out; those that the sampler
        # doesn't know may stand in one of another's.
        ours = from_json(NoiseConfig, {**config, **json.loads(path.read_text())}, path)
        bare = NoiseConfig(**config)  # keys that are not in the file get the sampler's own defaults
        for noise_config in (ours, bare):
            same(
                walk(sampler(name)(steps, noise_config, SEED), steps),
                theirs,
                tolerance(name, config),
            )


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_preview_is_the_reference_s_foreseen_clip(prediction):
    config = {**LINEAR, "prediction_type": prediction}
    theirs = diffusers.DDIMScheduler(**config)
    theirs.set_timesteps(5)
    x, output = noise(), noise()[::-1].copy()
    for i, t in enumerate(theirs.timesteps):
        expected = theirs.step(
            torch.from_numpy(output), t, torch.from_numpy(x)
        ).pred_original_sample.numpy()
        clean = schedulers.DDIM(5, NoiseConfig(**config)).clean(mx.array(x), mx.array(output), i)
        assert np.abs(np.array(clean) - expected).max() < TOLERANCE
