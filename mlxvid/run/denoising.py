"""The denoising of a run: stage by stage, step by step, each checked, kept and reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mlx.core as mx

from mlxvid.errors import DegenerateClipError
from mlxvid.layers import bounds
from mlxvid.model.base import Shot
from mlxvid.progress import Watch

from . import checks
from .checkpoint import Checkpoint, RunState
from .frames import Frames
from .latents import keep_latents
from .previews import Previews
from .sharing import GO_ON, shared
from .smaller_pieces import in_smaller_pieces
from .stuck import ended_by_signals


class Denoising:
    """A shot on its way through its stages.

    checkpoint, settings: where its state is kept, and with what; frames: what is handed out
    underway; previews: what is shown of it.
    """

    def __init__(
        self,
        shot: Shot,
        watch: Watch,
        checkpoint: Checkpoint,
        settings: Mapping[str, Any],
        frames: Frames,
        previews: Previews,
    ):
        self.shot = shot
        self.watch = watch
        self.checkpoint = checkpoint
        self.settings = settings
        self.frames = frames
        self.previews = previews
        self.total = sum(shot.steps)
        self.here = shared()

    def denoised(self, state: RunState) -> mx.array:
        """The clip's latents after the last stage. state: where to begin, or to go on."""
        self.last = state
        if self.here is not None:  # the others would not know of steps that are made again
            with ended_by_signals(f"Stopped while another machine was waited for: {GO_ON}."):
                return self._from(state)
        return in_smaller_pieces(lambda: self._from(self.last))

    def _from(self, state: RunState) -> mx.array:
        self.frames.again(0)
        shot = self.shot
        model = shot.model
        model.network(model.denoiser, self.watch)
        shot.restore(state.shot)
        x = state.x
        done = sum(shot.steps[: state.stage])
        self.watch.begin("denoise", self.total, done + state.step)
        for number in range(state.stage):  # frames that the interrupted run had handed out
            self._hand_out(number, x)
        for number in range(state.stage, len(shot.steps)):
            resumed = state if number == state.stage and state.step else None
            x = self._stage(number, x, done, resumed)
            done += shot.steps[number]
            self._hand_out(number, x)
        return x

    def _stage(self, number: int, x: mx.array, done: int, resumed: RunState | None) -> mx.array:
        """The clip's latents after stage `number`, before which `done` steps were made."""
        stage = self.shot.stage(number, x)
        steps = self.shot.steps[number]
        if resumed is not None and resumed.y is not None:
            y = resumed.y
            stage.scheduler.restore(resumed.scheduler)
            first = resumed.step
        else:
            self.shot.forget()
            y = stage.begin(x)
            first = 0
        for step in range(first, steps):
            before = y
            predict = self.shot.predictor(stage, stage.first + step, y.shape[1])
            where = done + step + 1
            try:
                with bounds.heard(self.watch.within(stage.calls)):
                    y, x0 = stage.scheduler.step(predict, y, stage.first + step)
                    checks.check_latents(y, f"after step {where} of {self.total}")
            except DegenerateClipError as error:
                if self.here is not None and not self.here.is_first:
                    error.shared = True
                    raise
                self.checkpoint.remove()  # it would only lead here again
                latents = stage.merged(x, before)
                settings = {**self.settings, "steps_done": where - 1}
                kept = keep_latents(latents, settings, tell=not self.checkpoint.failed).leave()
                raise DegenerateClipError(str(error), kept) from None
            scheduler = stage.scheduler.state()
            now = RunState(x, number, step + 1, y, scheduler, self.shot.kept())
            mx.eval(now.arrays())
            self.last = now
            # The last one in any case: what follows may take long, or be what a stop comes into.
            self.checkpoint.save(now, last=step + 1 == steps)
            self.watch.skipped = self.shot.counted[1]
            self.watch.done(self.previews.of(stage.preview(x, x0)))
        return stage.end(x, y)

    def _hand_out(self, number: int, x: mx.array) -> None:
        if self.here is not None and not self.here.is_first:
            return
        for pixels in self.shot.finished(number, x):
            self.frames.add(pixels)
