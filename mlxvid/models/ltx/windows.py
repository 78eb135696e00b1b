"""Long clips, made window by window, each with a prompt of its own if the prompt has several.

A window's network sees the last latent frames of the window before as well: they stand in front of
its tokens, and are mixed into these in every step. The look of a window is drawn to that of the
first, and the end of the one before fades into it. After Diffusers'
LTXI2VLongMultiPromptPipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from mlxvid.model.base import Passes, Stage
from mlxvid.model.request import Request
from mlxvid.schedulers import Scheduler
from mlxvid.schedulers.given import GivenBlended

from .conditioning import Item, Tokens, after, placed
from .keys import key_of
from .shot import LTXShot, TokenStage
from .upsampler import adain

# How much of the shared frames is mixed in, and how far a window is drawn to the first one's look.
STRENGTH = 0.5
LIKENESS = 0.25


class WindowsShot(LTXShot):
    """A run in as many stages as the clip has windows."""

    def __init__(self, model: Any, request: Request, noise: mx.array, passes: Passes):
        super().__init__(model, request, noise, passes)
        self.windows: list[range] = model.windows(request)
        self.runs = [self.runs[0]] * len(self.windows)

    @property
    def steps(self) -> Sequence[int]:
        return [self.runs[0].evaluations - self.first] * len(self.windows)

    def stage(self, number: int, x: mx.array) -> Stage:
        window = self.windows[number]
        seed = self.request.seed
        # Of the clip's own noise: what the window before has made of it stands in front.
        own = self.noise[:, window.start : window.stop]
        run = self.runs[number]
        scheduler = self.model.pass_scheduler(run, self.request, own.shape[1:4], number)
        if self.clip is not None:
            own = scheduler.noised(self.clip[:, window.start : window.stop], own, self.first)
        items = self._inside(number)
        tokens = placed(own, items, *self.positions, key_of(seed, "given", number))
        shared = self.model.card.geometry.shared
        if number > 0:
            before = x[:, window.start : window.start + shared]
            fps, causal, _ = self.positions
            key = key_of(seed, "windows", number)
            tokens = after(tokens, before, STRENGTH, fps, causal, key)
            scheduler = _blending(scheduler, tokens, before)
        if items:
            scheduler = self.with_items(scheduler, tokens)
        known = (scheduler, self.texts(number), run, tokens, own.shape[1:4], self.first)
        return WindowStage(*known, shot=self, number=number, shared=shared)

    def _inside(self, number: int) -> list[Item]:
        """What is given in a window and in none before it, by the window's own frames: of a clip
        that goes on beyond the window before, the rest.
        """
        t_factor = self.model.card.geometry.t_factor
        own = self.windows[number]
        earlier = self.windows[number - 1].stop if number else 0
        items = []
        for item in self.items(0):
            latent = -(-item.frame // t_factor)
            begin = max(latent, earlier)
            if not begin < min(own.stop, latent + item.latents.shape[1]):
                continue
            continued = begin > latent
            frame = begin * t_factor if continued else item.frame
            latents = item.latents[:, begin - latent : own.stop - latent]
            items.append(Item(frame - own.start * t_factor, latents, item.strength, continued))
        return items


def _blending(scheduler: Scheduler, tokens: Tokens, before: mx.array) -> Scheduler:
    """A scheduler that mixes latents [1, f, h, w, C] into the first tokens in every step."""
    flat = before.reshape(1, -1, before.shape[-1])
    own = tokens.x.shape[1] - tokens.mixed
    given = mx.pad(flat, [(0, 0), (0, own), (0, 0)])
    share = mx.where(mx.arange(tokens.x.shape[1]) < tokens.mixed, tokens.mixture, 0.0)
    return GivenBlended(scheduler, given, share[:, None])


class WindowStage(TokenStage):
    """The stage of one window of a clip. The first frame of a later one is not the clip's.

    number: of the window. shared: latent frames that it has in common with the one before. The
    first window's latents are in the shot's state, as they were before the second one's faded in.
    """

    def __init__(self, *known: Any, shot: WindowsShot, number: int, shared: int):
        super().__init__(*known)
        self.shot = shot
        self.window = shot.windows[number]
        self.number = number
        self.shared = shared

    def merged(self, x: mx.array, y: mx.array) -> mx.array:
        own = super().merged(x, y)
        start = self.window.start
        if self.number:
            own = own[:, 1:]
            start += 1
        return mx.concatenate([x[:, :start], own, x[:, self.window.stop :]], axis=1)

    def _alike(self, own: mx.array) -> mx.array:
        """The window's latents, all but the first, drawn to the look of the first window; what is
        given stays as it is, as far as it holds.
        """
        drawn = adain(own[:, 1:], self.shot.state["opening"], LIKENESS)
        edit = self.tokens.edit[:, self.tokens.extra :].reshape(1, *self.shape, 1)
        return drawn + mx.array(1 - edit[:, 1:]) * (own[:, 1:] - drawn)

    def preview(self, x: mx.array, x0: mx.array) -> mx.array:
        """As far as the clip is made by now."""
        return self.merged(x, x0)[:, : self.window.stop]

    def end(self, x: mx.array, y: mx.array) -> mx.array:
        own = super().merged(x, y)
        if not self.number:
            self.shot.state = {"opening": own}
            return self.merged(x, y)
        own = self._alike(own)
        start = self.window.start + 1
        fading = self.shared - 1
        share = mx.linspace(1, 0, fading + 2)[1:-1].reshape(1, -1, 1, 1, 1)
        faded = share * x[:, start : start + fading] + (1 - share) * own[:, :fading]
        parts = [x[:, :start], faded, own[:, fading:], x[:, self.window.stop :]]
        return mx.concatenate(parts, axis=1)
