"""Comparisons of the sampler, plain and with given frames: rflow_* and rflow_timesteps.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.sampling import exact_sigmas, time_shift
from mlxvid.models.opensora.strategy import parse_strategy, put_in
from mlxvid.models.opensora.transformer import STDiT3
from mlxvid.schedulers import FlowEuler, Predict, Scheduler
from mlxvid.schedulers.given import GivenStill, moving
from tests.golden.files import (
    MODULES,
    SAMPLED,
    Check,
    Tensors,
    channels_last,
    difference,
    number,
    read_json,
    read_network,
    read_tensors,
)

TRAINING_STEPS = 1000
TIMES = 1e-3  # tolerance for timesteps: the golden ones were computed in float32


class Call(NamedTuple):
    """One call of the network: latents, and velocities with the prompt and without."""

    x: mx.array
    prompt: mx.array
    null: mx.array


def check(folder: Path) -> Iterator[Check]:
    """Every trace of a sampling in the folder, and the table of timesteps."""
    for path in sorted(folder.glob("rflow_*.json")):
        if path.stem == "rflow_timesteps":
            yield _timesteps(path)
        else:
            yield from _trace(folder, path)


def _timesteps(path: Path) -> Check:
    errors = []
    rows = read_json(path)
    for row in rows:
        args = row["args"]
        shift = time_shift(args["height"], args["width"], int(args["num_frames"]))
        sigmas = exact_sigmas(row["steps"], shift)[:-1]
        errors.append(difference(TRAINING_STEPS * sigmas, row["t_float32"]))
    return Check(f"{path.name}, {len(rows)} rows", max(errors), TIMES)


def _trace(folder: Path, path: Path) -> Iterator[Check]:
    name = path.stem
    settings = read_json(path)
    golden = read_tensors(path.with_suffix(".safetensors"))
    network = read_network(folder, settings["model"], STDiT3, STDiT3Config)
    states = channels_last(golden["z"])
    steps = settings["num_sampling_steps"]
    shift = 1.0
    if settings["use_timestep_transform"]:
        height, width = settings["image_size"]
        shift = time_shift(height, width, settings["num_frames"])
    edit: np.ndarray | None = None
    scheduler: Scheduler = FlowEuler(steps, shift, exact_sigmas)
    if settings["masked"]:
        given, edit = _given(settings, golden)
        fresh = channels_last(golden["in.step_noise"])
        scheduler = GivenStill(scheduler, given, edit, lambda i: fresh[i])
        x = scheduler.begin(channels_last(golden["in.noise"]))
        masks = np.stack([moving(edit, sigma) for sigma in scheduler.times.tolist()])
        after_references = channels_last(golden["in.z_after_refs"])
        yield Check(f"{name} frame mask", difference(edit, golden["in.frame_mask"]), 0)
        yield Check(f"{name} moving frames", difference(masks, golden["x_mask"]), 0)
        yield Check(f"{name} references put in", difference(x, after_references), 0)
    else:
        x = states[0]
    times = np.repeat(TRAINING_STEPS * scheduler.times[:, None], len(x), axis=1)
    yield Check(f"{name} timesteps", difference(times, golden["timesteps"]), TIMES)

    calls: list[Call] = []
    model = _model(network, settings, golden, edit, calls)
    errors = []
    for i in range(steps):
        x, _ = scheduler.step(model, x, i)
        errors.append(difference(x, states[i + 1]))
    # In frames that stand still the network's last layer is not the reference's; nothing uses it.
    shown = np.ones(x.shape[:2], bool) if edit is None else np.array(moving(edit, 1.0))
    first = []
    for ours, key in ((calls[0].prompt, "pred0_cond"), (calls[0].null, "pred0_uncond")):
        theirs = np.array(channels_last(golden[key]))
        first.append(difference(np.array(ours)[shown], theirs[shown]))
    yield Check(f"{name} first predictions", max(first), MODULES)
    if "z_in" in golden:
        seen = mx.stack([call.x for call in calls])
        error = difference(seen, channels_last(golden["z_in"]))
        yield Check(f"{name} what the model sees", error, SAMPLED)
    yield Check(f"{name} latents after each of {steps} steps", max(errors), SAMPLED)


def _given(settings: dict[str, Any], golden: Tensors) -> tuple[mx.array, np.ndarray]:
    """The latents that all samples' mask strategies put in, and their edit ratios."""
    shape = (1, *channels_last(golden["in.noise"]).shape[1:])
    latents = []
    ratios = []
    for i, text in enumerate(settings["mask_strategy"]):
        keys = [key for key in golden if key.startswith(f"in.ref_{i}_")]
        keys.sort(key=lambda key: int(key.rpartition("_")[2]))
        references = [channels_last(golden[key])[None] for key in keys]
        strategy = parse_strategy(text)
        given, edit = put_in(shape, references, strategy, settings["loop_index"], settings["align"])
        latents.append(given)
        ratios.append(edit)
    return mx.concatenate(latents), np.concatenate(ratios)


def _model(
    network: STDiT3,
    settings: dict[str, Any],
    golden: Tensors,
    edit: np.ndarray | None,
    calls: list[Call],
) -> Predict:
    """The guided network as schedulers call it.

    The prompt's mask holds for the null caption too.
    """
    n = len(golden["in.y"])
    channels = network.config.in_channels
    caption = network.y_embedder.y_embedding
    null = mx.broadcast_to(caption, (n, *caption.shape))
    text = mx.concatenate([golden["in.y"][:, 0], null])
    mask = mx.tile(golden["in.mask"].astype(mx.bool_), (2, 1))
    fps = mx.tile(golden["arg.fps"], 2)
    height = number(golden["arg.height"])
    width = number(golden["arg.width"])

    def model(x: mx.array, time: float) -> mx.array:
        x_mask = None if edit is None else mx.tile(mx.array(moving(edit, time)), (2, 1))
        timestep = mx.full((2 * n,), TRAINING_STEPS * time)
        both = network(mx.concatenate([x, x]), timestep, text, mask, fps, height, width, x_mask)
        prompt, without = mx.split(both[..., :channels], 2)
        calls.append(Call(x, prompt, without))
        return -(without + settings["cfg_scale"] * (prompt - without))

    return model
