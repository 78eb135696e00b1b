"""What a clip is given: pictures and clips at any frame, each with a strength, as tokens.

After `prepare_conditioning` of Lightricks/LTX-Video. What begins at frame 0 goes into the clip's
own latents. Anything later has tokens of its own in front of the clip's, with the positions of the
frames that it stands for; of a clip only its first two latent frames have, and the others go into
the clip's own latents. A strength of 1 is never changed, of 0.3 is denoised from a sigma of 0.7 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mlx.core as mx
import numpy as np

from .rope import coords

PREFIX = 2
"""Latent frames of a given clip that have tokens of their own."""


class Item(NamedTuple):
    """Something given: the frame where it begins, its latents [1, f, h, w, C], and its strength.

    continued: whether it begins in the window before, and these are the rest of its latents.
    """

    frame: int
    latents: mx.array
    strength: float
    continued: bool = False


class Tokens(NamedTuple):
    """A clip's latents as the transformer takes them.

    x [1, N, C]: what the steps begin with. edit float32 [1, N]: the sigma from which each token
    moves. coords float32 [3, N]: seconds, and y and x in pixels. extra: how many of the tokens,
    in front, are not the clip's own. mixed: of these the first ones, into which something is mixed
    in every step, and mixture, how much.
    """

    x: mx.array
    edit: np.ndarray
    coords: np.ndarray
    extra: int
    mixed: int = 0
    mixture: float = 0.0

    def times(self, time: float) -> np.ndarray:
        """The time of each token, float32 [1, N], in a step at `time`."""
        shares = np.ones_like(self.edit)
        shares[:, : self.mixed] = 1 - self.mixture
        return np.minimum(self.edit, shares * np.float32(time))


def placed(
    x: mx.array, items: Sequence[Item], fps: float, causal: bool, t_factor: int, key: mx.array
) -> Tokens:
    """The tokens of latents `x` [1, F, H, W, C] with what is given put in.

    key: of the noise in the tokens of what is given later than at the beginning.
    """
    frames, height, width = x.shape[1:4]
    edits = np.ones(frames, np.float32)
    front: list[mx.array] = []
    front_edits: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for item, drawn in zip(items, mx.random.split(key, max(len(items), 1)), strict=False):
        latents = item.latents
        own = 0 if item.frame == 0 or item.continued else PREFIX
        start = item.frame // t_factor + own
        inside = latents[:, own:]
        if inside.shape[1]:
            stop = start + inside.shape[1]
            mixed = _lerp(x[:, start:stop], inside, item.strength)
            x = mx.concatenate([x[:, :start], mixed, x[:, stop:]], axis=1)
            edits[start:stop] = 1 - item.strength
        if own:
            ahead = latents[:, :own]
            noise = mx.random.normal(ahead.shape, key=drawn)
            tokens = _lerp(noise, ahead, item.strength).reshape(1, -1, ahead.shape[-1])
            front.append(tokens)
            front_edits.append(np.full(tokens.shape[1], 1 - item.strength, np.float32))
            places.append(coords((ahead.shape[1], height, width), fps, causal, item.frame))
    own_edits = np.repeat(edits, height * width)
    own_places = coords((frames, height, width), fps, causal)
    return Tokens(
        mx.concatenate([*front, x.reshape(1, -1, x.shape[-1])], axis=1),
        np.concatenate([*front_edits, own_edits])[None],
        np.concatenate([*places, own_places], axis=1),
        sum(tokens.shape[1] for tokens in front),
    )


def after(
    tokens: Tokens, latents: mx.array, mixture: float, fps: float, causal: bool, key: mx.array
) -> Tokens:
    """`tokens` with others in front, at the positions of the clip's beginning: latents
    [1, f, h, w, C] of what comes before it, mixed into noise.
    """
    noise = mx.random.normal(latents.shape, key=key)
    made = _in_front(tokens, _lerp(noise, latents, mixture), 1.0, fps, causal)
    return made._replace(mixed=made.extra - tokens.extra, mixture=mixture)


def following(tokens: Tokens, latents: mx.array, fps: float, causal: bool) -> Tokens:
    """`tokens` with those of a clip in front that they follow, at its own positions, never changed:
    latents [1, f, h, w, C]. So IC-LoRAs were trained (Lightricks/LTX-Video-Trainer).
    """
    return _in_front(tokens, latents, 0.0, fps, causal)


def _in_front(tokens: Tokens, latents: mx.array, edit: float, fps: float, causal: bool) -> Tokens:
    """`tokens` with others in front, at the positions of the clip's beginning."""
    _, f, h, w, channels = latents.shape
    front = latents.reshape(1, -1, channels)
    count = front.shape[1]
    return Tokens(
        mx.concatenate([front, tokens.x], axis=1),
        np.concatenate([np.full((1, count), edit, np.float32), tokens.edit], axis=1),
        np.concatenate([coords((f, h, w), fps, causal), tokens.coords], axis=1),
        count + tokens.extra,
    )


def _lerp(a: mx.array, b: mx.array, share: float) -> mx.array:
    return a + share * (b - a)
