"""A run of a model: a shot, which goes through its stages in turn, each a scheduler with steps of
its own; what a stage takes from the clip, and puts back, is its `begin` and `end`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import mlx.core as mx

from mlxvid import machines
from mlxvid.layers import stack
from mlxvid.progress import Watch
from mlxvid.schedulers import Predict, Scheduler

from .caching import first_full
from .conditions import Conditions
from .guidance import (
    NEGATIVE,
    PROMPT,
    WITHOUT_LAYERS,
    Outputs,
    away_from_skipped,
    classifier_free,
    outputs_of,
    projected,
    zero_star,
)
from .interval import is_within
from .passes import passes_in
from .request import Request
from .shared_passes import passes_here, shared_outputs
from .step_cache import CALLS, RESIDUAL, SKIPPED, EasyCache, Memory, StepCache, TeaCache

Passes = Mapping[str, Conditions]
"""The conditions of each pass through the network, by what steers it: "negative", "prompt"."""

# Before the names of a shot's memory, where it is saved beside the state.
MEMORY = "memory."
# What APG keeps in it.
AVERAGE = "guidance.average"


def is_memory(name: str) -> bool:
    """Whether an array that a shot has saved is of its memory."""
    return name.startswith(MEMORY)


class Shot:
    """One run of a model: its request, what it begins with, its conditions and its state.

    clip: latents of the clip that it is made from, if any, which its stages begin from; state:
    arrays that are kept from one prediction to the next, such as caches; memory: those of the step
    cache and the guidance, which end with a stage. Both are saved with an interrupted run and
    restored with it. A family whose runs have more than one stage, other guidance or a state of
    their own has a Shot of its own.
    """

    def __init__(self, model: Any, request: Request, noise: mx.array, passes: Passes):
        self.model = model
        self.request = request
        self.noise = noise
        self.passes = passes
        self.clip: mx.array | None = None
        self.state: dict[str, mx.array] = {}
        self.memory: Memory = {}
        self.cache = self._step_cache()

    def _step_cache(self) -> StepCache | None:
        request = self.request
        if request.cache == "off":
            return None
        threshold = self.model.card.cache_threshold(request.cache, request.cache_threshold)
        known = (self.memory, threshold, self.model.denoiser_at)
        if request.cache == "easy":
            return EasyCache(*known)
        return TeaCache(*known, self.model.card.tea.distance)

    def kept(self) -> dict[str, mx.array]:
        """State and memory, to be saved with an interrupted run; but for what the network last
        added where machines share its passes: each of them has another part of that.
        """
        parted = machines.sharing("guidance") is not None
        memory = {
            MEMORY + name: array
            for name, array in self.memory.items()
            if not (parted and name.startswith(RESIDUAL))
        }
        return {**self.state, **memory}

    def restore(self, arrays: Mapping[str, mx.array]) -> None:
        """Go on with what :meth:`kept` had."""
        self.state = {name: array for name, array in arrays.items() if not is_memory(name)}
        self.memory.clear()
        for name in filter(is_memory, arrays):
            self.memory[name.removeprefix(MEMORY)] = arrays[name]
        if machines.sharing("guidance"):
            for name in [name for name in self.memory if name.startswith(RESIDUAL)]:
                del self.memory[name]

    def forget(self) -> None:
        """Let go of the memory, which is a stage's own: at the beginning of another."""
        self.memory.pop(AVERAGE, None)
        if self.cache is not None:
            self.cache.forget()

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
        combined by guidance.

        latent_frames: of the latents that it is called with.
        """
        if stage.batched is None:  # once: later steps may have another network in memory
            stage.batched = self._batched(len(stage.passes), latent_frames)
        request = self.request
        skipped = request.skipped_layers
        is_guided = len(stage.passes) > 1
        zero_star_flow = request.guidance_method == "cfg-zero" and stage.scheduler.is_flow
        names = passes_in(
            *stage.place(step),
            tuple(stage.passes),
            request.guidance_interval,
            skipped,
            stands_still=is_guided and zero_star_flow,
        )
        if not names:
            return lambda x, time: mx.zeros_like(x)
        if WITHOUT_LAYERS not in names:
            skipped = None
        passes = {name: stage.passes[name] for name in names if name in stage.passes}
        batch = stage.batch if stage.batched and len(passes) == len(stage.passes) else None
        stage.used = passes_here(names)
        scale = self.scale(stage, step)

        def predict(x: mx.array, time: float, conditions: Conditions) -> mx.array:
            return self.model.predict(x, time, conditions, self.request)

        def guided(x: mx.array, time: float) -> mx.array:
            def evaluate(x: mx.array, names: Sequence[str]) -> Outputs:
                asked = {name: row for name, row in passes.items() if name in names}
                outputs = outputs_of(predict, x, time, asked, batch)
                if skipped is not None and WITHOUT_LAYERS in names:
                    with stack.without(skipped.layers):
                        outputs[WITHOUT_LAYERS] = predict(x, time, passes[PROMPT])
                return outputs

            outputs = self.outputs(stage, step, x, time, names, evaluate)
            prediction = self.combined(outputs, scale)
            if skipped is None:
                return prediction
            return away_from_skipped(outputs, prediction, skipped.scale)

        return guided

    def _batched(self, rows: int, latent_frames: int) -> bool:
        """Whether all passes go through the network at once."""
        if rows == 1 or machines.sharing("guidance"):
            return False
        fits = self.model.batched(rows, latent_frames, self.request)
        here = machines.sharing("layers")
        return fits if here is None else here.every(fits)

    def combined(self, outputs: Outputs, scale: float) -> mx.array:
        """One prediction of the passes' outputs, by the request's method of guidance."""
        method = self.request.guidance_method
        if method == "cfg-zero":
            return zero_star(outputs, scale)
        if method == "apg" and NEGATIVE in outputs:
            average = self.memory.get(AVERAGE)
            prediction, self.memory[AVERAGE] = projected(outputs, scale, average)
            return prediction
        return classifier_free(outputs, scale)

    def is_guided(self, stage: Stage, step: int) -> bool:
        """Whether guidance pulls in a step, or the prompt's pass is enough."""
        return is_within(*stage.place(step), self.request.guidance_interval)

    @property
    def counted(self) -> tuple[int, int]:
        """Evaluations of the network so far, and how many of them the step cache left out."""
        calls, skipped = (self.memory.get(name) for name in (CALLS, SKIPPED))
        return (0, 0) if calls is None or skipped is None else (int(calls), int(skipped))

    def outputs(
        self,
        stage: Stage,
        step: int,
        x: mx.array,
        time: float,
        names: Sequence[str],
        evaluate: Callable[[mx.array, Sequence[str]], Outputs],
    ) -> Outputs:
        """The outputs of the passes `names` for latents x at a time: those of evaluate(x, names),
        unless the step cache knows them. Where machines share them, x is the first one's, and each
        evaluates some of the names.
        """
        here = machines.sharing("guidance", "layers")
        if here is not None:  # machines of different kinds may differ by a last bit
            x = here.from_first(x)

        def outputs() -> Outputs:
            passes = machines.sharing("guidance")
            if passes is None:
                return evaluate(x, names)
            return shared_outputs(passes, names, lambda own: evaluate(x, own))

        if self.cache is None:
            return outputs()
        number, steps = stage.place(step)
        full = number < first_full(self.request.cache, steps) or number == steps - 1
        return self.cache(x, time, names, outputs, full)

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
        self.used = len(passes)
        """How many of the passes the step needs that is made."""

    @cached_property
    def batch(self) -> Conditions:
        """The conditions of all passes, stacked."""
        return Conditions.stacked(list(self.passes.values()))

    @property
    def calls(self) -> int:
        """The calls of a network in a step: one a pass and evaluation, where none are batched."""
        return self.scheduler.evaluations * (1 if self.batched else self.used)

    def place(self, step: int) -> tuple[int, int]:
        """The number of a step of the scheduler's among those that are made, and of these."""
        return step - self.first, self.scheduler.steps - self.first

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
