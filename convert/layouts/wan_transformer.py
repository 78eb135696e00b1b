"""Wan 2.1's transformer as released -> Diffusers' WanTransformer3DModel and its schedule.

Facts from wan/modules/model.py and wan/configs of Wan-Video/Wan2.1, and Diffusers' own conversions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.wan.defaults import SHIFT_480P, SHIFT_720P
from mlxvid.models.wan.original import transformer_name
from mlxvid.weights.tensors import Tensor

from ..release import WeightFile, block_count, shape_of

MARKS = frozenset(
    {
        "patch_embedding.weight",
        "head.modulation",
        "blocks.0.self_attn.q.weight",
        "time_projection.1.weight",
    }
)
# Of every transformer of Wan, for a folder whose config.json does not give the number of heads.
HEAD_DIM = 128
# The width of the models of 14 billion parameters.
WIDE = 5120
_SIZE = re.compile(r"(?<![0-9])(480|720)p", re.IGNORECASE)
# Of the model from a first to a last image, in the release and in Diffusers alike.
SHIFT_FIRST_LAST = 16.0


def is_transformer(file: WeightFile) -> bool:
    """Whether the tensors have the names that Wan's own code gives a transformer's."""
    return file.tensors.keys() >= MARKS


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names."""
    return {transformer_name(name): tensor for name, tensor in original.items()}


def config(renamed: Mapping[str, Tensor], own: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Diffusers' config.json, from the shapes of :func:`tensors` and the release's config.

    own: the release's config.json (at `path`), for what no shape shows. Raises
    :class:`WeightsError` where the two contradict each other.
    """
    embedder = "condition_embedder"
    width, channels, *patch = shape_of(renamed, "patch_embedding.weight", 5)
    heads = own.get("num_heads", width // HEAD_DIM)
    divides = isinstance(heads, int) and 0 < heads <= width and width % heads == 0
    if own.get("dim", width) != width or not divides:
        raise WeightsError(f"{path} does not match the transformer beside it; download both again.")
    outputs = shape_of(renamed, "proj_out.weight", 2)[0]
    image_dim = None
    if f"{embedder}.image_embedder.norm1.weight" in renamed:
        image_dim = shape_of(renamed, f"{embedder}.image_embedder.norm1.weight", 1)[0]
    positions = None
    if f"{embedder}.image_embedder.pos_embed" in renamed:
        positions = shape_of(renamed, f"{embedder}.image_embedder.pos_embed", 3)[1]
    return {
        "_class_name": "WanTransformer3DModel",
        "patch_size": list(patch),
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": channels,
        "out_channels": outputs // math.prod(patch),
        "text_dim": shape_of(renamed, f"{embedder}.text_embedder.linear_1.weight", 2)[1],
        "freq_dim": shape_of(renamed, f"{embedder}.time_embedder.linear_1.weight", 2)[1],
        "ffn_dim": shape_of(renamed, "blocks.0.ffn.net.0.proj.weight", 2)[0],
        "num_layers": block_count(renamed, "blocks."),
        "cross_attn_norm": "blocks.0.norm2.weight" in renamed,
        "qk_norm": "rms_norm_across_heads",
        "eps": own.get("eps", 1e-6),
        "image_dim": image_dim,
        "added_kv_proj_dim": width if "blocks.0.attn2.add_k_proj.weight" in renamed else None,
        "rope_max_seq_len": 1024,
        "pos_embed_seq_len": positions,
    }


def scheduler_config(shift: float) -> dict[str, Any]:
    """Diffusers' UniPC with the flow-matching noise schedule, as in its own conversions of Wan."""
    return {
        "_class_name": "UniPCMultistepScheduler",
        "num_train_timesteps": 1000,
        "solver_order": 2,
        "solver_type": "bh2",
        "prediction_type": "flow_prediction",
        "predict_x0": True,
        "lower_order_final": True,
        "final_sigmas_type": "zero",
        "timestep_spacing": "linspace",
        "use_flow_sigmas": True,
        "flow_shift": shift,
    }


def flow_shift(config: Mapping[str, Any], path: Path) -> tuple[float, str]:
    """The noise schedule's shift, and what tells it, for a note; "" where the sizes do.

    The image models for 480p and 720p differ only in their weights: the name of the file at `path`
    decides, or that of a folder above it.
    """
    if config["pos_embed_seq_len"] is not None:
        return SHIFT_FIRST_LAST, ""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    if config["image_dim"] is None:
        return (SHIFT_480P if width < WIDE else SHIFT_720P), ""
    for name in (path.name, *(parent.name for parent in path.resolve().parents)):
        sizes = set(_SIZE.findall(name))
        if len(sizes) == 1:
            size = sizes.pop()
            return (SHIFT_480P if size == "480" else SHIFT_720P), f"{size}p by the name {name}"
    return SHIFT_720P, "720p, since no name says 480p"
