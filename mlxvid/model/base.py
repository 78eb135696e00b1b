"""What a family of models tells the one road of pipeline.py: the base of every
``models/*/pipeline.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np

if TYPE_CHECKING:
    from mlxvid.run.request import Request

    from .geometry import Facts


class Part(NamedTuple):
    """A component: its class, the class of its config, and the type that its weights are used in on
    Metal when none is asked for (None: the checkpoint's own)."""

    network: type[nn.Module]
    config: type
    dtype: str | None = None


class Family:
    """One loaded model. Its networks come from `components`
    (:class:`mlxvid.weights.loading.Components`) when they are first needed.

    A family says its `parts` and `samplers`, and writes the methods from :meth:`encode_text` on.
    """

    parts: ClassVar[Mapping[str, Part]]
    """By name: the component's folder. "text_encoder", "transformer" and "vae" are asked for by the
    pipeline.
    """
    samplers: tuple[str, ...]
    """Names from :data:`mlxvid.schedulers.SAMPLERS` that this model's predictions fit."""
    options: ClassVar[Mapping[str, float | str]] = {}
    """Of the options that it takes (:mod:`mlxvid.model.options`), those that have a value when none
    is given.
    """
    joint: ClassVar[int] = 0
    """Frames of another clip that a clip can begin or end with, where the capabilities have
    "extend" or "join".
    """

    def __init__(self, components: Any, facts: Facts):
        """components: of the model's folder; facts: what its configs say, of which the pipeline
        reads these here.
        """
        self.components = components
        self.geometry, self.defaults, self.width = (
            facts.geometry,
            facts.defaults,
            facts.heads * facts.head_dim,
        )
        self.capabilities, self.needs, self.attention_modes = (
            facts.capabilities,
            facts.needs,
            facts.attention_modes,
        )

    def network(self, name: str, watch: Any = None) -> nn.Module:
        """The component called `name`, loaded if it isn't yet, which `watch` is told of."""
        return self.components.network(name, self.parts[name], watch)

    def advice(self, prompt: str) -> str | None:
        """A line for a prompt that this model can't do much with, or None."""
        return None

    def shift(self, width: int, height: int) -> float | None:
        """The noise schedule's shift for clips of that size in pixels; None for a model whose
        schedule has none.
        """
        return None

    def prompt(self, request: Request) -> str:
        """The prompt as :meth:`encode_text` is to have it."""
        return request.prompt

    def encode_text(self, prompts: list[str]) -> dict[str, mx.array]:
        """What `predict` is told of B prompts: arrays whose first axis is B."""
        raise NotImplementedError

    def encode_pictures(
        self,
        pictures: Mapping[int, np.ndarray],
        latent_shape: tuple[int, int, int],
        watch: Any = None,
    ) -> dict[str, mx.array]:
        """What `predict` is told of pictures uint8 [H, W, 3] by latent frame, in a clip whose
        latents are (frames, height, width): arrays whose first axis is 1. `watch` is told of
        components that are loaded for it."""
        return {}

    def encode_request(
        self, request: Request, latent_shape: tuple[int, int, int], watch: Any = None
    ) -> dict[str, mx.array]:
        """What `predict` is told of everything in the request but its text, as
        :meth:`encode_pictures` has it.
        """
        return self.encode_pictures(request.pictures, latent_shape, watch)

    def pieces(self, request: Request) -> list[range]:
        """The latent frames that are denoised together, in order; a piece may begin with the last
        frames of the one before.
        """
        return [range(self.geometry.latent_frames(request.frames))]

    def begin(
        self, request: Request, conditions: list[dict[str, mx.array]], number: int, x: mx.array
    ) -> tuple[list[dict[str, mx.array]], Any]:
        """What `predict` is told in piece `number`, and the scheduler of that piece.

        conditions: what it is told of the whole clip. x: the whole clip's latents, noise from this
        piece on.
        """
        return conditions, self.scheduler(request)

    def scheduler(self, request: Request) -> Any:
        """The scheduler of the request's sampler, steps and shift."""
        raise NotImplementedError

    def predict(
        self, x: mx.array, time: float, conditions: Mapping[str, mx.array], attention: str
    ) -> mx.array:
        """The network's prediction for latents [B, F, H, W, C] at a time of the scheduler, float32,
        with B conditions of each kind.
        """
        raise NotImplementedError

    def hold(
        self, x: mx.array, noise: mx.array, sigma: float, conditions: Mapping[str, mx.array]
    ) -> mx.array:
        """Latents after a step to `sigma`, with what was given put back on its own road from
        `noise`.
        """
        return x

    def decode(self, latents: mx.array) -> Iterator[mx.array]:
        """Latents [1, F, H, W, C] -> frames [n, H, W, 3] in about [-1, 1], chunk after chunk."""
        raise NotImplementedError
