"""Comparisons of small pieces (rotary, sinusoids, positions, norm) at real sizes: ops.*."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

from mlxvid.kernels import Rotary
from mlxvid.kernels.plain import rotate
from mlxvid.layers.embeddings import timestep_embedding
from mlxvid.layers.pixart import sines_2d
from mlxvid.layers.rope import rope_1d
from mlxvid.models.opensora.transformer import ROPE_THETA
from tests.golden.files import MODULES, Check, difference, read_json, read_tensors


def check(folder: Path) -> Iterator[Check]:
    """Every piece that the folder's ops.safetensors has."""
    ops = read_tensors(folder / "ops.safetensors")
    settings = read_json(folder / "ops.json")
    if "rope.in" in ops:
        x = ops["rope.in"]  # [B, heads, T, D]; rotate takes [B, T, S, H, D]
        rope = Rotary(*rope_1d(mx.arange(x.shape[2]), x.shape[3], ROPE_THETA), "interleaved")
        ours = rotate(x.swapaxes(1, 2)[:, :, None], rope)[:, :, 0].swapaxes(1, 2)
        yield Check("ops rotary", difference(ours, ops["rope.out"]), MODULES)
    if "sinusoid.t" in ops:
        ours = timestep_embedding(ops["sinusoid.t"], ops["sinusoid.out"].shape[1])
        yield Check("ops sinusoids of time", difference(ours, ops["sinusoid.out"]), MODULES)
    if "rmsnorm.in" in ops:
        ours = mx.fast.rms_norm(ops["rmsnorm.in"], ops["rmsnorm.weight"], 1e-6)
        yield Check("ops norm", difference(ours, ops["rmsnorm.out"]), MODULES)
    for key in sorted(key for key in settings if key.startswith("pos.")):
        height, width = settings[key]["image_size"]
        h, w = settings[key]["patches"]
        theirs = ops[f"{key}.emb"]
        scale = math.sqrt(height * width) / 512
        table = sines_2d(h, w, theirs.shape[1], round(math.sqrt(h * w)), scale)
        ours = table[ops[f"{key}.token_index"]]
        yield Check(f"ops positions at {height}x{width}", difference(ours, theirs), MODULES)
