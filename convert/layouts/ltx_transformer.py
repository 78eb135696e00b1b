"""LTX-Video's transformer as released -> Diffusers' LTXVideoTransformer3DModel.

Facts from ltx_video/models/transformers/transformer3d.py of Lightricks/LTX-Video.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.ltx.names import diffusers_name
from mlxvid.weights.tensors import Tensor

from ..release import block_count, shape_of

MARKS = frozenset(
    {
        "patchify_proj.weight",
        "adaln_single.linear.weight",
        "caption_projection.linear_1.weight",
        "transformer_blocks.0.attn1.q_norm.weight",
        "scale_shift_table",
    }
)
# Of every release.
HEADS = 32


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names; unknown ones keep their own."""
    return {diffusers_name(name): tensor for name, tensor in original.items()}


def config(
    renamed: Mapping[str, Tensor], own: Mapping[str, Any], causal: bool, path: Path
) -> dict[str, Any]:
    """Diffusers' config.json, from the shapes of :func:`tensors`.

    own: the release's config in the file at `path`, empty where it has none, for what no shape
    shows. causal: the positions' kind where that doesn't say. Raises :class:`WeightsError` where
    the two contradict each other.
    """
    width, channels = shape_of(renamed, "proj_in.weight", 2)
    heads = own.get("num_attention_heads", HEADS)
    divides = isinstance(heads, int) and 0 < heads <= width and width % heads == 0
    layers = block_count(renamed, "transformer_blocks.")
    if not divides or own.get("num_layers", layers) != layers:
        raise WeightsError(
            f"The transformer in {path} has {layers} blocks of {width} values, which is not what "
            "its config says; download the file again."
        )
    stated = own.get("causal_temporal_positioning")
    # A file that has its config says so of the models that are causal.
    causal = stated is True if own else causal
    return {
        "_class_name": "LTXVideoTransformer3DModel",
        "in_channels": channels,
        "out_channels": shape_of(renamed, "proj_out.weight", 2)[0],
        "patch_size": 1,
        "patch_size_t": 1,
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "cross_attention_dim": shape_of(renamed, "transformer_blocks.0.attn2.to_k.weight", 2)[1],
        "num_layers": layers,
        "activation_fn": "gelu-approximate",
        "qk_norm": "rms_norm_across_heads",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-06,
        "caption_channels": shape_of(renamed, "caption_projection.linear_1.weight", 2)[1],
        "attention_bias": True,
        "attention_out_bias": True,
        "causal_temporal_positioning": causal,
    }
