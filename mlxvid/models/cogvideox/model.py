"""What is particular to CogVideoX on the way from prompt to clip.

After Diffusers' CogVideoXPipeline and CogVideoXImageToVideoPipeline.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import mlx.core as mx
import numpy as np

from mlxvid.model import base
from mlxvid.model.base import Components, Passes, Shot, Stage
from mlxvid.model.card import Card
from mlxvid.model.conditions import Conditions
from mlxvid.model.folder import from_json
from mlxvid.model.guidance import NEGATIVE
from mlxvid.model.machine import this_machine
from mlxvid.model.memory import decode_piece
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import NoiseConfig, Scheduler, sampler
from mlxvid.text.tokenizer import load_tokenizer

from .card import SAMPLERS, TEXT, ZEROS
from .config import CogVideoXConfig
from .geometry import CogVideoXGeometry
from .guidance import scale_at
from .vae_config import CogVideoXVAEConfig

log = logging.getLogger("mlxvid")

SCHEDULER_CONFIG = "scheduler_config.json"
FRAMES = 8  # that the VAE encodes at once


class Model(base.Model):
    """One CogVideoX model. Its scheduler's config is that of the noise schedule for both samplers;
    its transformer's says whether it starts from a picture.
    """

    frames_first = True

    def __init__(self, card: Card, components: Components):
        super().__init__(card, components)
        schedule = self.folder.json("scheduler", SCHEDULER_CONFIG)
        path = self.path / "scheduler" / SCHEDULER_CONFIG
        # Whatever its config says, the reference's schedulers clip nothing.
        self.noise = replace(from_json(NoiseConfig, schedule, path), clip_sample=False)
        own = schedule.get("_class_name")
        if own not in tuple(SAMPLERS):
            log.warning(
                "The model's own scheduler, %s, is not known here: %s takes its place.",
                own,
                card.defaults.sampler,
            )
        length = self.folder.config("transformer", CogVideoXConfig).max_text_seq_length
        self.tokenizer = load_tokenizer(self.path / "tokenizer", length)

    @property
    def geometry(self) -> CogVideoXGeometry:
        geometry = self.card.geometry
        assert isinstance(geometry, CogVideoXGeometry)  # as every card of the family has
        return geometry

    # --- conditions ------------------------------------------------------------------------------

    def conditions(self, request: Request, watch: Watch) -> dict[str, Conditions]:
        passes = super().conditions(request, watch)
        if request.options.get("unconditional", TEXT) == ZEROS and NEGATIVE in passes:
            if request.negative_prompt:
                log.warning("The negative prompt does nothing where `unconditional` is zeros.")
            negative = passes[NEGATIVE]
            passes[NEGATIVE] = negative.with_arrays(text=mx.zeros_like(negative["text"]))
        return passes

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """text [B, 226, D]: the encoder's states, of padding too, which it and the transformer read
        like any token: the model was trained so.
        """
        ids, mask = self.tokenizer(prompts, pad="max")
        return Conditions({"text": self.text_states(ids, mx.ones_like(mask), watch)})

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """For a model that starts from a picture: `picture` [1, F, h, w, C], its latents at the
        first frame that is denoised, and zeros at the others.
        """
        if not self.card.needs:
            return Conditions({})
        pixels = mx.array(request.pictures[0])[None, None].astype(mx.float32) / 127.5 - 1
        frames, height, width = self.latent_shape(request)
        config = self.folder.config("vae", CogVideoXVAEConfig)
        # Another key than that of the noise, and than those of the noise that steps add.
        key = mx.random.key(request.seed + 1)
        vae = self.network("vae", watch)
        latents = vae.sample(pixels, key, self._tile(1, height, width), config.picture_scale)
        picture = mx.pad(latents, [(0, 0), (0, frames - 1), (0, 0), (0, 0), (0, 0)])
        return Conditions({"picture": picture}, {"picture": 1})

    def encode_clip(self, frames: np.ndarray) -> mx.array:
        """The mean of the latents' distribution, of which the reference draws a sample: little
        beside the noise that is added.
        """
        clip = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
        s = self.geometry.s_factor
        tile = self._tile(FRAMES, frames.shape[1] // s, frames.shape[2] // s)
        return self.network("vae").encode(clip, tile=tile)

    def latent_shape(self, request: Request) -> tuple[int, int, int]:
        """Of what is denoised: with the frames in front that fill up the patches."""
        frames, height, width = super().latent_shape(request)
        return self.geometry.padded(frames), height, width

    # --- steps -----------------------------------------------------------------------------------

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        return GuidedShot(self, request, noise, self.conditions(request, watch))

    def scheduler(self, request: Request) -> Scheduler:
        kind = sampler(request.sampler, self.card.samplers)
        return kind(request.steps, self.noise, request.seed)

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The velocity ("v") of latents [B, F, H, W, C], float32."""
        if "picture" in conditions:
            x = mx.concatenate([x, conditions["picture"]], axis=-1)
        times = mx.full((x.shape[0],), time * self.noise.num_train_timesteps)
        lowered = self.card.lowered(request.length_extrapolation, x.shape[1])
        velocity = self.network("transformer")(x, times, conditions["text"], lowered)
        return velocity.astype(mx.float32)

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        geometry = self.geometry
        at_once = min(latents.shape[1], self.card.family.memory.decode_chunk)
        clip = geometry.pixel_frames(latents.shape[1])
        height, width = latents.shape[2:4]
        tile = self._tile(at_once * geometry.t_factor, height, width, clip)
        for part in self.network("vae", watch).decode(latents, tile):
            yield part[0]

    def tiny_latents(self, latents: mx.array) -> mx.array:
        """Not scaled, as the VAE's encoder makes them."""
        return latents / self.folder.config("vae", CogVideoXVAEConfig).scaling_factor

    def _tile(
        self, frames: int, height: int, width: int, clip_frames: int = 0
    ) -> tuple[int, int] | None:
        """The tiles in which the VAE takes that many frames at once, in latent positions: the
        reference's where the whole picture would take too much memory, else None. clip_frames: of
        the clip that is decoded, 0 where it is encoded.
        """
        s = self.geometry.s_factor
        usable = this_machine().usable
        memory = self.card.family.memory
        _, small = decode_piece(memory, frames, width * s, height * s, usable, clip_frames)
        return self.folder.config("vae", CogVideoXVAEConfig).tile if small else None


class GuidedShot(Shot):
    """A run whose guidance may change with the steps, of a clip with frames added in front."""

    def stage(self, number: int, x: mx.array) -> Stage:
        geometry = self.model.geometry
        request = self.request
        frames = geometry.latent_frames(request.frames)
        added = geometry.padded(frames) - frames
        clip = self.clip
        if clip is not None:
            clip = mx.concatenate([*[clip[:, :1]] * added, clip], axis=1)
        scheduler = self.model.scheduler(request)
        return PaddedStage(scheduler, self.passes, added, request.first, clip)

    def scale(self, stage: Stage, step: int) -> float:
        scheduler = stage.scheduler
        return scale_at(
            str(self.request.options["dynamic_guidance"]),
            self.request.guidance,
            step - stage.first,
            scheduler.steps - stage.first,
            round(scheduler.times[step].item() * self.model.noise.num_train_timesteps),
        )


class PaddedStage(Stage):
    """The denoising of a clip with some latent frames `added` in front of it, which go at its end:
    patches of 1.5 hold two.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        passes: Passes,
        added: int,
        first: int,
        clip: mx.array | None,
    ):
        super().__init__(scheduler, passes, first, clip)
        self.added = added

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        return y[:, self.added :]
