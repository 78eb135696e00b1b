"""What is particular to HunyuanVideo on the way from prompt to clip.

After Diffusers' HunyuanVideoPipeline and HunyuanVideoImageToVideoPipeline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import mlx.core as mx
import numpy as np

from mlxvid.model import base
from mlxvid.model.base import Components, Shot
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.guidance import PROMPT
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import Scheduler, sampler

from .config import LATENT_CONCAT, HunyuanVideoTransformerConfig
from .picture_prompts import picture_conditions
from .prompts import text_conditions
from .shot import PictureShot

HIDDEN_FRAMES = 4
# Of the picture's tokens in the text, one in so many is read: with its latents replacing tokens,
# or in further channels.
EVERY_REPLACING = 4
EVERY_CONCATENATED = 2


class Model(base.Model):
    """One HunyuanVideo model. Its transformer's config says whether and how it starts from a
    picture.
    """

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        self.config = self.folder.config("transformer", HunyuanVideoTransformerConfig)
        self.hides_first = self.config.image_condition_type == LATENT_CONCAT

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        conditions = self.conditions(request, watch)
        if not request.pictures:
            return Shot(self, request, noise, conditions)
        return PictureShot(self, request, noise, conditions)

    # --- conditions ------------------------------------------------------------------------------

    def conditions(self, request: Request, watch: Watch) -> dict[str, Conditions]:
        """Of each pass: `text` [1, L, D], whose length is the prompt's own, `pooled` [1, P] and,
        of a model that starts from a picture, its latents, `picture` [1, 1, h, w, C].
        """
        prompts = self.prompts(request)
        texts = self._texts(prompts, request, watch)
        mx.eval([dict(text) for text in texts])
        others = self.encode_inputs(request, watch)
        return {name: text.joined(others) for name, text in zip(prompts, texts, strict=True)}

    def _texts(
        self, prompts: Mapping[str, str], request: Request, watch: Watch
    ) -> list[Conditions]:
        """What the text encoders make of each prompt, with the picture where there is one."""
        if not request.pictures:
            return text_conditions(self, list(prompts.values()), watch)
        picture = request.pictures[0]
        # The negative prompt sees a black one.
        seen = [picture if name == PROMPT else np.zeros_like(picture) for name in prompts]
        # Diffusers reads twice as many of the black one as of the picture, where that is replaced.
        every = EVERY_REPLACING if self.config.replaces_tokens else EVERY_CONCATENATED
        return picture_conditions(self, list(prompts.values()), seen, every, watch)

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        if not request.pictures:
            return Conditions({})
        picture = mx.array(request.pictures[0]).astype(mx.float32)[None, None] / 127.5 - 1
        latents = self.network("vae", watch).encode(picture)
        mx.eval(latents)
        return Conditions({"picture": latents})

    # --- steps -----------------------------------------------------------------------------------

    def scheduler(self, request: Request) -> Scheduler:
        kind = sampler(request.sampler, self.card.samplers)
        return kind(request.steps, request.shift)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The velocity of latents [B, F, H, W, C], float32; that of a picture's own frame is 0."""
        network = self.network("transformer")
        rows = x.shape[0]
        guidance = None
        if self.config.guidance_embeds:
            # In the weights' type, as in the reference: bfloat16 makes 6016 of a scale of 6.
            guidance = 1000 * mx.full((rows,), request.guidance, network.proj_out.weight.dtype)
        given = self._with_picture(x, conditions["picture"]) if self.hides_first else x
        times = mx.full((rows,), 1000 * time)
        lowered = self.card.lowered(request.length_extrapolation, x.shape[1])
        text = conditions["text"]
        output = network(given, times, text, conditions["pooled"], guidance, lowered)
        velocity = output.astype(mx.float32)
        if not self.config.replaces_tokens:
            return velocity
        return mx.concatenate([mx.zeros_like(velocity[:, :1]), velocity[:, 1:]], axis=1)

    @staticmethod
    def _with_picture(x: mx.array, picture: mx.array) -> mx.array:
        """Latents [B, F, H, W, C] with the picture's, and then a mask of the frame that it is for,
        in further channels: [B, F, H, W, 2C + 1].
        """
        given = mx.concatenate([picture, mx.ones_like(picture[..., :1])], axis=-1)
        missing = mx.zeros((1, x.shape[1] - 1, *given.shape[2:]))
        return mx.concatenate([x, mx.concatenate([given, missing], axis=1)], axis=-1)

    # --- frames ----------------------------------------------------------------------------------

    def encoded(self, frames: mx.array) -> mx.array:
        if self.hides_first:
            before = mx.repeat(frames[:, :1], HIDDEN_FRAMES, axis=1)
            frames = mx.concatenate([before, frames], axis=1)
        return self.network("vae").encode(frames)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        parts = self.network("vae", watch).decode(latents)
        hidden = HIDDEN_FRAMES if self.hides_first else 0
        for number, part in enumerate(parts):
            yield part[0, hidden if number == 0 else 0 :]
