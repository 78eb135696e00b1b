"""Frames that are given: schedulers around another, which keep what is known of a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlx.core as mx
import numpy as np

from .base import Predict, Scheduler

# Edit ratios are float32: one that is as near as this to a sigma is the same.
SAME = 1e-6


class _GivenFrames(Scheduler):
    """A scheduler that steps as `inner` does, but for the frames that are given."""

    def __init__(self, inner: Scheduler):
        self.inner = inner
        self.is_flow = inner.is_flow
        self.evaluations = inner.evaluations
        self.sigmas = inner.sigmas
        self.times = inner.times

    def begin(self, noise: mx.array) -> mx.array:
        return self.inner.begin(noise)

    def noised(self, x0: mx.array, noise: mx.array, i: int) -> mx.array:
        return self.inner.noised(x0, noise, i)

    def state(self) -> dict[str, mx.array]:
        return self.inner.state()

    def restore(self, state: Mapping[str, mx.array]) -> None:
        self.inner.restore(state)


class GivenOnTrajectory(_GivenFrames):
    """Given first frames stay on the straight line from their latents to the clip's own noise.

    Put back after each step, (1 - s) given + s noise, so that the network sees them as noisy as
    the rest (RePaint, arXiv:2201.09865). given: latents [B, N, H, W, C] of the first N frames;
    mask [B, N, 1 or H, 1 or W, 1]: 1 where they count; noise: what the clip begins with.
    """

    def __init__(self, inner: Scheduler, given: mx.array, mask: mx.array, noise: mx.array):
        super().__init__(inner)
        self.given = given
        self.mask = mask
        self.noise = noise[:, : given.shape[1]]

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        x, x0 = self.inner.step(predict, x, i)
        sigma = self.sigmas[i + 1].item()
        frames = self.given.shape[1]
        noisy = (1 - sigma) * self.given + sigma * self.noise
        first = self.mask * noisy + (1 - self.mask) * x[:, :frames]
        return mx.concatenate([first, x[:, frames:]], axis=1), x0


class GivenStill(_GivenFrames):
    """Given frames stand still until sigma has come down to their edit ratio.

    given [B, F, H, W, C]: their latents, anything in the other frames. edit float32 [B, F]: 1 for
    a frame that is not given, else the sigma from which it is denoised again, 0 for never.
    fresh(i): float32 noise like the latents for step i, always the same for the same i; asked for
    only where frames begin to move in that step.
    """

    def __init__(
        self,
        inner: Scheduler,
        given: mx.array,
        edit: np.ndarray,
        fresh: Callable[[int], mx.array],
    ):
        super().__init__(inner)
        self.given = given
        self.edit = edit
        self.fresh = fresh

    def begin(self, noise: mx.array) -> mx.array:
        return mx.where(_over_frames(self.edit < 1), self.given, noise)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        moved, x0 = self.inner.step(predict, self._noised_anew(x, i), i)
        moves = _over_frames(moving(self.edit, self.sigmas[i].item()))
        return mx.where(moves, moved, x), mx.where(moves, x0, x)

    def _noised_anew(self, x: mx.array, i: int) -> mx.array:
        """`x` with this step's share of fresh noise in the frames that begin to move in it."""
        if i == 0:
            return x  # only what is not given moves, and that is noise already
        before = self.sigmas[i - 1].item()
        sigma = self.sigmas[i].item()
        new = moving(self.edit, sigma) & ~moving(self.edit, before)
        if not new.any():
            return x
        return mx.where(_over_frames(new), (1 - sigma) * x + sigma * self.fresh(i), x)


class GivenByStrength(_GivenFrames):
    """What is given stands still until sigma has come down to its noise, then goes on from there.

    Of models that know each token's own sigma, the lesser of the schedule's and its edit ratio.
    Latents are tokens [B, N, C] or [B, F, H, W, C]. given: as the latents, without noise, anything
    where nothing is given. edit: float32 over leading axes of the latents, [B or 1, N] or
    [B or 1, F] for instance, 1 less the strength: 1 for what is free, 0 for what never moves, else
    the share of the clip's own noise that it begins with, and the sigma at which it begins to move.
    renoise(i): noise like the latents, always the same for the same i; in step i the network sees
    what never moves with this noise times sigma squared, and without it if None. After the step
    the latents have it so too, as in the reference.
    """

    def __init__(
        self,
        inner: Scheduler,
        given: mx.array,
        edit: np.ndarray,
        renoise: Callable[[int], mx.array] | None = None,
    ):
        super().__init__(inner)
        self.given = given
        self.edit = edit
        self.renoise = renoise

    def begin(self, noise: mx.array) -> mx.array:
        edit = _over_tokens(self.edit, noise)
        return (1 - edit) * self.given + edit * self.inner.begin(noise)

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        shown = self._shown(x, i)
        moved, x0 = self.inner.step(predict, shown, i)
        moves = _over_tokens(self.edit > self.sigmas[i].item() - SAME, x)
        return mx.where(moves, moved, shown), mx.where(moves, x0, x)

    def _shown(self, x: mx.array, i: int) -> mx.array:
        """The latents as the network sees them in step i."""
        if self.renoise is None:
            return x
        noisy = self.given + self.sigmas[i].item() ** 2 * self.renoise(i)
        return mx.where(_over_tokens(self.edit < SAME, x), noisy, x)


class GivenBlended(_GivenFrames):
    """What is given is mixed into the latents before and after each step.

    The network sees them as they are before the first of these. given: like the latents. share:
    float32 that broadcasts to them, 0 where nothing is given.
    """

    def __init__(self, inner: Scheduler, given: mx.array, share: mx.array):
        super().__init__(inner)
        self.given = given
        self.share = share

    def begin(self, noise: mx.array) -> mx.array:
        return self._blended(self.inner.begin(noise))

    def step(self, predict: Predict, x: mx.array, i: int) -> tuple[mx.array, mx.array]:
        moved, x0 = self.inner.step(lambda _, time: predict(x, time), self._blended(x), i)
        return self._blended(moved), x0

    def _blended(self, x: mx.array) -> mx.array:
        return (1 - self.share) * x + self.share * self.given


def moving(edit: np.ndarray, sigma: float) -> np.ndarray:
    """Which frames are denoised at `sigma`, bool [B, F]. edit: as for :class:`GivenStill`."""
    return edit >= sigma


def _over_frames(mask: np.ndarray) -> mx.array:
    """A mask [B, F] as it lies over latents [B, F, H, W, C]."""
    return mx.array(mask)[:, :, None, None, None]


def _over_tokens(values: np.ndarray, x: mx.array) -> mx.array:
    """Values over the leading axes of latents `x` as they lie over all of them."""
    return mx.array(values.reshape(*values.shape, *(1,) * (x.ndim - values.ndim)))
