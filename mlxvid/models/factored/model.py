"""What is particular to the factored family on the way from prompt to clip."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx

from mlxvid.errors import WeightsError
from mlxvid.model import base
from mlxvid.model.attention_call import AttentionCall, Blocks, drawn, prompt_states
from mlxvid.model.base import Components, Shot, Stage
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import Scheduler, sampler
from mlxvid.schedulers.given import GivenOnTrajectory
from mlxvid.text.tokenizer import SentencePieceTokenizer

from .config import TextConfig, TransformerConfig
from .transformer import FactoredTransformer


class Model(base.Model):
    """Text, pictures, denoiser and decoder of one factored model."""

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        text = self.folder.config("text_encoder", TextConfig)
        words = self.path / "tokenizer" / "spiece.model"
        self.tokenizer = SentencePieceTokenizer.load(words, text.max_length)
        if self.tokenizer.model.get_piece_size() > text.vocab_size:
            raise WeightsError(
                f"The parts of {self.path} come from different models; download or convert the "
                "model again."
            )

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        return FactoredShot(self, request, noise, self.conditions(request, watch))

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """text [B, L, D] and mask [B, L] of B prompts."""
        ids, mask = self.tokenizer(prompts)
        return Conditions({"text": self.text_states(ids, mask, watch), "mask": mask})

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """condition [1, F, H, W, C + 1]: of each latent frame that a picture is given for, its
        latents and a channel of ones; zeros elsewhere.
        """
        frames, height, width = self.latent_shape(request)
        empty = mx.zeros((1, 1, height, width, self.card.geometry.channels + 1))
        slots = [empty] * frames
        for slot, picture in request.pictures.items():
            still = mx.array(picture).astype(mx.float32)[None, None] / 127.5 - 1
            latents = self.network("vae", watch).encode(still)
            slots[slot] = mx.concatenate([latents, mx.ones((1, 1, height, width, 1))], axis=-1)
        return Conditions({"condition": mx.concatenate(slots, axis=1)}, {"condition": 1})

    def scheduler(self, request: Request) -> Scheduler:
        return sampler(request.sampler, self.card.samplers)(request.steps, request.shift)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The velocity of latents [B, F, H, W, C], float32."""
        output = self.network("transformer")(
            x,
            conditions["condition"],
            mx.full((x.shape[0],), time),
            conditions["text"],
            conditions["mask"],
            request.attention,
        )
        return output.astype(mx.float32)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        for part in self.network("vae", watch).decode(latents):
            yield part[0]

    @staticmethod
    def attention_call(blocks: Blocks, frames: int) -> AttentionCall:
        """A pair of the family's blocks with random weights: see :class:`Blocks`."""
        text = prompt_states()
        config = TransformerConfig(
            in_channels=blocks.channels,
            patch_size=blocks.patch[1],
            patch_size_t=blocks.patch[0],
            hidden_size=blocks.width,
            num_layers=blocks.depth,
            attention_head_dim=blocks.head_dim,
            text_dim=text.shape[-1],
        )
        network = drawn(FactoredTransformer(config), blocks.dtype)
        mask = mx.ones(text.shape[:2], mx.bool_)

        def call(x: mx.array, mode: str) -> mx.array:
            nothing_given = mx.zeros((*x.shape[:-1], x.shape[-1] + 1))
            return network(x, nothing_given, mx.array([0.5]), text, mask, mode)

        return call


class FactoredShot(Shot):
    """A run in which a given first frame is kept on its trajectory."""

    def stage(self, number: int, x: mx.array) -> Stage:
        scheduler = self.model.scheduler(self.request)
        if 0 in self.request.pictures:
            # The VAE is causal, so the first frame's latents are exactly those of its picture; a
            # later frame's are not.
            first = next(iter(self.passes.values()))["condition"][:, :1]
            scheduler = GivenOnTrajectory(scheduler, first[..., :-1], first[..., -1:], self.noise)
        return Stage(scheduler, self.passes, self.request.first, self.clip)
