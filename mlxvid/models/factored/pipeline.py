"""What is particular to the factored family on the way from prompt to clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.model.base import Family as Base
from mlxvid.model.base import Part
from mlxvid.model.geometry import Facts
from mlxvid.run.request import Request
from mlxvid.schedulers import FlowEuler, sampler
from mlxvid.text.tokenizer import SentencePieceTokenizer

from .config import Knows, TextConfig, TransformerConfig, VAEConfig
from .text import FactoredTextEncoder
from .transformer import FactoredTransformer
from .vae import FactoredVAE

SHIFT = 1.5  # of the sigmas towards noise


class Family(Base):
    """Text, pictures, denoiser and decoder of one factored model, whose networks come from
    `components` as they are needed.
    """

    parts = {
        "text_encoder": Part(FactoredTextEncoder, TextConfig),
        "transformer": Part(FactoredTransformer, TransformerConfig),
        "vae": Part(FactoredVAE, VAEConfig),
    }
    samplers = ("euler", "heun")

    def __init__(self, components: Any, facts: Facts):
        super().__init__(components, facts)
        folder = components.folder
        self.knows = folder.parse("knows", Knows)
        text = folder.config("text_encoder", TextConfig)
        self.tokenizer = SentencePieceTokenizer.load(
            folder.path / "tokenizer" / "spiece.model", text.max_length
        )
        if self.tokenizer.model.get_piece_size() > text.vocab_size:
            raise WeightsError(
                f"The parts of {folder.path} come from different models; download or convert the model again."
            )

    def advice(self, prompt: str) -> str | None:
        """A line for a prompt with words that this model never saw, or None."""
        if not self.knows:
            return None
        strange = self.tokenizer.unknown(prompt, set(self.knows.words))
        return (
            f"Not known to this model: {', '.join(strange)}. {self.knows.say}" if strange else None
        )

    def encode_text(self, prompts: list[str]) -> dict[str, mx.array]:
        """text [B, L, D] and mask [B, L] for B prompts."""
        ids, mask = self.tokenizer(prompts)
        return {"text": self.network("text_encoder")(ids, mask), "mask": mask}

    def encode_pictures(
        self,
        pictures: Mapping[int, np.ndarray],
        latent_shape: tuple[int, int, int],
        watch: Any = None,
    ) -> dict[str, mx.array]:
        """condition [1, F, H, W, C + 1]: for each latent frame in `pictures` (uint8 [H, W, 3]) its
        latents, and ones.
        """
        f, h, w = latent_shape
        empty = mx.zeros((1, 1, h, w, self.geometry.channels + 1))
        slots = [empty] * f
        for place, picture in pictures.items():
            still = mx.array(picture).astype(mx.float32)[None, None] / 127.5 - 1
            slots[place] = mx.concatenate(
                [self.network("vae", watch).encode(still), mx.ones((1, 1, h, w, 1))], axis=-1
            )
        return {"condition": mx.concatenate(slots, axis=1)}

    def shift(self, width: int, height: int) -> float:
        return SHIFT

    def scheduler(self, request: Request) -> FlowEuler:
        return sampler(request.sampler, self.samplers)(request.steps, request.shift)

    def predict(
        self, x: mx.array, time: float, conditions: Mapping[str, mx.array], attention: str
    ) -> mx.array:
        """The velocity of latents [B, F, H, W, C] with B conditions of each kind, float32."""
        network = self.network("transformer")
        sigmas = mx.full((x.shape[0],), time)
        return network(
            x, conditions["condition"], sigmas, conditions["text"], conditions["mask"], attention
        ).astype(mx.float32)

    def hold(
        self, x: mx.array, noise: mx.array, sigma: float, conditions: Mapping[str, mx.array]
    ) -> mx.array:
        """Latents after a step to `sigma`, with a given first frame put back on its own road from
        `noise`, (1 - s) z + s n.

        The VAE is causal, so the first frame's latents are exactly those of its picture; a later
        frame's are not.
        """
        given = conditions["condition"][:, :1]
        z, mask = given[..., :-1], given[..., -1:]
        first = mask * ((1 - sigma) * z + sigma * noise[:, :1]) + (1 - mask) * x[:, :1]
        return mx.concatenate([first, x[:, 1:]], axis=1)

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        """Latents [1, F, H, W, C] -> frames [n, H, W, 3] in about [-1, 1], chunk after chunk."""
        for part in self.network("vae").decode(latents):
            yield part[0]
