"""Gates that a result must pass: a black, constant or broken clip is an error, not a success."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from mlxvid.errors import DegenerateClipError, DoesNotFitError, GpuError
from mlxvid.metal_errors import metal_error

# A clip whose brightest and darkest values (of 255, in any channel) are closer than this shows
# nothing.
LEAST_RANGE = 4
LEAST_DEVIATION = 1e-3
# How MLX words it when memory runs out: an allocation that Metal refuses, and a command buffer that
# fails for want of it.
OUT_OF_MEMORY = ("allocate", "Insufficient Memory")


def check_latents(latents: mx.array, where: str) -> None:
    """Raise :class:`DegenerateClipError` unless every value is finite and the values vary.

    where: which step they come from.
    """
    finite = mx.isfinite(latents).all()
    deviation = mx.std(latents)
    mx.eval(finite, deviation)
    if not finite.item():
        raise DegenerateClipError(
            f"The latents have values that are not finite {where}; try `dtype` float32, other "
            "weights or less `guidance`."
        )
    if float(deviation) < LEAST_DEVIATION:
        raise DegenerateClipError(
            f"The latents do not vary {where}, so the clip would show nothing; try `dtype` float32 "
            "or other weights."
        )


def check_pixels(pixels: mx.array) -> None:
    """Raise :class:`DegenerateClipError` unless decoded pixels [F, H, W, 3] are all finite."""
    if not mx.isfinite(pixels).all().item():
        raise DegenerateClipError(
            "The decoded frames have values that are not finite; try `dtype` float32 or other "
            "weights."
        )


def check_frames(frames: np.ndarray) -> None:
    """Raise :class:`DegenerateClipError` for frames uint8 [F, H, W, 3] of a single colour."""
    if max(int(np.ptp(frames[..., channel])) for channel in range(3)) < LEAST_RANGE:
        raise DegenerateClipError(
            "The clip is one single colour; try `dtype` float32, another `seed` or other weights."
        )


def is_out_of_memory(error: Exception) -> bool:
    """Whether MLX raised `error` since memory ran out."""
    return any(words in str(error) for words in OUT_OF_MEMORY)


def in_words(error: Exception, remedy: str) -> Exception:
    """`error`, or where MLX raised it for want of memory a :class:`DoesNotFitError`, and where the
    GPU failed a :class:`GpuError`, that says what to do.
    """
    if is_out_of_memory(error):
        return DoesNotFitError(f"The machine ran out of memory; {remedy}.")
    kind = metal_error(str(error))
    if kind is not None:
        return GpuError(f"{kind.happened}: {kind.remedy}; {remedy}.")
    return error
