"""Long clips, made window by window, each with a prompt of its own if the prompt has several.

A window begins with the last latent frames of the one before: they stand in front of its tokens,
half mixed into them in each step, and its statistics are drawn towards those of the first window.
After Diffusers' LTXI2VLongMultiPromptPipeline.
"""

from __future__ import annotations

import mlx.core as mx

# Frames of a window, and of those the ones that it shares with the window before.
WINDOW = 80
OVERLAP = 24
# How much of the shared frames is mixed in, and how far a window is drawn to the first one's looks.
STRENGTH = 0.5
LIKENESS = 0.25
# The longest clip that is made at once: the release advises no more.
LONGEST = 257
SEPARATOR = "|"


def texts_of(prompt: str) -> list[str]:
    """The prompts of the windows, in order; the last one holds for all windows after it."""
    return [text.strip() for text in prompt.split(SEPARATOR) if text.strip()]


def windows(latent_frames: int, t_factor: int) -> list[range]:
    """The latent frames of each window."""
    size = WINDOW // t_factor
    stride = size - OVERLAP // t_factor
    starts = range(0, max(latent_frames - OVERLAP // t_factor, 1), stride)
    return [range(start, min(start + size, latent_frames)) for start in starts]


def joined(x: mx.array, own: mx.array, window: range, shared: int) -> mx.array:
    """The clip's latents `x` [1, F, H, W, C] with those of a later window in their place.

    shared: latent frames that it has in common with the window before. Of these its own first one,
    which stands for a single frame, is left out, and the others are faded into.
    """
    own = own[:, 1:]
    start = window.start + 1
    fading = max(shared - 1, 1)
    share = mx.linspace(1, 0, fading + 2)[1:-1].reshape(1, -1, 1, 1, 1)
    before = x[:, start : start + fading]
    faded = share * before + (1 - share) * own[:, :fading]
    rest = own[:, fading:]
    return mx.concatenate([x[:, :start], faded, rest, x[:, window.stop :]], axis=1)


def likened(latents: mx.array, first: mx.array) -> mx.array:
    """Latents [1, F, H, W, C] whose channels' means and deviations are drawn to those of `first`.

    By :data:`LIKENESS` (adaptive instance normalisation, arXiv:1703.06868).
    """
    axes = (1, 2, 3)
    mean = latents.mean(axes, keepdims=True)
    deviation = latents.std(axes, keepdims=True, ddof=1)
    wanted_mean = _mixed(mean, first.mean(axes, keepdims=True))
    wanted_deviation = _mixed(deviation, first.std(axes, keepdims=True, ddof=1))
    return (latents - mean) / (deviation + 1e-6) * wanted_deviation + wanted_mean


def _mixed(own: mx.array, first: mx.array) -> mx.array:
    return (1 - LIKENESS) * own + LIKENESS * first
