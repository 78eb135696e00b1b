"""The contract of a family: model -> shot -> stages, of which the loop in mlxvid.run knows no more.

A :class:`Model` has the networks of one model. It makes a :class:`Shot` for a run: conditions,
state, and which network predicts when. A shot goes through its :class:`Stage` objects in turn, each
a scheduler with steps of its own; what a stage takes from the clip, and puts back, is its `begin`
and `end`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from mlxvid.layers import bounds
from mlxvid.progress import Watch
from mlxvid.schedulers import Predict, Scheduler

from .attention_call import AttentionCall, Blocks
from .card import Card, Part
from .conditions import Conditions
from .folder import Folder
from .guidance import NEGATIVE, PROMPT, classifier_free
from .machine import this_machine
from .memory import in_one_batch
from .prompt_cache import PromptCache, digest_of
from .request import Request

Passes = Mapping[str, Conditions]
"""The conditions of each pass through the network, by what steers it: "negative", "prompt"."""


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
        return None

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


class Shot:
    """One run of a model: its request, what it begins with, its conditions and its state.

    clip: latents of the clip that it is made from, if any, which its stages begin from; state:
    arrays that are kept from one prediction to the next, such as caches; they are saved with an
    interrupted run and restored with it. A family whose runs have more than one stage, other
    guidance or a state of their own has a Shot of its own.
    """

    def __init__(self, model: Any, request: Request, noise: mx.array, passes: Passes):
        self.model = model
        self.request = request
        self.noise = noise
        self.passes = passes
        self.clip: mx.array | None = None
        self.state: dict[str, mx.array] = {}

    @property
    def steps(self) -> Sequence[int]:
        """The number of steps of each stage, in order."""
        return (self.request.steps - self.request.first,)

    def stage(self, number: int, x: mx.array) -> Stage:
        """Stage `number`. x: the latents that the stages before it have made, or the noise."""
        scheduler = self.model.scheduler(self.request)
        return Stage(scheduler, self.passes, self.request.first, self.clip)

    def predictor(self, stage: Stage, step: int, latent_frames: int) -> Predict:
        """What the scheduler calls in a step: by default the model's predictions for each pass,
        combined by classifier-free guidance.

        latent_frames: of the latents that it is called with.
        """

        def predict(x: mx.array, time: float, conditions: Conditions) -> mx.array:
            return self.model.predict(x, time, conditions, self.request)

        if stage.batched is None:  # once: later steps may have another network in memory
            rows = len(stage.passes)
            fits = rows > 1 and self.model.batched(rows, latent_frames, self.request)
            stage.batched = fits
        batch = stage.batch if stage.batched else None
        return classifier_free(predict, stage.passes, self.scale(stage, step), batch)

    def scale(self, stage: Stage, step: int) -> float:
        """The guidance scale of a step: the request's, but for models that change it underway."""
        return self.model.card.scale(self.request.guidance, self.request.true_guidance)

    def finished(self, number: int, x: mx.array) -> Iterable[mx.array]:
        """Frames [n, H, W, 3] in about [-1, 1] that are final once stage `number` has made `x`, for
        models that hand them out as they are done; :meth:`finish` then leaves them out.
        """
        return ()

    def finish(
        self, latents: mx.array, settings: Mapping[str, Any], watch: Watch | None = None
    ) -> Iterator[mx.array]:
        """The clip's frames [n, H, W, 3] in about [-1, 1], chunk after chunk."""
        return self.model.finish(latents, settings, watch)


class Stage:
    """A part of a run, with a scheduler and steps of its own.

    passes: the conditions of each pass. first: the step to begin with, later than 0 where what it
    begins from is a noised clip. clip: its latents, where these are not what the stage is given.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        passes: Passes,
        first: int = 0,
        clip: mx.array | None = None,
    ):
        self.scheduler = scheduler
        self.passes = passes
        self.first = first
        self.clip = clip
        self.batched: bool | None = None
        """Whether all passes go through the network at once; None before the first step."""

    @cached_property
    def batch(self) -> Conditions:
        """The conditions of all passes, stacked."""
        return Conditions.stacked(list(self.passes.values()))

    @property
    def calls(self) -> int:
        """The calls of a network in a step: one a pass and evaluation, where none are batched."""
        return self.scheduler.evaluations * (1 if self.batched else len(self.passes))

    def begin(self, x: mx.array) -> mx.array:
        """The latents that its first step takes, of the clip's latents (at first, noise): sliced,
        noised, upsampled, padded.
        """
        if self.clip is None:
            return self.scheduler.begin(x)
        return self.scheduler.noised(self.clip, x, self.first)

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        """The clip's latents `x` with the stage's `y` in their place, at any step."""
        return y

    def preview(self, x: mx.array, x0: mx.array) -> mx.array:
        """The latents that a preview decodes, of the x0 that the scheduler predicted."""
        return self.merged(x, x0)

    def end(self, x: mx.array, y: mx.array) -> mx.array:
        """The clip's latents after the stage: what the next begins with, or what is decoded."""
        return self.merged(x, y)
