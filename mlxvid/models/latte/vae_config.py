"""The sizes of Latte's two VAEs, read from their config.json."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig


@dataclass(frozen=True)
class TemporalDecoderConfig(AutoencoderKLConfig):
    """Diffusers' AutoencoderKLTemporalDecoder: the sizes of an AutoencoderKL, whose latents go into
    the decoder as they are.
    """

    use_post_quant_conv: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.use_post_quant_conv:
            raise ValueError("use_post_quant_conv, which a temporal decoder has not")
