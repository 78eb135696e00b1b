"""Open-Sora's sampler: rflow_*, plain and with given frames, and rflow_timesteps.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.sampling import GivenFramesFlow, exact_sigmas, moving, time_shift
from mlxvid.models.opensora.strategy import parse_strategy, put_in
from mlxvid.models.opensora.transformer import STDiT3
from mlxvid.schedulers import FlowEuler

from .files import (
    MODULES,
    SAMPLED,
    Check,
    channels_last,
    difference,
    read_json,
    read_network,
    read_tensors,
)

THOUSAND = 1000  # timesteps in the training
TIMES = 1e-3  # tolerance for timesteps: the golden ones were worked out in float32

Golden = dict[str, mx.array]


def check(folder: Path) -> Iterator[Check]:
    for path in sorted(folder.glob("rflow_*.json")):
        if path.stem != "rflow_timesteps":
            yield from _trace(folder, path)
            continue
        rows = read_json(path)
        shifts = [
            time_shift(row["args"]["height"], row["args"]["width"], int(row["args"]["num_frames"]))
            for row in rows
        ]
        errors = [
            difference(THOUSAND * exact_sigmas(row["steps"], shift)[:-1], row["t_float32"])
            for row, shift in zip(rows, shifts, strict=True)
        ]
        yield Check(f"{path.name}, {len(rows)} rows", max(errors), TIMES)


class Call(NamedTuple):
    """One step's call of the network: the latents that it got, and its velocity with the prompt and
    without.
    """

    x: mx.array
    prompt: mx.array
    null: mx.array


def _trace(folder: Path, path: Path) -> Iterator[Check]:
    name, settings, golden = (
        path.stem,
        read_json(path),
        read_tensors(path.with_suffix(".safetensors")),
    )
    network = read_network(folder, settings["model"], STDiT3, STDiT3Config)
    states, steps = channels_last(golden["z"]), settings["num_sampling_steps"]
    shift = (
        time_shift(*settings["image_size"], settings["num_frames"])
        if settings["use_timestep_transform"]
        else 1.0
    )
    if settings["masked"]:
        given, edit = _given(settings, golden)
        fresh = channels_last(golden["in.step_noise"])
        scheduler = GivenFramesFlow(steps, shift, given, edit, lambda i: fresh[i])
        x = scheduler.begin(channels_last(golden["in.noise"]))
        masks = np.stack([moving(edit, sigma) for sigma in scheduler.times.tolist()])
        yield Check(f"{name} frame mask", difference(edit, golden["in.frame_mask"]), 0)
        yield Check(f"{name} moving frames", difference(masks, golden["x_mask"]), 0)
        yield Check(
            f"{name} references put in", difference(x, channels_last(golden["in.z_after_refs"])), 0
        )
    else:
        edit, scheduler, x = None, FlowEuler(steps, shift, exact_sigmas), states[0]
    times = np.repeat(THOUSAND * scheduler.times[:, None], len(x), axis=1)
    yield Check(f"{name} timesteps", difference(times, golden["timesteps"]), TIMES)

    calls: list[Call] = []
    model = _model(network, settings, golden, edit, calls)
    errors = []
    for i in range(steps):
        x, _ = scheduler.step(model, x, i)
        errors.append(difference(x, states[i + 1]))
    first = [(calls[0].prompt, "pred0_cond"), (calls[0].null, "pred0_uncond")]
    # In frames that stand still the network's last layer is not the reference's, and nothing comes
    # of it.
    shown = np.ones(x.shape[:2], bool) if edit is None else moving(edit, 1.0)
    pairs = [
        (np.array(ours)[shown], np.array(channels_last(golden[key]))[shown]) for ours, key in first
    ]
    yield Check(f"{name} first predictions", max(difference(*pair) for pair in pairs), MODULES)
    if "z_in" in golden:
        yield Check(
            f"{name} what the model sees",
            difference(mx.stack([call.x for call in calls]), channels_last(golden["z_in"])),
            SAMPLED,
        )
    yield Check(f"{name} latents after each of {steps} steps", max(errors), SAMPLED)


def _given(settings: dict[str, Any], golden: Golden) -> tuple[mx.array, np.ndarray]:
    """What the mask strategies of all samples put in, and their edit ratios."""
    _, *shape = channels_last(golden["in.noise"]).shape
    samples = []
    for i, text in enumerate(settings["mask_strategy"]):
        keys = sorted(
            (key for key in golden if key.startswith(f"in.ref_{i}_")),
            key=lambda key: int(key.rpartition("_")[2]),
        )
        references = [channels_last(golden[key])[None] for key in keys]
        samples.append(
            put_in(
                (1, *shape),
                references,
                parse_strategy(text),
                settings["loop_index"],
                settings["align"],
            )
        )
    given, edit = zip(*samples, strict=True)
    return mx.concatenate(given), np.concatenate(edit)


def _model(
    network: STDiT3,
    settings: dict[str, Any],
    golden: Golden,
    edit: np.ndarray | None,
    calls: list[Call],
):
    """The guided network as schedulers call it. The prompt's mask holds for the null caption too."""
    n, channels = len(golden["in.y"]), network.config.in_channels
    null = network.y_embedder.y_embedding
    text = mx.concatenate([golden["in.y"][:, 0], mx.broadcast_to(null, (n, *null.shape))])
    mask, fps = mx.tile(golden["in.mask"].astype(mx.bool_), (2, 1)), mx.tile(golden["arg.fps"], 2)
    height, width = golden["arg.height"][0].item(), golden["arg.width"][0].item()

    def model(x: mx.array, time: float) -> mx.array:
        x_mask = None if edit is None else mx.tile(mx.array(moving(edit, time)), (2, 1))
        both = network(
            mx.concatenate([x, x]),
            mx.full((2 * n,), THOUSAND * time),
            text,
            mask,
            fps,
            height,
            width,
            x_mask,
        )
        calls.append(Call(x, *mx.split(both[..., :channels], 2)))
        _, prompt, null = calls[-1]
        return -(null + settings["cfg_scale"] * (prompt - null))

    return model
