"""What clips of Wan 2.1 are by default: sizes, lengths, the negative prompt, the schedule's shift.

Facts from Wan-Video/Wan2.1. No MLX here.
"""

from __future__ import annotations

from collections.abc import Callable

from mlxvid.model.geometry import Defaults

# What the models were tuned to be steered away from: in Chinese as they learned it (overexposed,
# static, subtitles, paintings, worst quality, extra fingers, badly drawn hands and faces, fused
# fingers, three legs, crowds behind, walking backwards, …).
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，"
    "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，"
    "三条腿，背景人很多，倒着走"
)

# The noise schedule's shift at 480p and at 720p, and the number of pixels from which on a clip
# counts as the latter.
SHIFT_480P = 3.0
SHIFT_720P = 5.0
PIXELS_720P = 1024 * 640

# Of the clips that FastVideo makes with the models that it distilled.
FAST_SIZE = (832, 448)
FAST_FRAMES = 61


def shift_by_size(width: int, height: int) -> float | None:
    """The schedule's shift for a clip of that size, as the release advises."""
    return SHIFT_720P if width * height >= PIXELS_720P else SHIFT_480P


def own_shift(value: float | None) -> Callable[[int, int], float | None]:
    """The rule of a checkpoint whose scheduler has that shift: by size, or what it was tuned to."""
    if value is None or value in (1.0, SHIFT_480P, SHIFT_720P):
        return shift_by_size
    return lambda width, height: float(value)


def defaults(width: int, height: int) -> Defaults:
    """The defaults of a model made for that size: five seconds at 16 frames a second."""
    return Defaults(
        width,
        height,
        frames=81,
        fps=16.0,
        steps=50,
        guidance=5.0,
        negative_prompt=NEGATIVE_PROMPT,
        sampler="unipc",
    )
