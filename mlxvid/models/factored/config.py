"""Sizes of the factored model's networks, and the words it was trained with.

The sizes are read from each network's config.json, the words from model_index.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class VAEConfig:
    """A causal 3D VAE with patches of t x p x p pixels and a grid that is halved once more.

    Its t_factor is t (`patch_size_t`), its s_factor 2p (`patch_size`).
    """

    latent_channels: int = 16
    patch_size: int = 4
    patch_size_t: int = 4
    block_channels: list[int] = field(default_factory=lambda: [128, 192])
    encoder_layers: list[int] = field(default_factory=lambda: [1, 2])
    decoder_layers: list[int] = field(default_factory=lambda: [3, 3])
    latents_mean: list[float] | None = None  # of each channel; None: 0
    latents_std: list[float] | None = None  # of each channel; None: 1

    def __post_init__(self):
        for scale in (self.latents_mean, self.latents_std):
            if scale is not None and len(scale) != self.latent_channels:
                raise ValueError(
                    f"{len(scale)} latents_mean or latents_std for {self.latent_channels} channels"
                )


@dataclass
class TextConfig:
    """A small bidirectional transformer over word pieces."""

    vocab_size: int = 320
    hidden_size: int = 128
    num_layers: int = 2
    attention_head_dim: int = 64
    max_length: int = 48


@dataclass
class TransformerConfig:
    """The diffusion transformer.

    `patch_size_t` x `patch_size` x `patch_size` latent positions are one token.
    """

    in_channels: int = 16
    patch_size: int = 2
    patch_size_t: int = 1
    hidden_size: int = 192
    num_layers: int = 6
    attention_head_dim: int = 64
    text_dim: int = 128
    rope_theta: float = 100.0
