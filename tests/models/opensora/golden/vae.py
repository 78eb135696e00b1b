"""Comparisons of the VAEs: every tensor of vae2d.*, vae_temporal.*, vae_pipeline.*; inventory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import AutoencoderKL
from mlxvid.model.folder import from_json
from mlxvid.models.opensora.chain import chain
from mlxvid.models.opensora.vae import CausalConv, OpenSoraVAE, TemporalVAE
from mlxvid.models.opensora.vae_config import OpenSoraVAEConfig
from mlxvid.weights.reading import fill
from tests.golden.files import (
    MODULES,
    Check,
    Tensors,
    difference,
    misplaced,
    read_json,
    read_tensors,
)


def check(folder: Path) -> Iterator[Check]:
    """The outputs of each file one by one, and of the stages between them the worst."""
    for path in sorted(folder.glob("vae_*_inventory.json")):
        wrong = misplaced(OpenSoraVAE, OpenSoraVAEConfig(), read_json(path))
        yield Check(f"{path.name}: tensors out of place", wrong, 0)
    for path in sorted(folder.glob("vae*.safetensors")):
        kind = path.name.split(".")[0]
        if kind == "vae":  # which has the weights
            continue
        golden: Tensors = {}
        for name, tensor in read_tensors(path).items():
            golden[name] = mx.moveaxis(tensor, 1, -1)
        yield from _compared(path.stem, KINDS[kind](read_vae(folder), golden), golden)


def read_vae(folder: Path) -> OpenSoraVAE:
    """The VAE of vae.config.json, which groups its sizes by part, and vae.weights.safetensors."""
    path = folder / "vae.config.json"
    parts = read_json(path)
    sizes = {**parts["autoencoder_kl"], **parts["vae_temporal"], **parts}
    vae = OpenSoraVAE(from_json(OpenSoraVAEConfig, sizes, path))
    fill(vae, vae.sanitize(read_tensors(folder / "vae.weights.safetensors")), folder)
    return vae


def _compared(name: str, made: Tensors, golden: Tensors) -> Iterator[Check]:
    """Comparisons of what was made with all that the file has but its inputs."""
    errors: dict[str, float] = {}
    for key, theirs in golden.items():
        if not key.startswith(("in.", "noise_")):
            errors[key] = difference(made[key], theirs) if key in made else math.inf
    stages = sorted(key for key in errors if key.startswith("mid."))
    for key in sorted(errors.keys() - set(stages)):
        yield Check(f"{name} {key}", errors[key], MODULES)
    if stages:
        worst = max(stages, key=lambda stage: errors[stage])
        yield Check(f"{name}, {len(stages)} stages, worst {worst}", errors[worst], MODULES)


def _moments(moments: mx.array) -> Tensors:
    mean, log_variance = mx.split(moments, 2, axis=-1)
    log_variance = mx.clip(log_variance, -30, 20)
    return {
        "moments_mean": mean,
        "moments_logvar": log_variance,
        "moments_std": mx.exp(log_variance / 2),
    }


def _spatial(vae: OpenSoraVAE, golden: Tensors) -> Tensors:
    """The image VAE alone; its stages are [(B F), C, H, W]."""
    image_vae: AutoencoderKL = vae.spatial_vae.module
    frames = golden["in.x"]
    z = image_vae.encode(frames)
    decoded = mx.concatenate(list(image_vae.decode(golden["z"])), axis=1)
    made = {"z": z, "decoded": decoded}

    encoder = image_vae.encoder
    x = encoder.conv_in(frames.reshape(-1, *frames.shape[2:]))
    for i, block in enumerate(encoder.down_blocks):
        made[f"mid.enc.down_{i}"] = x = block(x)
    made["mid.enc.mid_attn"] = encoder.mid_block.attentions[0](encoder.mid_block.resnets[0](x))
    made["mid.enc.mid"] = x = encoder.mid_block(x)
    made["mid.enc.conv_out"] = x = encoder(frames.reshape(-1, *frames.shape[2:]))
    made |= _moments(image_vae.quant_conv(x))

    decoder = image_vae.decoder
    z = golden["z"] / image_vae.config.scaling_factor
    made["mid.dec.post_quant"] = x = image_vae.post_quant_conv(z.reshape(-1, *z.shape[2:]))
    made["mid.dec.conv_in"] = x = decoder.conv_in(x)
    made["mid.dec.mid"] = x = decoder.mid_block(x)
    for i, block in enumerate(decoder.up_blocks):
        made[f"mid.dec.up_{i}"] = x = block(x)
    return made


def _temporal(vae: OpenSoraVAE, golden: Tensors) -> Tensors:
    """One chunk through the temporal VAE."""
    temporal: TemporalVAE = vae.temporal_vae
    x = golden["in.x_z"]
    made = _moments(temporal.encode(x))
    mean = golden["moments_mean"]
    made["decoded"] = temporal.decode(mean, golden["decoded"].shape[1])

    encoder = temporal.encoder
    x = mx.pad(x, [(0, 0), (-x.shape[1] % vae.t_factor, 0), (0, 0), (0, 0), (0, 0)])
    made["mid.enc.conv_in"] = x = encoder.conv_in(x)
    for i, level in enumerate(encoder.block_res_blocks):
        made[f"mid.enc.block_{i}"] = x = chain(level, x)
        if i < len(encoder.conv_blocks):
            made[f"mid.enc.down_{i}"] = x = encoder.conv_blocks[i](x)
    made["mid.enc.res"] = x = chain(encoder.res_blocks, x)
    made["mid.enc.conv2"] = encoder.conv2(nn.silu(encoder.norm1(x)))

    decoder = temporal.decoder
    made["mid.dec.post_quant"] = z = temporal.post_quant_conv(mean)
    made["mid.dec.conv1"] = x = decoder.conv1(z)
    made["mid.dec.res"] = x = chain(decoder.res_blocks, x)
    for i in reversed(range(len(decoder.block_res_blocks))):
        made[f"mid.dec.block_{i}"] = x = chain(decoder.block_res_blocks[i], x)
        if i > 0:
            up = decoder.conv_blocks[i - 1]
            # Of a level that grows in time, the golden stage is the convolution's own result.
            made[f"mid.dec.up_{i - 1}"] = (
                CausalConv.__call__(up, x) if isinstance(up, CausalConv) else x
            )
            x = up(x)
    made["mid.dec.conv_out"] = decoder(z)
    return made


def _pipeline(vae: OpenSoraVAE, golden: Tensors) -> Tensors:
    """Both VAEs, in chunks."""
    x = golden["in.x"]
    made = {"x_z_2d": vae.spatial_vae.module.encode(x), "z": vae.encode(x)}
    made["decoded"] = mx.concatenate(list(vae.decode(golden["z"], x.shape[1])), axis=1)
    if "noise_spatial" in golden:
        spatial = golden["noise_spatial"]
        spatial = spatial.reshape(*x.shape[:2], *spatial.shape[1:])
        made["z_sampled"] = vae.encode(x, (spatial, golden["noise_temporal"]))
    return made


KINDS: dict[str, Callable[[OpenSoraVAE, Tensors], Tensors]] = {
    "vae2d": _spatial,
    "vae_temporal": _temporal,
    "vae_pipeline": _pipeline,
}
