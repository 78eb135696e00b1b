"""Tensor names of CogVideoX's transformer: the original release's, and Diffusers'.

The original names are those of zai-org/CogVideo's sat/dit_video_concat.py and of the library that
it stands on, SwissArmyTransformer, without the "model.diffusion_model." and "transformer." before
them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlxvid.weights.renaming import inverse, renamed

_MODEL = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "ofs_embed.0": "ofs_embedding.linear_1",
    "ofs_embed.2": "ofs_embedding.linear_2",
    "mixins.patch_embed": "patch_embed",
    "mixins.pos_embed.pos_embedding": "patch_embed.pos_embedding",
    "mixins.final_layer.norm_final": "norm_out.norm",
    "mixins.final_layer.adaLN_modulation.1": "norm_out.linear",
    "mixins.final_layer.linear": "proj_out",
    "final_layernorm": "norm_final",
}
# Queries, keys and values are one matrix in the release; its LoRAs have them apart and numbered.
QUERIES_KEYS_VALUES = "attention.query_key_value"
_BLOCK = {
    f"{QUERIES_KEYS_VALUES}.0": "attn1.to_q",
    f"{QUERIES_KEYS_VALUES}.1": "attn1.to_k",
    f"{QUERIES_KEYS_VALUES}.2": "attn1.to_v",
    # In LoRAs this has a number too.
    "attention.dense.0": "attn1.to_out.0",
    "mlp.dense_h_to_4h": "ff.net.0.proj",
    "mlp.dense_4h_to_h": "ff.net.2",
    "input_layernorm": "norm1.norm",
    "post_attention_layernorm": "norm2.norm",
}
# In the names, dotted or flat, of what only models for pictures have.
PICTURE_LAYERS = re.compile(r"(?:^|[._])(?:ofs_embed(?:ding)?|pos_embedding)(?:$|[._])")
# Of all blocks, by their number, in a module apart.
_NORMS = {
    "mixins.adaln_layer.query_layernorm_list": "attn1.norm_q",
    "mixins.adaln_layer.key_layernorm_list": "attn1.norm_k",
}
_OF_A_BLOCK = re.compile(r"(layers|transformer_blocks)\.(\d+)\.(.+)")
_NORM = re.compile(rf"({'|'.join(_NORMS)})\.(\d+)\.(.+)")


def transformer_name(name: str) -> str:
    """Diffusers' name for a module or tensor of the original checkpoint, the matrix of queries,
    keys and values and that of modulations excepted; unknown names are returned unchanged.

    >>> transformer_name("layers.7.mlp.dense_4h_to_h.weight")
    'transformer_blocks.7.ff.net.2.weight'
    """
    norm = _NORM.fullmatch(name)
    if norm:
        return f"transformer_blocks.{norm[2]}.{_NORMS[norm[1]]}.{norm[3]}"
    return _renamed(name, "transformer_blocks", _MODEL, _BLOCK)


def original_name(name: str) -> str:
    """The name that the original's LoRAs have for a layer of Diffusers'."""
    return _renamed(name, "layers", inverse(_MODEL), inverse(_BLOCK))


def _renamed(name: str, blocks: str, model: Mapping[str, str], block: Mapping[str, str]) -> str:
    match = _OF_A_BLOCK.fullmatch(name)
    if match is None:
        return renamed(name, model)
    return f"{blocks}.{match[2]}.{renamed(match[3], block)}"
