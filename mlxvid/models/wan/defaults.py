"""What the released Wan 2.1 models make when they are not told otherwise (arXiv:2503.20314 and the
release's own configuration).
"""

from __future__ import annotations

from mlxvid.model.geometry import Defaults, Geometry

GEOMETRY = Geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2), causal=True)

# Components that stay in float32 where the rest is in bfloat16, as the release runs them.
FLOAT32 = frozenset({"vae", "image_encoder"})

# What the models were tuned to be steered away from: in Chinese as they learned it (overexposed,
# static, subtitles, paintings, worst quality, extra fingers, badly drawn hands and faces, fused
# fingers, three legs, crowds behind, walking backwards, …).
NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，"
    "画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)

# The noise schedule's shift at 480p and at 720p, and the number of pixels from which on a clip
# counts as the latter.
SHIFT_480P, SHIFT_720P, PIXELS_720P = 3.0, 5.0, 1024 * 640


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
