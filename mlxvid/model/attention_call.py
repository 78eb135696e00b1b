"""A family's attention blocks with random weights, to measure what each way of attending costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

# Tokens of the prompt, and channels of each.
TEXT_TOKENS = 20
TEXT_WIDTH = 64

AttentionCall = Callable[[mx.array, str], mx.array]
"""Of latents [1, F, H, W, C] and an attention mode."""


@dataclass(frozen=True)
class Blocks:
    """The sizes of what is measured: `depth` blocks over space and as many over time.

    latent: positions of a frame, height and width. patch: latent positions a token. dtype: of
    weights and activations.
    """

    heads: int
    head_dim: int
    depth: int
    channels: int
    latent: tuple[int, int]
    patch: tuple[int, int, int]
    dtype: mx.Dtype = mx.float32

    @property
    def width(self) -> int:
        """Values a token."""
        return self.heads * self.head_dim

    @property
    def tokens_a_frame(self) -> int:
        """Tokens of a frame."""
        height, width = self.latent
        return -(-height // self.patch[1]) * -(-width // self.patch[2])


def prompt_states() -> mx.array:
    """States of a prompt [1, TEXT_TOKENS, TEXT_WIDTH]."""
    return mx.random.normal((1, TEXT_TOKENS, TEXT_WIDTH))


def drawn(network: nn.Module, dtype: mx.Dtype) -> nn.Module:
    """The network with small random weights of a type."""
    weights = tree_map(lambda weight: mx.random.normal(weight.shape) * 0.02, network.parameters())
    network.update(weights)
    network.set_dtype(dtype)
    mx.eval(network.parameters())
    return network
