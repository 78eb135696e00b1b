"""CLIP's text encoder, for what a prompt says as a whole."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from .clip_layers import Encoder
from .clip_text_config import OLD_EOS, CLIPTextConfig

PREFIX = "text_model."
UNUSED = ("position_ids", "text_projection.weight", "logit_scale")


class Embeddings(nn.Module):
    """Token ids [B, L] -> embeddings with positions, [B, L, C]."""

    def __init__(self, config: CLIPTextConfig):
        super().__init__()
        dim = config.hidden_size
        self.token_embedding = nn.Embedding(config.vocab_size, dim)
        self.position_embedding = nn.Embedding(config.max_position_embeddings, dim)

    def __call__(self, ids: mx.array) -> mx.array:
        return self.token_embedding(ids) + self.position_embedding.weight[: ids.shape[1]]


class TextTransformer(nn.Module):
    def __init__(self, config: CLIPTextConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)


class CLIPTextModel(nn.Module):
    """Token ids int32 [B, L] and their mask bool [B, L] -> the state of each text's end, [B, C].

    Transformers' pooler_output (arXiv:2103.00020). Attention is causal, so that no padding after
    the end counts. Each row has an end; L is the config's `max_position_embeddings` at most.
    """

    def __init__(self, config: CLIPTextConfig):
        super().__init__()
        self.eos = config.eos_token_id
        self.text_model = TextTransformer(config)

    @staticmethod
    def sanitize(weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Names with "text_model.", and neither the image encoder nor the projections of a CLIP."""
        kept = {}
        for name, weight in weights.items():
            if not name.startswith(("vision_model.", "visual_projection")):
                if not name.endswith(UNUSED):
                    kept[PREFIX + name.removeprefix(PREFIX)] = weight
        return kept

    @staticmethod
    def quantizable(name: str, module: nn.Module) -> bool:
        """Whether to quantize: the layers' matrices, not tokens and positions."""
        return isinstance(module, nn.Linear)

    def __call__(self, ids: mx.array, mask: mx.array) -> mx.array:
        x = self.text_model.embeddings(ids)
        for layer in self.text_model.encoder.layers:
            x = layer(x, "causal")
        ends = ids if self.eos == OLD_EOS else ids == self.eos
        # Of several the first: CLIP pads with the same id.
        return self.text_model.final_layer_norm(x[mx.arange(len(ids)), ends.argmax(axis=1)])
