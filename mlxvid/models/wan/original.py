"""Tensor names of Wan's transformer: the original release's, and Diffusers'.

Sources: wan/modules/model.py of Wan-Video/Wan2.1 (``WanModel``) and Diffusers'
``WanTransformer3DModel``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlxvid.weights.renaming import inverse, renamed

_MODEL = {
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "head.head": "proj_out",
    "head.modulation": "scale_shift_table",
}
_ATTENTION = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "norm_q": "norm_q",
    "norm_k": "norm_k",
    "k_img": "add_k_proj",
    "v_img": "add_v_proj",
    "norm_k_img": "norm_added_k",
}
_BLOCK = {
    **{f"self_attn.{theirs}": f"attn1.{ours}" for theirs, ours in _ATTENTION.items()},
    **{f"cross_attn.{theirs}": f"attn2.{ours}" for theirs, ours in _ATTENTION.items()},
    # The releases number the norms differently: the original's norm3 is before the
    # cross-attention, as Diffusers' norm2 does.
    "norm2": "norm3",
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
    "modulation": "scale_shift_table",
}

# Layers that some trainers have in one, by the names of either release, and what they are made of.
FUSED_LAYERS = {
    "to_qkv": ("to_q", "to_k", "to_v"),
    "to_kv": ("to_k", "to_v"),
    "to_added_kv": ("add_k_proj", "add_v_proj"),
    "qkv": ("q", "k", "v"),
    "kv": ("k", "v"),
    "kv_img": ("k_img", "v_img"),
}
# In the names, dotted or flat, of the layers that only models for pictures have.
PICTURE_LAYERS = re.compile(
    r"(?:^|[._])(?:[kv]_img|norm_k_img|kv_img|img_emb|add_[kvq]_proj|to_added_kv|norm_added_[kq]"
    r"|image_embedder)(?:$|[._])"
)


def transformer_name(name: str) -> str:
    """Diffusers' name for a module or tensor of the original checkpoint.

    Unknown names, and those that both share, are returned unchanged.

    >>> transformer_name("blocks.0.self_attn.q.weight")
    'blocks.0.attn1.to_q.weight'
    """
    return _renamed(name, _MODEL, _BLOCK)


def original_name(name: str) -> str:
    """The inverse of :func:`transformer_name`."""
    return _renamed(name, inverse(_MODEL), inverse(_BLOCK))


def _renamed(name: str, model: Mapping[str, str], block: Mapping[str, str]) -> str:
    """`name` by the table for what follows "blocks.N.", or by that for other names."""
    match = re.match(r"blocks\.\d+\.", name)
    prefix = match[0] if match else ""
    return prefix + renamed(name[len(prefix) :], block if prefix else model)
