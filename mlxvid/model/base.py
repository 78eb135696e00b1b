"""The contract of a family: model -> shot -> stages, of which the loop in mlxvid.run knows no more.

A :class:`Model` has the networks of one model. It makes a :class:`Shot` for a run: conditions,
state, and which network predicts when. A shot goes through its :class:`Stage` objects in turn
(:mod:`mlxvid.model.shot`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.layers import bounds
from mlxvid.machines import Machines
from mlxvid.progress import Watch
from mlxvid.schedulers import Scheduler

from .attention_call import AttentionCall, Blocks
from .card import Card, Part
from .conditions import Conditions
from .folder import Folder
from .guidance import NEGATIVE, PROMPT
from .machine import this_machine
from .memory import in_one_batch
from .prompt_cache import PromptCache, digest_of
from .request import Request
from .shot import Passes as Passes
from .shot import Shot as Shot
from .shot import Stage as Stage


class Components(Protocol):
    """Where a model's networks come from: :class:`mlxvid.weights.loading.Components`."""

    folder: Folder
    quantize: int | None
    dtype: str | None
    held: int

    @property
    def loras(self) -> Sequence[Any]: ...

    def network(self, name: str, part: Part, watch: Watch | None = None) -> nn.Module: ...

    def fit(self, *names: str) -> bool: ...

    def agree(self, here: Machines) -> None: ...


