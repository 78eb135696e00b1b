"""Clips that are made on several machines and saved on the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.machines import Machines
from mlxvid.media.clip import Clip

# Bytes of frames that each machine sends at once.
PART = 1 << 24


@dataclass
class Made:
    """What came of a take. clip: None where it failed, which `failed` says why. seconds: that it
    took.
    """

    clip: Clip | None
    failed: str | None = None
    seconds: float = 0.0


def gathered(here: Machines, made: Made | None) -> list[Made | None]:
    """What all machines have made, None for one that had nothing to do; on others than the first
    without the others' clips.
    """
    facts: dict[str, Any] = {}
    frames = np.zeros(0, np.uint8)
    if made is not None:
        facts = {"failed": made.failed, "seconds": made.seconds}
    if made is not None and made.clip is not None:
        clip = made.clip
        facts |= {"shape": clip.frames.shape, "fps": clip.fps, "settings": clip.settings}
        if not here.is_first:
            frames = np.ascontiguousarray(clip.frames).reshape(-1)
    told = here.told(facts)
    sizes = [int(np.prod(facts.get("shape", 0))) for facts in told]
    rows = _rows(here, frames, [0, *sizes[1:]])
    results: list[Made | None] = []
    for rank, facts in enumerate(told):
        if rank == here.rank:
            results.append(made)
        elif not facts:
            results.append(None)
        else:
            result = Made(None, facts["failed"], facts["seconds"])
            if here.is_first and "shape" in facts:
                pixels = rows[rank].reshape(facts["shape"])
                result.clip = Clip(pixels, facts["fps"], facts["settings"])
            results.append(result)
    return results


def _rows(here: Machines, own: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """The bytes of all machines, of these sizes, on the first; part by part."""
    parts: list[list[np.ndarray]] = [[] for _ in sizes]
    for start in range(0, max(sizes), PART):
        length = min(PART, max(sizes) - start)
        part = np.zeros(length, np.uint8)
        mine = own[start : start + length]
        part[: len(mine)] = mine
        together = np.array(here.gathered(mx.array(part)))
        if here.is_first:
            for rank, row in enumerate(together):
                parts[rank].append(row)
    return [np.concatenate(row or [own[:0]])[:size] for row, size in zip(parts, sizes, strict=True)]
