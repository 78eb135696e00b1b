"""What is particular to Latte on the way from prompt to clip, after Diffusers' LattePipeline.

Frames are decoded by the `vae_temporal_decoder` where the model's folder has one, as the release's
own scripts do, since it keeps them from flickering; Diffusers' pipeline itself only knows the
`vae`, which sees every frame alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from mlxvid.layers.autoencoder_kl import AutoencoderKL
from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig
from mlxvid.model.base import Family as Base
from mlxvid.model.base import Part
from mlxvid.model.folder import from_json
from mlxvid.model.geometry import Facts
from mlxvid.run.request import Request
from mlxvid.schedulers import NoiseConfig, sampler
from mlxvid.text.clean import clean_caption
from mlxvid.text.t5 import T5EncoderModel
from mlxvid.text.t5_config import T5Config
from mlxvid.text.tokenizer import load_tokenizer

from .config import LatteConfig
from .facts import SAMPLERS
from .transformer import LatteTransformer3DModel
from .vae import AutoencoderKLTemporalDecoder
from .vae_config import TemporalDecoderConfig

log = logging.getLogger("mlxvid")

TEXT_TOKENS = 120
TEMPORAL = "vae_temporal_decoder"


class Family(Base):
    """One Latte model. Its scheduler's config is that of the noise schedule for all samplers."""

    parts = {
        "text_encoder": Part(T5EncoderModel, T5Config, "bfloat16"),
        "transformer": Part(LatteTransformer3DModel, LatteConfig, "float16"),
        "vae": Part(AutoencoderKL, AutoencoderKLConfig, "float32"),
        TEMPORAL: Part(AutoencoderKLTemporalDecoder, TemporalDecoderConfig, "float32"),
    }
    samplers = tuple(SAMPLERS.values())

    def __init__(self, components: Any, facts: Facts):
        super().__init__(components, facts)
        folder, file = components.folder, "scheduler_config.json"
        schedule = folder.json("scheduler", file)
        self.noise, own = (
            from_json(NoiseConfig, schedule, folder.path / "scheduler" / file),
            schedule.get("_class_name"),
        )
        if own not in tuple(SAMPLERS):
            log.warning(
                "The model's own scheduler, %s, is not known here: %s takes its place.",
                own,
                facts.defaults.sampler,
            )
        self.decoder = TEMPORAL if (folder.path / TEMPORAL).is_dir() else "vae"
        self.tokenizer = load_tokenizer(folder.path / "tokenizer", TEXT_TOKENS)

    def network(self, name: str, watch: Any = None) -> nn.Module:
        return super().network(self.decoder if name == "vae" else name, watch)

    def encode_text(self, prompts: list[str]) -> dict[str, mx.array]:
        """text [B, L, D]: the encoder's states, as long as the last prompt is: the transformer
        reads all of them.

        Of a shorter prompt beside it they are what the encoder makes of padding, which is what the
        reference has there.
        """
        ids, mask = self.tokenizer([clean_caption(prompt) for prompt in prompts])
        states = self.network("text_encoder")(ids, mask)
        return {"text": states[:, : int(mask[-1].sum())]}

    def scheduler(self, request: Request) -> Any:
        if request.sampler == "ddpm" and self.noise.variance_type in ("learned", "learned_range"):
            log.warning(
                "The noise that ddpm adds has the variance of the schedule here, not the one that the model foresees."
            )
        return sampler(request.sampler, self.samplers)(request.steps, self.noise, request.seed)

    def predict(
        self, x: mx.array, time: float, conditions: Mapping[str, mx.array], attention: str
    ) -> mx.array:
        """The noise in latents [B, F, H, W, C], float32; what the network says of its variance is
        dropped.
        """
        times = mx.full((x.shape[0],), time * self.noise.num_train_timesteps)
        picture = x.shape[1] == 1  # made without the blocks over time
        out = self.network("transformer")(
            x, times, conditions["text"], "spatial" if picture else attention
        )
        return out[..., : x.shape[-1]].astype(mx.float32)

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        for part in self.network("vae").decode(latents):
            yield part[0]
