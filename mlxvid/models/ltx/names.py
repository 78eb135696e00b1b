"""Names of the transformer's layers in the original release, as its LoRAs have them.

Source: ltx_video/models/transformers/transformer3d.py of Lightricks/LTX-Video.
"""

from __future__ import annotations

_ORIGINAL = {
    "proj_in": "patchify_proj",
    "time_embed": "adaln_single",
    "norm_q": "q_norm",
    "norm_k": "k_norm",
}
_DIFFUSERS = {original: ours for ours, original in _ORIGINAL.items()}

# Layers that some trainers have in one, and what they are made of.
FUSED_LAYERS = {"to_qkv": ("to_q", "to_k", "to_v"), "to_kv": ("to_k", "to_v")}


def original_name(name: str) -> str:
    """The original release's name for a module or tensor; unknown names are returned unchanged.

    >>> original_name("transformer_blocks.0.attn1.norm_q.weight")
    'transformer_blocks.0.attn1.q_norm.weight'
    """
    return ".".join(_ORIGINAL.get(segment, segment) for segment in name.split("."))


def diffusers_name(name: str) -> str:
    """The inverse of :func:`original_name`."""
    return ".".join(_DIFFUSERS.get(segment, segment) for segment in name.split("."))
