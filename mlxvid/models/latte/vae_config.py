"""Sizes of the VAE with a temporal decoder, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig


@dataclass(frozen=True)
class TemporalDecoderConfig(AutoencoderKLConfig):
    """The config of Diffusers' AutoencoderKLTemporalDecoder.

    An AutoencoderKL's, without a convolution between latents and decoder.
    """

    use_post_quant_conv: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.use_post_quant_conv:
            raise ValueError("use_post_quant_conv, which a temporal decoder has not")
