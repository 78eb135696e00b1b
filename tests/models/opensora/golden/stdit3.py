"""Comparisons of the transformer in every variant, and its inventory: stdit3_*."""

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
from tests.golden.files import (
    MODULES,
    Check,
    Tensors,
    channels_last,
    difference,
    misplaced,
    number,
    read_json,
    read_network,
    read_tensors,
)
from tests.golden.stages import stage_check, watched


def check(folder: Path) -> Iterator[Check]:
    """Every inventory and every case of a transformer in the folder."""
    for path in sorted(folder.glob("stdit3_*_inventory.json")):
        inventory = read_json(path)
        wrong = misplaced(STDiT3, _config(inventory["tensors"]), inventory)
        yield Check(f"{path.name}: tensors out of place", wrong, 0)
    for config_path in sorted(folder.glob("stdit3_*.config.json")):
        stem = config_path.name.removesuffix(".config.json")
        for path in sorted(folder.glob(f"{stem}.case*.safetensors")):
            # A new network for each case, since watched layers are put into it.
            network = read_network(folder, stem, STDiT3, STDiT3Config)
            yield from _case(network, path.stem, read_tensors(path))


def _config(tensors: dict[str, list[int]]) -> STDiT3Config:
    """The config that an inventory's shapes imply, the defaults for the rest."""
    hidden, channels, _, patch, _ = tensors["x_embedder.proj.weight"]
    length, captions = tensors["y_embedder.y_embedding"]
    tables = [name for name in tensors if name.endswith(".scale_shift_table")]
    return STDiT3Config(
        in_channels=channels,
        patch_size=[1, patch, patch],
        hidden_size=hidden,
        depth=sum(name.startswith("spatial_blocks.") for name in tables),
        num_heads=hidden // (2 * tensors["rope.freqs"][0]),
        caption_channels=captions,
        model_max_length=length,
        qk_norm="spatial_blocks.0.attn.q_norm.weight" in tensors,
    )


def _doubled(case: Tensors, key: str, batch: int) -> mx.array:
    """A case's input for the whole batch: with guidance that is doubled, what both share is not."""
    return mx.concatenate([case[key]] * (batch // len(case[key])))


def _case(network: STDiT3, name: str, case: Tensors) -> Iterator[Check]:
    attention = network.temporal_blocks[0].attn
    x = channels_last(case["in.x"])
    text = case["in.y"][:, 0]
    fps = _doubled(case, "in.fps", len(x))
    mask = _doubled(case, "in.mask", len(x)).astype(mx.bool_) if "in.mask" in case else None
    x_mask = case["in.x_mask"].astype(mx.bool_) if "in.x_mask" in case else None
    height = number(case["in.height"])
    width = number(case["in.width"])
    times = _times(network, case["in.timestep"], fps)
    stages = _watch(network)
    out = network(x, case["in.timestep"], text, mask, fps, height, width, x_mask)
    # The reference modulates given frames twice in its last layer, and throws them away.
    generated = np.ones(x.shape[:2], bool) if x_mask is None else np.array(x_mask)
    theirs = np.array(channels_last(case["out"]))
    yield Check(f"{name} out", difference(np.array(out)[generated], theirs[generated]), MODULES)
    stages["x_pos"] = stages["spatial_0.in"]
    rows, columns = stages["x_embed"].shape[2:4]
    stages["pos_emb"] = network.positions(rows, columns, height, width)
    if mask is not None:
        stages["y_tokens"] = mx.array(np.array(stages["y_tokens"])[np.array(mask)])
    yield from stage_check(name, stages | times, case)
    if "mid.temporal_0.q_roped" in case:
        error = _queries_and_keys(attention, case)
        yield Check(f"{name}, queries and keys over time", error, MODULES)


def _times(network: STDiT3, timestep: mx.array, fps: mx.array) -> Tensors:
    """The embeddings of a clip's timestep, and of timestep 0, at which given frames are.

    The golden files have the two apart.
    """
    stages: Tensors = {}
    for end, time in (("", timestep), ("_t0", mx.zeros_like(timestep))):
        stages[f"t_emb{end}"] = network.t_embedder(time)
        stages[f"t_cond{end}"] = network.time(time, fps, None)
        stages[f"t_block{end}"] = chain(network.t_block, stages[f"t_cond{end}"])
    return stages


def _watch(network: STDiT3) -> Tensors:
    """The stages of the network's next call, filled in as it runs."""
    stages: Tensors = {}
    network.x_embedder = watched(network.x_embedder, stages, result="x_embed")
    network.fps_embedder = watched(network.fps_embedder, stages, result="fps_emb")
    network.y_embedder = watched(network.y_embedder, stages, result="y_tokens")
    kinds = {"spatial": network.spatial_blocks, "temporal": network.temporal_blocks}
    for kind, blocks in kinds.items():
        for i, block in enumerate(blocks):
            stage = f"{kind}_{i}"
            block.attn = watched(
                block.attn,
                stages,
                source=f"{stage}.attn_in",
                result=f"{stage}.attn_out",
                by_place=kind == "temporal",
            )
            block.cross_attn = watched(
                block.cross_attn, stages, source=f"{stage}.cross_in", result=f"{stage}.cross_out"
            )
            block.mlp = watched(
                block.mlp, stages, source=f"{stage}.mlp_in", result=f"{stage}.mlp_out"
            )
            blocks[i] = watched(block, stages, source=f"{stage}.in", result=f"{stage}.out")
    return stages


def _queries_and_keys(attention: Attention, case: Tensors) -> float:
    """The error of normed and of rotated queries and keys of the first temporal block."""
    assert attention.q_norm is not None and attention.k_norm is not None
    x = case["mid.temporal_0.attn_in"]
    tubes, t, _ = x.shape
    qkv = attention.qkv(x).reshape(tubes, t, 3, -1, attention.head_dim)
    rope = Rotary(*rope_1d(mx.arange(t), attention.head_dim, ROPE_THETA), "interleaved")
    errors = []
    for i, (name, norm) in enumerate((("q", attention.q_norm), ("k", attention.k_norm))):
        normed = norm(qkv[:, :, i].swapaxes(1, 2))
        turned = rotate(normed.swapaxes(1, 2)[:, :, None], rope)[:, :, 0].swapaxes(1, 2)
        for stage, ours in (("normed", normed), ("roped", turned)):
            errors.append(difference(ours, case[f"mid.temporal_0.{name}_{stage}"]))
    return max(errors)
