"""A run of LTX-Video: one pass, or a small one and then a few steps at twice its size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from mlxvid.model.base import Passes, Shot, Stage
from mlxvid.model.conditions import Conditions
from mlxvid.model.guidance import NEGATIVE, PROMPT, Outputs
from mlxvid.model.request import Request
from mlxvid.model.shared_passes import passes_here
from mlxvid.schedulers import Predict, Scheduler
from mlxvid.schedulers.given import GivenByStrength

from . import rope
from .conditioning import Item, Tokens, following, placed
from .config import LTXTransformerConfig
from .guidance import guided
from .keys import key_of
from .recipes import PERTURBED, Pass
from .rope import SCALES
from .tiles import everything, tiles
from .transformer import Rope, Times, cut
from .upsampler import adain


class LTXShot(Shot):
    """Passes one after the other, each with a schedule and guidance of its own."""

    def __init__(self, model: Any, request: Request, noise: mx.array, passes: Passes):
        super().__init__(model, request, noise, passes)
        self.runs: Sequence[Pass] = model.runs(request)

    @property
    def first(self) -> int:
        """The step of the first pass to begin with, later than 0 where there is a clip to begin
        from.
        """
        return min(self.request.first, self.runs[0].evaluations - 1)

    @property
    def steps(self) -> Sequence[int]:
        counts = [run.evaluations for run in self.runs]
        return [counts[0] - self.first, *counts[1:]]

    def stage(self, number: int, x: mx.array) -> Stage:
        if number > 0:
            x = self._larger(x)
        run = self.runs[number]
        scheduler = self.model.pass_scheduler(run, self.request, x.shape[1:4])
        first = 0 if number else self.first
        if number > 0:
            noise = mx.random.normal(x.shape, key=key_of(self.request.seed, "second pass"))
            x = scheduler.noised(x, noise, 0)
        elif self.clip is not None:
            x = scheduler.noised(self.clip, x, first)
        items = self.items(number)
        tokens = placed(x, items, *self.positions, key_of(self.request.seed, "given", number))
        if self.request.control is not None:
            fps, causal, _ = self.positions
            tokens = following(tokens, self.passes[PROMPT][f"control {number}"], fps, causal)
        if tokens.edit.min() < 1:
            scheduler = self.with_items(scheduler, tokens)
        # Where there is little noise left, tiles agree on what is in the picture.
        tiled = number > 0
        return TokenStage(scheduler, self.texts(0), run, tokens, x.shape[1:4], first, tiled)

    def texts(self, number: int) -> Passes:
        """The text of each pass, without padding: of the prompt's texts the one with that number,
        or the last.
        """
        passes = {}
        for name, conditions in self.passes.items():
            which = min(number, conditions["text"].shape[1] - 1)
            mask = np.array(conditions["mask"][:, which])
            text, _ = cut(conditions["text"][:, which], mask)
            passes[name] = Conditions({"text": text})
        return passes

    def with_items(self, scheduler: Scheduler, tokens: Tokens) -> Scheduler:
        """A scheduler that keeps what is given in `tokens`."""
        return GivenByStrength(scheduler, tokens.x, tokens.edit, self._renoise(tokens))

    def _larger(self, x: mx.array) -> mx.array:
        """Latents twice as large, with the statistics that they had."""
        upsampler = self.model.network("latent_upsampler")
        vae = self.model.network("vae")
        larger = vae.normalised(upsampler(vae.scaled_back(x)))
        larger = adain(larger, x, 1.0)
        mx.eval(larger)
        return larger

    @property
    def positions(self) -> tuple[float, bool, int]:
        """The frame rate, whether positions in time are causal, and frames a latent frame."""
        return self.request.fps, self.model.recipe.causal, self.model.card.geometry.t_factor

    def items(self, number: int) -> list[Item]:
        """What is given, at the size of pass `number`."""
        conditions = self.passes[PROMPT]
        return [
            Item(item.frame, conditions[f"given {number} {i}"], item.strength)
            for i, item in enumerate(self.request.placed)
        ]

    def _renoise(self, tokens: Tokens) -> Callable[[int], mx.array] | None:
        """The noise with which step i shows the network what is given and held; None for none."""
        scale = float(self.request.options.get("image_noise", 0.0))
        if not scale:
            return None
        shape = tokens.x.shape
        seed = self.request.seed
        return lambda i: scale * mx.random.normal(shape, key=key_of(seed, "renoise", i))

    def predictor(self, stage: Any, step: int, latent_frames: int) -> Predict:
        """The guided velocity. latent_frames: here, tokens."""
        network = self.model.network("transformer")
        parts = stage.parts(network.config)
        guidance = stage.run.guidance
        is_guided = self.is_guided(stage, step)

        def velocity(
            x: mx.array, time: float, conditions: Conditions, unattended: Collection[int] = ()
        ) -> mx.array:
            times = stage.tokens.times(time)
            text = conditions["text"]
            if len(parts) == 1:
                output = network(x, text, None, Times.of(times), parts[0].rope, unattended)
                return output.astype(mx.float32)
            whole = mx.zeros(x.shape)
            for part in parts:
                own = Times.of(times[:, part.tokens])
                output = network(x[:, part.where], text, None, own, part.rope, unattended)
                whole = whole.at[:, part.where].add(part.weight * output.astype(mx.float32))
            return whole

        def combined(x: mx.array, time: float) -> mx.array:
            strengths = guidance.at(time)
            names = strengths.passes(is_guided)

            def evaluate(x: mx.array, names: Sequence[str]) -> Outputs:
                outputs = {}
                for name in names:
                    conditions = stage.passes[NEGATIVE if name == NEGATIVE else PROMPT]
                    unattended = strengths.blocks if name == PERTURBED else ()
                    outputs[name] = velocity(x, time, conditions, unattended)
                return outputs

            outputs = self.outputs(stage, step, x, time, names, evaluate)
            negative = outputs.get(NEGATIVE)
            perturbed = outputs.get(PERTURBED)
            return guided(strengths, outputs[PROMPT], negative, perturbed, guidance.star)

        strengths = guidance.at(stage.scheduler.times[step].item())
        stage.calls = passes_here(strengths.passes(is_guided)) * len(parts)
        return combined


class Part(NamedTuple):
    """Tokens that go through the network together: all, or those of a tile.

    tokens: their numbers, and where, the same as an array. weight float32 [n, 1]: their share of
    the velocity.
    """

    tokens: np.ndarray
    where: mx.array
    weight: mx.array
    rope: Rope


class TokenStage(Stage):
    """A pass over tokens: those of what is given, and then the clip's own.

    tokens: what it begins with. shape: (F, H, W) of the clip's latents in it. tiled: whether a
    large picture goes through the network in tiles.
    """

    calls = 1

    def __init__(
        self,
        scheduler: Scheduler,
        passes: Passes,
        run: Pass,
        tokens: Tokens,
        shape: tuple[int, ...],
        first: int,
        tiled: bool = False,
    ):
        super().__init__(scheduler, passes, first)
        self.run = run
        self.tokens = tokens
        self.shape = shape
        self.tiled = tiled
        self._parts: list[Part] = []

    def parts(self, config: LTXTransformerConfig) -> list[Part]:
        """What goes through the network one after the other, all together making the picture."""
        if not self._parts:
            coords = self.tokens.coords
            _, height, width = self.shape
            tiled = self.tiled
            cuts = tiles(coords, height, width, SCALES[1]) if tiled else [everything(coords)]
            for numbers, weight in cuts:
                tables = rope.tables(config, coords[:, numbers])
                share = mx.array(weight)[:, None]
                self._parts.append(Part(numbers, mx.array(numbers), share, tables))
        return self._parts

    def begin(self, x: mx.array) -> mx.array:
        return self.tokens.x

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        return y[:, self.tokens.extra :].reshape(1, *self.shape, -1)
