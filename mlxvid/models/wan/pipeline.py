"""What is particular to Wan 2.1 on the way from prompt to clip: text alone, a first picture, or a
first and a last one.

After Diffusers' WanPipeline and WanImageToVideoPipeline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.model.base import Family as Base
from mlxvid.model.base import Part
from mlxvid.model.geometry import Facts
from mlxvid.model.memory import decode_piece, this_machine
from mlxvid.run.request import Request
from mlxvid.schedulers import UniPC, sampler, trained_sigmas
from mlxvid.text.clean import clean
from mlxvid.text.clip_vision import CLIPVisionModel, pixels_of
from mlxvid.text.clip_vision_config import CLIPVisionConfig
from mlxvid.text.t5 import UMT5EncoderModel
from mlxvid.text.t5_config import UMT5Config
from mlxvid.text.tokenizer import load_tokenizer

from .config import WanTransformerConfig
from .defaults import PIXELS_720P, SHIFT_480P, SHIFT_720P
from .transformer import WanTransformer3DModel
from .vae import AutoencoderKLWan
from .vae_config import WanVAEConfig

SMALL_TILE = 54  # latent positions: 640 pixels with the decoder's halo
TEXT_TOKENS = 512  # the transformer sees as many, zeros where the prompt has ended


class Family(Base):
    """One Wan 2.1 model. Its transformer's config says whether it starts from pictures."""

    parts = {
        "text_encoder": Part(UMT5EncoderModel, UMT5Config, "bfloat16"),
        "image_encoder": Part(CLIPVisionModel, CLIPVisionConfig, "float32"),
        "transformer": Part(WanTransformer3DModel, WanTransformerConfig, "bfloat16"),
        "vae": Part(AutoencoderKLWan, WanVAEConfig, "float32"),
    }
    samplers = ("unipc", "euler", "heun")

    def __init__(self, components: Any, facts: Facts):
        super().__init__(components, facts)
        self.sees_pictures = (
            components.folder.config("transformer", WanTransformerConfig).image_dim is not None
        )
        scheduler = components.folder.json("scheduler", "scheduler_config.json")
        self.own_shift = scheduler.get("flow_shift", scheduler.get("shift"))
        self.tokenizer = load_tokenizer(components.folder.path / "tokenizer", TEXT_TOKENS)

    def shift(self, width: int, height: int) -> float:
        """By the clip's size, as the release advises; a checkpoint whose schedule has another shift
        was tuned to that.
        """
        if self.own_shift is not None and self.own_shift not in (1.0, SHIFT_480P, SHIFT_720P):
            return float(self.own_shift)
        return SHIFT_720P if width * height >= PIXELS_720P else SHIFT_480P

    def encode_text(self, prompts: list[str]) -> dict[str, mx.array]:
        """text [B, 512, D]: the encoder's states, and zeros where a prompt has ended."""
        ids, mask = self.tokenizer([clean(prompt) for prompt in prompts])
        states = self.network("text_encoder")(ids, mask) * mask[..., None]
        return {"text": mx.pad(states, [(0, 0), (0, TEXT_TOKENS - states.shape[1]), (0, 0)])}

    def encode_pictures(
        self,
        pictures: Mapping[int, np.ndarray],
        latent_shape: tuple[int, int, int],
        watch: Any = None,
    ) -> dict[str, mx.array]:
        """For a model that starts from pictures: `condition` [1, F, H, W, 4 + C], which pixel
        frames are given (four a latent frame, the first frame alone filling its four) and the
        latents of a clip that is grey elsewhere; and `image` [1, L, D], what CLIP sees in the
        pictures."""
        if not self.needs:
            return {}
        f, h, w = latent_shape
        t, places = self.geometry.t_factor, sorted(pictures)
        frames = {
            place * t: mx.array(pictures[place]).astype(mx.float32) / 127.5 - 1 for place in places
        }
        grey = mx.zeros((h * self.geometry.s_factor, w * self.geometry.s_factor, 3))
        clip = mx.stack([frames.get(i, grey) for i in range(self.geometry.pixel_frames(f))])[None]
        mask = np.zeros((1, f, h, w, t), np.float32)
        for place in places:
            mask[:, place, ..., slice(None) if place == 0 else -1] = 1
        latents = self.network("vae", watch).encode(clip)
        conditions = {"condition": mx.concatenate([mx.array(mask), latents], axis=-1)}
        mx.eval(conditions)
        if self.sees_pictures:
            processor = self.components.folder.json("image_processor", "preprocessor_config.json")
            pixels = mx.concatenate([pixels_of(pictures[place], processor) for place in places])
            seen = self.network("image_encoder", watch)(pixels)
            conditions["image"] = seen.reshape(1, -1, seen.shape[-1])
        return conditions

    def scheduler(self, request: Request) -> Any:
        kind = sampler(request.sampler, self.samplers)
        return (
            kind(request.steps, request.shift)
            if kind is UniPC
            else kind(request.steps, request.shift, trained_sigmas)
        )

    def predict(
        self, x: mx.array, time: float, conditions: Mapping[str, mx.array], attention: str
    ) -> mx.array:
        """The velocity of latents [B, F, H, W, C], float32."""
        if "condition" in conditions:
            x = mx.concatenate([x, conditions["condition"]], axis=-1)
        times = mx.full((x.shape[0],), time * 1000)
        return self.network("transformer")(
            x, times, conditions["text"], conditions.get("image")
        ).astype(mx.float32)

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        """In small tiles where memory is short: their halo is all that they see, so the frames are
        the same.
        """
        s = self.geometry.s_factor
        _, small = decode_piece(
            "wan",
            self.geometry.t_factor,
            latents.shape[3] * s,
            latents.shape[2] * s,
            this_machine().usable,
        )
        for part in self.network("vae").decode(latents, tile=SMALL_TILE if small else None):
            yield part[0]