class Model:
    """One loaded model, whose networks come from `components` when they are first needed.

    A family writes :meth:`encode_text`, :meth:`scheduler`, :meth:`predict` and :meth:`decode`, and
    of the others those that its models need.
    """

    denoiser = "transformer"
    """The component that the first step needs, loaded before it."""

    decoder = "vae"
    """The component that makes frames."""

    frames_first = False
    """Whether the latents that it is given to begin with are [1, F, C, H, W], as its reference has
    them, and not [1, C, F, H, W].
    """

    def __init__(self, card: Card, components: Components):
        self.card = card
        self.components = components
        self.prompt_cache = PromptCache()

    @property
    def folder(self) -> Folder:
        """The model's folder: its configs."""
        return self.components.folder

    @property
    def path(self) -> Path:
        """Where its folder is."""
        return self.components.folder.path

    def network(self, name: str, watch: Watch | None = None) -> Any:
        """The network of a component, loaded if it isn't yet, which `watch` is told of."""
        return self.components.network(name, self.card.family.parts[name], watch)

    def advice(self, prompt: str) -> str | None:
        """A line for a prompt that this model can't do much with, or None."""
        return self.card.advice(prompt)

    def shot(self, request: Request, noise: mx.array, watch: Watch) -> Shot:
        """One run. noise: latents [1, F, H, W, C] to begin with."""
        return Shot(self, request, noise, self.conditions(request, watch))

    # --- conditions ------------------------------------------------------------------------------

    def conditions(self, request: Request, watch: Watch) -> dict[str, Conditions]:
        """What steers each pass: the prompt, and before it the negative prompt where guidance asks
        for it.
        """
        prompts = self.prompts(request)
        text = self.encode_text(list(prompts.values()), watch)
        # Evaluated, so that nothing holds the text encoder when the next component needs the room.
        mx.eval(dict(text))
        others = self.encode_inputs(request, watch)
        passes = {name: text.row(i).joined(others) for i, name in enumerate(prompts)}
        mx.eval([dict(conditions) for conditions in passes.values()])
        return passes

    def prompts(self, request: Request) -> dict[str, str]:
        """The text of each pass, by what steers it, as :meth:`encode_text` is to have it."""
        prompts = {PROMPT: self.prompt(request)}
        if self.card.passes(request.guidance, request.true_guidance) == 2:
            prompts = {NEGATIVE: request.negative_prompt, **prompts}
        return prompts

    def prompt(self, request: Request) -> str:
        """The prompt as :meth:`encode_text` is to have it."""
        return request.prompt

    def encode_text(self, prompts: list[str], watch: Watch) -> Conditions:
        """The conditions of B prompts: arrays whose first axis is B.

        Told to `watch` as the stage "encode", after the text encoder is loaded:
        :meth:`text_states` does so.
        """
        raise NotImplementedError

    def text_states(
        self,
        ids: mx.array,
        mask: mx.array,
        watch: Watch,
        name: str = "text_encoder",
        *others: mx.array,
    ) -> mx.array:
        """What a text encoder makes of token ids [B, L] and their mask, evaluated: where it was
        made of these before, from the cache, without the encoder.

        others: what else it is called with, such as a picture.
        """
        digest = self._digest(name, ids, mask, *others)
        states = self.prompt_cache.get(digest)
        if states is not None:
            with watch.task("encode"):
                return states
        encoder = self.network(name, watch)
        with watch.task("encode"), bounds.heard(watch.within(1)):
            states = encoder(ids, mask, *others)
            mx.eval(states)
        self.prompt_cache.put(digest, states)
        return states

    def _digest(self, name: str, *arrays: mx.array) -> str:
        """The name of what an encoder makes of these in the cache."""
        part = self.card.family.parts[name]
        components = self.components
        # The average over a training, which is taken for it, stands beside it under a longer name.
        files = sorted(self.path.glob(f"*{name}*/*"))
        loras = components.loras if part.loras else ()
        for lora in loras:
            files += lora.files
        use = {
            "network": part.network,
            "dtype": components.dtype,
            "quantize": components.quantize,
            "loras": [str(lora) for lora in loras],
        }
        return digest_of(use, files, *arrays)

    def encode_inputs(self, request: Request, watch: Watch) -> Conditions:
        """The conditions of everything in the request but its text, such as pictures: arrays whose
        first axis is 1.
        """
        return Conditions({})

    def clip_latents(self, request: Request, watch: Watch) -> mx.array | None:
        """Latents [1, F, H, W, C] of the clip that the request is made from, evaluated.

        None where there is none, or where nothing but noise would be left of it.
        """
        if request.video is None or request.first == 0:
            return None
        self.network(self.decoder, watch)
        with watch.task("encode"), bounds.heard(watch.within(1)):
            latents = self.encode_clip(request.video).astype(mx.float32)
            mx.eval(latents)
        return latents

    def encode_clip(self, frames: np.ndarray) -> mx.array:
        """Latents of a clip uint8 [F, H, W, 3], as :meth:`decode` takes them."""
        return self.encoded(mx.array(frames).astype(mx.float32)[None] / 127.5 - 1)

    def encoded(self, frames: mx.array) -> mx.array:
        """Frames [1, F, H, W, 3] in [-1, 1] as the latents that :meth:`decode` makes them of."""
        return self.network(self.decoder).encode(frames)

    def latent_shape(self, request: Request) -> tuple[int, int, int]:
        """(frames, height, width) of the clip's latents."""
        return self.card.geometry.latent_shape(request.frames, request.width, request.height)

    # --- steps -----------------------------------------------------------------------------------

    def denoiser_at(self, time: float) -> str:
        """The component that predicts at a time, of models that have several for their steps."""
        return self.denoiser

    def scheduler(self, request: Request) -> Scheduler:
        """The scheduler of the request's sampler, steps and shift."""
        raise NotImplementedError

    def predict(
        self, x: mx.array, time: float, conditions: Conditions, request: Request
    ) -> mx.array:
        """The network's output for latents [B, F, H, W, C] at a time of the scheduler, float32,
        with B rows of conditions.
        """
        raise NotImplementedError

    def decode(self, latents: mx.array, watch: Watch | None = None) -> Iterator[mx.array]:
        """Latents [1, F, H, W, C] -> frames [n, H, W, 3] in about [-1, 1], chunk after chunk."""
        raise NotImplementedError

    def finish(
        self, latents: mx.array, settings: Mapping[str, Any], watch: Watch | None = None
    ) -> Iterator[mx.array]:
        """The frames of a finished clip, as :meth:`decode` yields them, for models whose last step
        depends on the clip's settings: its seed, its size.

        settings: as :meth:`Request.settings` has them, also of latents that were kept.
        """
        return self.decode(latents, watch)

    def tiny_latents(self, latents: mx.array) -> mx.array:
        """Latents as the family's tiny decoder takes them: those of the steps, unless it says."""
        return latents

    @staticmethod
    def attention_call(blocks: Blocks, frames: int) -> AttentionCall:
        """A call of the family's attention blocks of those sizes, with random weights.

        frames: latent frames that it will be called with. Only of families that attend in more
        than one way.
        """
        raise NotImplementedError

    def batched(self, rows: int, latent_frames: int, request: Request) -> bool:
        """Whether `rows` of conditions go through the denoiser in one batch: where there is room.

        latent_frames: of the piece that is denoised together.
        """
        geometry = self.card.geometry
        _, height, width = geometry.token_grid(request.frames, request.width, request.height)
        tokens = latent_frames // geometry.patch[0] * height * width
        parameters = dict(tree_flatten(self.network(self.denoiser).parameters()))
        weights = sum(array.nbytes for array in parameters.values())
        dtype = self.components.dtype
        return in_one_batch(tokens, rows, weights, self.card, dtype, this_machine())
