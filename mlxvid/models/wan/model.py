"""What is particular to Wan 2.1 on the way from prompt to clip.

After Diffusers' WanPipeline and WanImageToVideoPipeline.
"""

from __future__ import annotations

from collections.abc import Iterator

import mlx.core as mx
import numpy as np

from mlxvid.model import base
from mlxvid.model.base import Components
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.machine import this_machine
from mlxvid.model.memory import decode_piece
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import Scheduler, sampler, trained_sigmas
from mlxvid.text.clean import clean
from mlxvid.text.clip_vision import pixels_of
from mlxvid.text.tokenizer import load_tokenizer

from .card import TEXT_TOKENS
from .config import WanTransformerConfig
from .few_steps import DMD_TIMESTEPS

SMALL_TILE = 54  # latent positions: 640 pixels with the decoder's halo


class Model(base.Model):
    """One Wan 2.1 model. Its transformer's config says whether it starts from pictures."""

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        transformer = self.folder.config("transformer", WanTransformerConfig)
        self.sees_pictures = transformer.image_dim is not None
        self.tokenizer = load_tokenizer(self.path / "tokenizer", TEXT_TOKENS)

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """text [B, 512, D]: the encoder's states, and zeros where a prompt has ended."""
        ids, mask = self.tokenizer([clean(prompt) for prompt in prompts])
        states = self.text_states(ids, mask, watch) * mask[..., None]
        missing = TEXT_TOKENS - states.shape[1]
        return Conditions({"text": mx.pad(states, [(0, 0), (0, missing), (0, 0)])})

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """For a model that starts from pictures: `condition` [1, F, H, W, 4 + C], which pixel
        frames are given (four a latent frame, the first frame alone filling its four) and the
        latents of a clip that is grey elsewhere; and `image` [1, L, D], what CLIP sees in the
        pictures.
        """
        if not self.card.needs:
            return Conditions({})
        condition = self._given_frames(request, watch)
        mx.eval(condition)
        conditions = Conditions({"condition": condition}, {"condition": 1})
        if not self.sees_pictures:
            return conditions
        processor = self.folder.json("image_processor", "preprocessor_config.json")
        pictures = [request.pictures[slot] for slot in sorted(request.pictures)]
        pixels = mx.concatenate([pixels_of(picture, processor) for picture in pictures])
        seen = self.network("image_encoder", watch)(pixels)
        return conditions.with_arrays(image=seen.reshape(1, -1, seen.shape[-1]))

    def _given_frames(self, request: Request, watch: Watch) -> mx.array:
        frames, height, width = self.latent_shape(request)
        geometry = self.card.geometry
        slots = sorted(request.pictures)
        given = {
            slot * geometry.t_factor: mx.array(request.pictures[slot]).astype(mx.float32) / 127.5
            - 1
            for slot in slots
        }
        grey = mx.zeros((height * geometry.s_factor, width * geometry.s_factor, 3))
        count = geometry.pixel_frames(frames)
        clip = mx.stack([given.get(i, grey) for i in range(count)])[None]
        mask = np.zeros((1, frames, height, width, geometry.t_factor), np.float32)
        for slot in slots:
            mask[:, slot, ..., slice(None) if slot == 0 else -1] = 1
        latents = self.network("vae", watch).encode(clip)
        return mx.concatenate([mx.array(mask), latents], axis=-1)

    def scheduler(self, request: Request) -> Scheduler:
        kind = sampler(request.sampler, self.card.samplers)
        if request.sampler == "dmd":
            return kind(request.steps, request.shift, request.seed, DMD_TIMESTEPS)
        if request.sampler in ("unipc", "euler-even"):
            return kind(request.steps, request.shift)
        return kind(request.steps, request.shift, trained_sigmas)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The velocity of latents [B, F, H, W, C], float32."""
        if "condition" in conditions:
            x = mx.concatenate([x, conditions["condition"]], axis=-1)
        times = mx.full((x.shape[0],), time * 1000)
        network = self.network("transformer")
        output = network(x, times, conditions["text"], conditions.get("image"))
        return output.astype(mx.float32)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        """In small tiles where memory is short: their halo is all that they see, so the frames are
        the same.
        """
        geometry = self.card.geometry
        height, width = (side * geometry.s_factor for side in latents.shape[2:4])
        memory = self.card.family.memory
        usable = this_machine().usable
        _, small = decode_piece(memory, geometry.t_factor, width, height, usable)
        for part in self.network("vae", watch).decode(latents, tile=SMALL_TILE if small else None):
            yield part[0]
