"""Step one: the 3D VAE, on drawn clips."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import drawing, world
from .muon import Muon
from .vae_torch import VAE

CONFIG = {
    "_class_name": "FactoredVAE",
    "latent_channels": 16,
    "patch_size": 4,
    "patch_size_t": 4,
    "block_channels": [128, 192],
    "encoder_layers": [1, 2],
    "decoder_layers": [3, 3],
}


def crops(rng: np.random.Generator, count: int, frames: int, side: int) -> np.ndarray:
    """`count` windows [F, side, side, 3] of drawn clips, each around its moving object."""
    out = np.empty((count, frames, side, side, 3), np.float32)
    for clip in out:
        canvas = int(rng.choice((64, 80, 96)))
        scene = world.sample(rng, int(rng.choice((17, 33))), canvas, canvas)
        start = int(rng.integers(0, scene.frames - frames + 1)) if rng.random() < 0.8 else 0
        scene = world.cut(scene, start, frames)
        thing = scene.things[0]
        x0 = _window_start(rng, thing.x, canvas, side)
        y0 = _window_start(rng, thing.y, canvas, side)
        clip[:] = drawing.draw(scene)[:, y0 : y0 + side, x0 : x0 + side]
    return out


def _window_start(rng: np.random.Generator, track: np.ndarray, canvas: int, side: int) -> int:
    """Where a window about the middle of a track begins, give or take some pixels."""
    start = track.mean() * canvas - side / 2 + rng.normal(0, 6)
    return int(np.clip(start, 0, canvas - side))


def loss_of(vae: VAE, x: Tensor, kl_weight: float) -> tuple[Tensor, float]:
    """L1 + 2 MSE + edges + a small KL, and the plain MSE for the log.

    Moving pixels count four times.
    """
    mean, logvar = vae.encode(x)
    z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
    y = vae.decoder(z)
    with torch.no_grad():
        moving = torch.zeros_like(x[..., :1])
        change = (x[:, 1:] - x[:, :-1]).abs().amax(-1, keepdim=True) > 0.05
        moving[:, 1:] += change
        moving[:, :-1] += change
        weight = 1.0 + 3 * (moving > 0)
        weight = weight / weight.mean()
    d = y - x
    pixels = (weight * (d.abs() + 2 * d.square())).mean()
    rows = (d[:, :, 1:] - d[:, :, :-1]).abs().mean()
    columns = (d[:, :, :, 1:] - d[:, :, :, :-1]).abs().mean()
    kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
    return pixels + rows + columns + kl_weight * kl, d.detach().square().mean().item()


@torch.no_grad()
def psnr(vae: VAE, frames: int, side: int, count: int = 24, seed: int = 99) -> float:
    """Mean PSNR in dB of reconstructions of whole held-out clips."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(count):
        scene = world.sample(rng, frames, side, side, unseen=True)
        x = torch.from_numpy(drawing.draw(scene))[None]
        y = vae.decoder(vae.encode(x)[0]).clamp(-1, 1)
        values.append(-10 * math.log10(((x - y) / 2).square().mean().item() + 1e-9))
    return float(np.mean(values))


def train(out: Path, steps: int, batch: int, seed: int = 0, bfloat16: bool = False) -> None:
    """Train encoder and decoder to `steps`, resuming from `out`/vae.pt where there is one.

    bfloat16: convolutions and matrix products in it, all else in float32.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "vae.json").write_text(json.dumps(CONFIG))
    torch.manual_seed(seed)
    vae = VAE(CONFIG)
    _loop(vae, vae, out / "vae.pt", steps, batch, seed, lr=3e-3, bfloat16=bfloat16)


def finish_decoder(
    out: Path, steps: int, batch: int, seed: int = 1, bfloat16: bool = False
) -> None:
    """Train the decoder alone to `steps`, on what `out`/vae.pt encodes; writes `out`/decoder.pt.

    Latents stay as they are: this can be done before, beside or after the transformer's training.
    """
    vae = VAE(CONFIG)
    vae.load_state_dict(torch.load(out / "vae.pt")["model"])
    vae.encoder.requires_grad_(False)
    _loop(vae, vae.decoder, out / "decoder.pt", steps, batch, seed, lr=1.5e-3, bfloat16=bfloat16)


def _loop(
    vae: VAE,
    trained: torch.nn.Module,
    saved: Path,
    steps: int,
    batch: int,
    seed: int,
    lr: float,
    bfloat16: bool,
) -> None:
    """Train the parameters of `trained` to `steps`; resume from `saved`, write it every 100."""
    matrices = []
    others = []
    for name, parameter in trained.named_parameters():
        at_the_ends = "conv_in" in name or "conv_out" in name
        if parameter.ndim > 1 and not at_the_ends:
            matrices.append(parameter)
        else:
            others.append(parameter)
    optimizer = Muon(matrices, others, lr=lr, other_lr=lr * 2 / 3)
    step = 0
    if saved.exists():
        state = torch.load(saved)
        vae.load_state_dict(state["model"])
        if state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    begun = time.time()
    first = step
    squared: list[float] = []
    while step < steps:
        rng = np.random.default_rng((seed, step))
        frames, count = (9, batch) if step % 3 else (17, batch // 2)
        x = torch.from_numpy(crops(rng, count, frames, 64))
        warm_up = min(1, (step + 1) / 50)
        scale = warm_up * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * scale
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, mse = loss_of(vae, x, 1e-4)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            optimizer.step()
        step += 1
        squared.append(mse)
        if step % 20 == 0:
            level = -10 * math.log10(float(np.mean(squared[-20:])) / 4)
            rate = (time.time() - begun) / (step - first)
            progress = f"{saved.stem} {step}/{steps} loss {loss.item():.4f}"
            print(f"{progress} crop PSNR {level:.2f} dB {rate:.2f} s/step", flush=True)
        if step % 100 == 0 or step == steps:
            temporary = saved.with_suffix(".tmp")
            torch.save(
                {"model": vae.state_dict(), "optimizer": optimizer.state_dict(), "step": step},
                temporary,
            )
            temporary.replace(saved)
            print(f"  held-out 33x96x96: {psnr(vae, 33, 96, 8):.2f} dB", flush=True)
