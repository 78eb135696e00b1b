"""Open-Sora's transformer: stdit3_*, in as many variants as there are, and its inventory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np

from mlxvid.kernels import Rotary
from mlxvid.kernels.plain import rotate
from mlxvid.layers.rope import rope_1d
from mlxvid.models.opensora.chain import chain
from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.transformer import ROPE_THETA, Attention, STDiT3

from .files import (
    MODULES,
    Check,
    channels_last,
    difference,
    misplaced,
    read_json,
    read_network,
    read_tensors,
)
from .stages import Stages, stage_check, watched

Case = dict[str, mx.array]


def check(folder: Path) -> Iterator[Check]:
    for path in sorted(folder.glob("stdit3_*_inventory.json")):
        inventory = read_json(path)
        yield Check(
            f"{path.name}: tensors out of place",
            misplaced(STDiT3, _config(inventory["tensors"]), inventory),
            0,
        )
    for config_path in sorted(folder.glob("stdit3_*.config.json")):
        stem = config_path.name.removesuffix(".config.json")
        for path in sorted(folder.glob(f"{stem}.case*.safetensors")):
            # Anew each time, since the watched layers are put into it.
            yield from _case(
                read_network(folder, stem, STDiT3, STDiT3Config),
                path.name.removesuffix(".safetensors"),
                read_tensors(path),
            )


def _config(tensors: dict[str, list[int]]) -> STDiT3Config:
    """The sizes that an inventory's shapes tell, the defaults for the rest."""
    hidden, channels, _, patch, _ = tensors["x_embedder.proj.weight"]
    length, captions = tensors["y_embedder.y_embedding"]
    depth = sum(
        name.startswith("spatial_blocks.") and name.endswith(".scale_shift_table")
        for name in tensors
    )
    heads = hidden // (2 * tensors["rope.freqs"][0])
    return STDiT3Config(
        in_channels=channels,
        patch_size=[1, patch, patch],
        hidden_size=hidden,
        depth=depth,
        num_heads=heads,
        caption_channels=captions,
        model_max_length=length,
        qk_norm="spatial_blocks.0.attn.q_norm.weight" in tensors,
    )


def _case(network: STDiT3, name: str, case: Case) -> Iterator[Check]:
    attention = network.temporal_blocks[0].attn
    x, text = channels_last(case["in.x"]), case["in.y"][:, 0]
    # With guidance the batch is doubled; what both halves share is not.
    fps, mask = (
        mx.concatenate([case[key]] * (len(x) // len(case[key]))) if key in case else None
        for key in ("in.fps", "in.mask")
    )
    mask = None if mask is None else mask.astype(mx.bool_)
    x_mask = case["in.x_mask"].astype(mx.bool_) if "in.x_mask" in case else None
    height, width = case["in.height"][0].item(), case["in.width"][0].item()
    times = _times(network, case["in.timestep"], fps)
    stages = _watch(network)
    out = network(x, case["in.timestep"], text, mask, fps, height, width, x_mask)
    # The reference modulates given frames twice in its last layer, and throws them away.
    generated = np.ones(x.shape[:2], bool) if x_mask is None else np.array(x_mask)
    yield Check(
        f"{name} out",
        difference(np.array(out)[generated], np.array(channels_last(case["out"]))[generated]),
        MODULES,
    )
    stages["x_pos"] = stages["spatial_0.in"]
    stages["pos_emb"] = network.positions(*stages["x_embed"].shape[2:4], height, width)
    if mask is not None:
        stages["y_tokens"] = np.array(stages["y_tokens"])[np.array(mask)]
    yield from stage_check(name, stages | times, case)
    if "mid.temporal_0.q_roped" in case:
        yield Check(
            f"{name}, queries and keys over time", _queries_and_keys(attention, case), MODULES
        )


def _times(network: STDiT3, timestep: mx.array, fps: mx.array) -> Stages:
    """What is made of the clip's time, and of time 0, which given frames are at: the golden files
    have the two apart.
    """
    stages: Stages = {}
    for end, time in (("", timestep), ("_t0", mx.zeros_like(timestep))):
        stages[f"t_emb{end}"] = network.t_embedder(time)
        stages[f"t_cond{end}"] = network.time(time, fps, None)
        stages[f"t_block{end}"] = chain(network.t_block, stages[f"t_cond{end}"])
    return stages


def _watch(network: STDiT3) -> Stages:
    stages: Stages = {}
    network.x_embedder = watched(network.x_embedder, stages, result="x_embed")
    network.fps_embedder = watched(network.fps_embedder, stages, result="fps_emb")
    network.y_embedder = watched(network.y_embedder, stages, result="y_tokens")
    for kind, blocks in (
        ("spatial", network.spatial_blocks),
        ("temporal", network.temporal_blocks),
    ):
        for i, block in enumerate(blocks):
            stage, by_place = f"{kind}_{i}", kind == "temporal"
            block.attn = watched(
                block.attn,
                stages,
                source=f"{stage}.attn_in",
                result=f"{stage}.attn_out",
                by_place=by_place,
            )
            block.cross_attn = watched(
                block.cross_attn, stages, source=f"{stage}.cross_in", result=f"{stage}.cross_out"
            )
            block.mlp = watched(
                block.mlp, stages, source=f"{stage}.mlp_in", result=f"{stage}.mlp_out"
            )
            blocks[i] = watched(block, stages, source=f"{stage}.in", result=f"{stage}.out")
    return stages


def _queries_and_keys(attention: Attention, case: Case) -> float:
    """How far normed and rotated queries and keys of the first temporal block are off."""
    x = case["mid.temporal_0.attn_in"]
    tubes, t, _ = x.shape
    q, k, _ = attention.qkv(x).reshape(tubes, t, 3, -1, attention.head_dim).transpose(2, 0, 1, 3, 4)
    rope = Rotary(*rope_1d(mx.arange(t), attention.head_dim, ROPE_THETA), "interleaved")
    errors = []
    for name, heads, norm in (("q", q, attention.q_norm), ("k", k, attention.k_norm)):
        normed = norm(heads)
        roped = rotate(normed[:, :, None], rope)[:, :, 0]
        for stage, ours in (("normed", normed), ("roped", roped)):
            errors.append(difference(ours.swapaxes(1, 2), case[f"mid.temporal_0.{name}_{stage}"]))
    return max(errors)
