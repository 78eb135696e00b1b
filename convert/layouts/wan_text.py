"""Wan 2.1's text encoder as released -> transformers' UMT5EncoderModel.

Facts from wan/modules/t5.py of Wan-Video/Wan2.1, transformers' UMT5, and the config.json of
google/umt5-xxl. Files repackaged for ComfyUI have transformers' names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlxvid.weights.tensors import Tensor

from . import t5

RELEASED_MARKS = frozenset(
    {
        "token_embedding.weight",
        "blocks.0.attn.q.weight",
        "blocks.0.pos_embedding.embedding.weight",
    }
)
REPACKAGED_MARKS = frozenset({"shared.weight", *t5.BIAS_MARKS})
# In a text encoder repackaged for ComfyUI: the tokenizer's file.
SENTENCEPIECE = "spiece_model"
_NAMES = {
    "token_embedding.weight": "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
}
_BLOCK_NAMES = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors by transformers' names; unknown ones keep their own."""
    renamed = {}
    for name, tensor in original.items():
        if name != SENTENCEPIECE:
            renamed[_name(name)] = tensor
    return renamed


def _name(name: str) -> str:
    match = _BLOCK.fullmatch(name)
    if match is None or match[2] not in _BLOCK_NAMES:
        return _NAMES.get(name, name)
    number, layer, end = match.groups()
    return f"encoder.block.{number}.{_BLOCK_NAMES[layer]}.{end}"


def config(renamed: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config.json, from the shapes of :func:`tensors`."""
    return t5.encoder_config(renamed, model_type="umt5", architecture="UMT5EncoderModel")
