"""What is particular to Latte on the way from prompt to clip, after Diffusers' LattePipeline.

Frames are decoded by the `vae_temporal_decoder` where the model's folder has one, as the release's
own scripts do, since it keeps them from flickering; Diffusers' pipeline itself only knows the
`vae`, which sees every frame alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from mlxvid.model import base
from mlxvid.model.attention_call import AttentionCall, Blocks, drawn, prompt_states
from mlxvid.model.base import Components
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.folder import from_json
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import NoiseConfig, Scheduler, sampler
from mlxvid.text.clean import clean_caption
from mlxvid.text.tokenizer import load_tokenizer

from .card import SAMPLERS, TEMPORAL, TEXT_TOKENS
from .config import LatteConfig
from .transformer import LatteTransformer3DModel

log = logging.getLogger("mlxvid")

SCHEDULER_CONFIG = "scheduler_config.json"


class Model(base.Model):
    """One Latte model. Its scheduler's config is that of the noise schedule for all samplers."""

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        schedule = self.folder.json("scheduler", SCHEDULER_CONFIG)
        self.noise = from_json(NoiseConfig, schedule, self.path / "scheduler" / SCHEDULER_CONFIG)
        own = schedule.get("_class_name")
        if own not in tuple(SAMPLERS):
            log.warning(
                "The model's own scheduler, %s, is not known here: %s takes its place.",
                own,
                card.defaults.sampler,
            )
        if (self.path / TEMPORAL).is_dir():
            self.decoder = TEMPORAL
        self.tokenizer = load_tokenizer(self.path / "tokenizer", TEXT_TOKENS)

    def network(self, name: str, watch: Watch | None = None) -> Any:
        return super().network(self.decoder if name == "vae" else name, watch)

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """text [B, L, D]: the encoder's states, as long as the last prompt: the transformer reads
        all of them.

        Of a shorter prompt beside it they are what the encoder makes of padding, which is what the
        reference has there.
        """
        ids, mask = self.tokenizer([clean_caption(prompt) for prompt in prompts])
        states = self.text_states(ids, mask, watch)
        return Conditions({"text": states[:, : int(mask[-1].sum())]})

    def scheduler(self, request: Request) -> Scheduler:
        if request.sampler == "ddpm" and self.noise.variance_type in ("learned", "learned_range"):
            log.warning(
                "The noise that ddpm adds has the variance of the schedule here, not the one that "
                "the model predicts."
            )
        kind = sampler(request.sampler, self.card.samplers)
        return kind(request.steps, self.noise, request.seed)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The noise in latents [B, F, H, W, C], float32; what the network says of its variance is
        dropped.
        """
        times = mx.full((x.shape[0],), time * self.noise.num_train_timesteps)
        # A picture is made without the blocks over time.
        mode = "spatial" if x.shape[1] == 1 else request.attention
        output = self.network("transformer")(x, times, conditions["text"], mode)
        return output[..., : x.shape[-1]].astype(mx.float32)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        for part in self.network("vae", watch).decode(latents):
            yield part[0]

    @staticmethod
    def attention_call(blocks: Blocks, frames: int) -> AttentionCall:
        """A pair of the family's blocks with random weights: see :class:`Blocks`."""
        text = prompt_states()
        config = LatteConfig(
            num_attention_heads=blocks.heads,
            attention_head_dim=blocks.head_dim,
            in_channels=blocks.channels,
            out_channels=2 * blocks.channels,
            num_layers=blocks.depth,
            cross_attention_dim=blocks.width,
            attention_bias=True,
            patch_size=blocks.patch[1],
            activation_fn="gelu-approximate",
            norm_type="ada_norm_single",
            norm_elementwise_affine=False,
            caption_channels=text.shape[-1],
            video_length=frames,
        )
        network = drawn(LatteTransformer3DModel(config), blocks.dtype)
        return lambda x, mode: network(x, mx.array([500.0]), text, mode)
