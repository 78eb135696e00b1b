"""What is particular to LTX-Video on the way from prompt to clip.

After Lightricks/LTX-Video (ltx_video/pipelines/pipeline_ltx_video.py), which holds where Diffusers'
pipelines differ from it: docs/ltx-video.md says where.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError
from mlxvid.layers.resize import bilinear
from mlxvid.model import base
from mlxvid.model.base import Components, Shot
from mlxvid.model.conditions import Conditions
from mlxvid.model.machine import this_machine
from mlxvid.model.memory import decode_piece
from mlxvid.model.request import Request
from mlxvid.progress import Watch
from mlxvid.schedulers import FlowEuler, FlowStochastic, Scheduler
from mlxvid.text.tokenizer import load_tokenizer

from .card import SMALL_TILE, LTXCard
from .geometry import LONGEST
from .keys import key_of
from .pictures import prepared
from .recipes import Pass, work_size
from .schedules import sigmas_of
from .shot import LTXShot
from .texts import in_windows, texts_of
from .upsampler import tone_mapped
from .windows import WindowsShot

log = logging.getLogger("mlxvid")


class Model(base.Model):
    """One LTX-Video model. Its card's recipe says how it is sampled."""

    card: LTXCard

    def __init__(self, card: LTXCard, components: Components):
        super().__init__(card, components)
        self.recipe = card.recipe
        words = self.path / "tokenizer"
        place = words if words.is_dir() else self.path / "text_encoder"
        self.tokenizer = load_tokenizer(place, self.recipe.text_tokens)

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        self.runs(request)  # what can't be made is refused before anything is loaded for it
        kind = LTXShot if len(self.windows(request)) == 1 else WindowsShot
        if request.control is not None:
            self._check_control(kind is WindowsShot)
        return kind(self, request, noise, self.conditions(request, watch))

    def _check_control(self, in_windows: bool) -> None:
        """Raise :class:`SettingError` for a clip to follow that can't be."""
        if in_windows:
            raise SettingError(
                f"Only a clip that is made at once can follow a `control` clip: give {LONGEST} "
                "`frames` or fewer, and one text as the `prompt`."
            )
        if not self.components.loras:
            log.warning(
                "Without a LoRA that was trained for it a model makes little of `control`; "
                "docs/ltx-video.md names some."
            )

    def windows(self, request: Request) -> list[range]:
        """The latent frames that are made together: all of them, or those of each window of a clip
        that is long, or whose prompt has several texts.

        Raises :class:`SettingError` for more texts than windows.
        """
        geometry: Any = self.card.geometry
        latent_frames = geometry.latent_frames(request.frames)
        if not in_windows(request.frames, request.prompt):
            return [range(latent_frames)]
        texts = texts_of(request.prompt)
        windows = geometry.windows(latent_frames)
        if len(texts) > len(windows):
            raise SettingError(
                f"The `prompt` has {len(texts)} texts, more than a clip of {request.frames} frames "
                f"has windows ({len(windows)}); make it of {geometry.least_frames(len(texts))} "
                "`frames` or more."
            )
        return windows

    # --- passes ----------------------------------------------------------------------------------

    def runs(self, request: Request) -> list[Pass]:
        """The passes of a request, as the recipe has them.

        Raises :class:`SettingError` for two passes where there is one, or no upsampler.
        """
        options = request.options
        upscale = bool(options.get("upscale"))
        asked = (request.steps, request.guidance, float(options["stg"]), float(options["rescale"]))
        runs = self.recipe.runs(upscale, *asked)
        if upscale and not (self.path / "latent_upsampler").is_dir():
            raise SettingError(
                f"There is no upsampler in {self.path / 'latent_upsampler'}: put that of "
                "Lightricks/ltxv-spatial-upscaler-0.9.7 there, or turn `upscale` off."
            )
        return runs

    def pass_sizes(self, request: Request) -> list[tuple[int, int]]:
        """(width, height) in pixels that each pass works at."""
        if not request.options.get("upscale"):
            return [(request.width, request.height)]
        side = self.card.geometry.s_factor
        width, height = work_size(request.width, request.height, side)
        return [(width, height), (2 * width, 2 * height)]

    def latent_shape(self, request: Request) -> tuple[int, int, int]:
        return self.card.geometry.latent_shape(request.frames, *self.pass_sizes(request)[0])

    def pass_scheduler(
        self, run: Pass, request: Request, shape: tuple[int, ...], number: int = 0
    ) -> Scheduler:
        """The scheduler of a pass over latents of that shape (F, H, W), or over window `number`."""
        sigmas = sigmas_of(run, self.recipe.schedule, math.prod(shape))

        def spacing(steps: int, shift: float) -> np.ndarray:
            return sigmas

        if request.sampler == "euler-stochastic":
            return FlowStochastic(run.evaluations, 1.0, spacing, request.seed + number)
        return FlowEuler(run.evaluations, 1.0, spacing)

    # --- conditions ------------------------------------------------------------------------------

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """text [B, K, L, D]: the encoder's states of the prompt's K texts; mask [B, K, L], true
        where there is a token. The rows before the prompt's have one text for all of them.
        """
        texts = texts_of(prompts[-1])
        ids, mask = self.tokenizer([*(text.strip() for text in prompts[:-1]), *texts], pad="max")
        told = mask if self.recipe.text_mask else mx.ones_like(mask)
        arrays = {"text": self.text_states(ids, told, watch), "mask": mask}
        rows = len(prompts) - 1
        for name, array in arrays.items():
            others = [mx.broadcast_to(row, (len(texts), *row.shape)) for row in array[:rows]]
            arrays[name] = mx.stack([*others, array[rows:]])
        return Conditions(arrays)

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """The latents [1, f, h, w, C] of what is given, by pass and number: "given 0 0"; and of the
        clip that is followed, by pass: "control 0".
        """
        control = request.control
        if not request.placed and control is None:
            return Conditions({})
        vae = self.network("vae", watch)
        is_prepared = request.options.get("prepare")
        latents: dict[str, mx.array] = {}

        def encode(name: str, frames: np.ndarray, i: int) -> None:
            pixels = mx.array(frames).astype(mx.float32)[None] / 127.5 - 1
            for number, (width, height) in enumerate(self.pass_sizes(request)):
                sized = bilinear(pixels, height, width)
                key = key_of(request.seed, "encode", i)
                # The encoder holds twice as much of a position as the decoder.
                tile = self._tile(len(frames), height, width, held=2)
                latents[name.format(number)] = vae.sample(sized, key, tile)
            mx.eval(latents)

        with watch.task("encode"):
            for i, item in enumerate(request.placed):
                frames = prepared(item.frames) if is_prepared else item.frames
                encode(f"given {{}} {i}", frames, i)
            if control is not None:
                encode("control {}", control, len(request.placed))
        return Conditions(latents)

    def clip_latents(self, request: Request, watch: Watch) -> mx.array | None:
        """As every model's, at the size of the first pass."""
        if request.video is not None:
            width, height = self.pass_sizes(request)[0]
            sized = bilinear(mx.array(request.video), height, width)
            request = replace(request, video=np.array(sized))
        return super().clip_latents(request, watch)

    # --- frames ----------------------------------------------------------------------------------

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        yield from self._decoded(latents, self.recipe.decode_time, None, watch)

    def finish(
        self, latents: mx.array, settings: Mapping[str, Any], watch: Watch | None = None
    ) -> Iterator[mx.array]:
        """Decoded with the noise that the decoder was trained to take away, and at the size that
        was asked for.
        """
        options = settings.get("options", {})
        seed = settings["seed"]
        time = options.get("decode_timestep")
        share = options.get("decode_noise") or 0.0
        if time is not None and share:
            noise = mx.random.normal(latents.shape, key=key_of(seed, "decode"))
            latents = (1 - share) * latents + share * noise
        if options.get("upscale"):
            latents = tone_mapped(latents, self.recipe.tone_mapping)
        key = key_of(seed, "decode", 1)
        for part in self._decoded(latents, time, key, watch):
            yield bilinear(part, settings["height"], settings["width"])

    def _decoded(
        self, latents: mx.array, time: float | None, key: mx.array | None, watch: Watch | None
    ) -> Iterator[mx.array]:
        geometry = self.card.geometry
        height, width = (side * geometry.s_factor for side in latents.shape[2:4])
        tile = self._tile(geometry.pixel_frames(latents.shape[1]), height, width)
        for part in self.network("vae", watch).decode(latents, time, key, tile):
            yield part[0]

    def _tile(self, frames: int, height: int, width: int, held: int = 1) -> int | None:
        """Latent positions on a side of the tiles that the VAE takes one after the other, where
        whole frames would take too much memory and tiles take no more; else None.

        frames, height, width: of the clip, in pixels. held: how many times as much is held of a
        position as in the decoder.
        """
        memory = self.card.family.memory
        together = held * self.card.geometry.t_factor
        usable = this_machine().usable
        _, small = decode_piece(memory, together, width, height, usable, frames)
        return SMALL_TILE if small else None
