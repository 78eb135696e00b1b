"""A run of HunyuanVideo that starts from a picture."""

from __future__ import annotations

import mlx.core as mx

from mlxvid.model.base import Passes, Shot, Stage
from mlxvid.model.guidance import PROMPT
from mlxvid.schedulers import Scheduler

# The share of noise in what a run begins with; the rest is the picture, in all frames, which keeps
# clips steady.
NOISE = 0.999


class PictureShot(Shot):
    """Begins from noise with a little of the picture."""

    def stage(self, number: int, x: mx.array) -> Stage:
        picture = self.passes[PROMPT]["picture"]
        scheduler = self.model.scheduler(self.request)
        return PictureStage(scheduler, self.passes, picture, self.model.config.replaces_tokens)


class PictureStage(Stage):
    """The steps of such a run.

    picture: its latents [1, 1, h, w, C]. replaced: whether they are the clip's first frame, at
    every step.
    """

    def __init__(self, scheduler: Scheduler, passes: Passes, picture: mx.array, replaced: bool):
        super().__init__(scheduler, passes)
        self.picture = picture
        self.replaced = replaced

    def begin(self, x: mx.array) -> mx.array:
        x = NOISE * super().begin(x) + (1 - NOISE) * self.picture
        if not self.replaced:
            return x
        return mx.concatenate([self.picture, x[:, 1:]], axis=1)
