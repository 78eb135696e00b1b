"""Llama as a text encoder: its states before the last two layers."""

from __future__ import annotations

import re

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.bounds import evaluate
from mlxvid.layers.streaming import in_memory

from .llama_block import TransformerBlock, block_args
from .llama_config import LlamaConfig

LAYER = re.compile(r"layers\.(\d+)\.")


class LlamaEncoder(nn.Module):
    """Token ids int32 [B, L] and their mask bool [B, L] -> states [B, L, D].

    The states are transformers' `hidden_states[-3]` (arXiv:2407.21783): neither the last two
    layers nor the last norm exist here. Rows are padded on the right, so that causal attention
    alone hides padding from all tokens; where the mask is false the states mean nothing.
    """

    tables = ("embed_tokens",)
    """The embeddings of which a call uses few rows: see :mod:`mlxvid.layers.streaming`."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        args = block_args(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [TransformerBlock(args) for _ in range(config.layers)]

    def pieces(self) -> dict[str, nn.Module]:
        """The layers, by their names, whose weights are used one after another."""
        return {f"layers.{number}": layer for number, layer in enumerate(self.layers)}

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Names of the bare model, without the layers, the norm and the head that are not run."""
        kept = {}
        for name, weight in weights.items():
            name = name.removeprefix("model.")
            layer = LAYER.match(name)
            if layer and int(layer[1]) >= len(self.layers):
                continue
            if name in ("norm.weight", "lm_head.weight") or name.endswith("rotary_emb.inv_freq"):
                continue
            kept[name] = weight
        return kept

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: attention and feed-forward, not the embedding."""
        return isinstance(module, nn.Linear)

    def __call__(self, ids: mx.array, mask: mx.array) -> mx.array:
        return self.states_of(self.embed_tokens(ids))

    def states_of(self, x: mx.array) -> mx.array:
        """The states of embedded tokens [B, L, D]."""
        for number, layer in enumerate(self.layers, 1):
            with in_memory(layer):
                x = layer(x, "causal")
                # With billions of weights, one layer is work enough for one evaluation.
                evaluate(x, number / len(self.layers))
        return x
