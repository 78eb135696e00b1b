"""The layers of CLIP's encoders of pictures and of text (arXiv:2103.00020)."""

from __future__ import annotations

from typing import Protocol

import mlx.core as mx
import mlx.nn as nn

ACTIVATIONS = {"quick_gelu": nn.gelu_fast_approx, "gelu": nn.gelu}


class Sizes(Protocol):
    """What the config of either encoder says of its layers."""

    @property
    def hidden_size(self) -> int: ...

    @property
    def intermediate_size(self) -> int: ...

    @property
    def num_hidden_layers(self) -> int: ...

    @property
    def num_attention_heads(self) -> int: ...

    @property
    def hidden_act(self) -> str: ...

    @property
    def layer_norm_eps(self) -> float: ...


class Attention(nn.Module):
    def __init__(self, config: Sizes):
        super().__init__()
        dim = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(dim, dim)
        self.k_proj = nn.Linear(dim, dim)
        self.v_proj = nn.Linear(dim, dim)
        self.out_proj = nn.Linear(dim, dim)

    def __call__(self, x: mx.array, mask: str | None) -> mx.array:
        b, n, c = x.shape
        q = self._heads(self.q_proj(x))
        k = self._heads(self.k_proj(x))
        v = self._heads(self.v_proj(x))
        x = mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=mask)
        return self.out_proj(x.transpose(0, 2, 1, 3).reshape(b, n, c))

    def _heads(self, x: mx.array) -> mx.array:
        b, n, _ = x.shape
        return x.reshape(b, n, self.heads, -1).transpose(0, 2, 1, 3)


class MLP(nn.Module):
    def __init__(self, config: Sizes):
        super().__init__()
        self.activation = ACTIVATIONS[config.hidden_act]
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def __call__(self, x: mx.array) -> mx.array:
        return self.fc2(self.activation(self.fc1(x)))


class Layer(nn.Module):
    """Attention, then feed-forward, of [B, N, C]. mask: "causal", or None for all tokens."""

    def __init__(self, config: Sizes):
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.self_attn = Attention(config)
        self.layer_norm2 = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.mlp = MLP(config)

    def __call__(self, x: mx.array, mask: str | None = None) -> mx.array:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, config: Sizes):
        super().__init__()
        self.layers = [Layer(config) for _ in range(config.num_hidden_layers)]
