"""The linear map from a VAE's latents to small frames, one pixel a latent position.

It is fitted by least squares to what the VAE makes of drawn clips, encoded and decoded again, and
kept in the cache under the identity of the VAE's files.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import mlx.core as mx
import numpy as np

from mlxvid.errors import MlxvidError
from mlxvid.model.base import Model
from mlxvid.model.geometry import Geometry
from mlxvid.paths import cache_folder
from mlxvid.progress import Watch
from mlxvid.weights.files import average_folder, component_files

from .drawn import drawn_clips

CLIPS = 24
LATENT_FRAMES = 3
# Pixels of a side, or this many latent positions where these are large.
SIDE = 64
LEAST_POSITIONS = 6
# Added to the variance of each channel: keeps what the clips hardly vary from being overrated.
RIDGE = 1e-3
# Of the maps in the cache; another number leaves the earlier ones behind.
FORMAT = 1


class LatentMap:
    """Colours as linear functions of latents.

    matrices: [C + 1, 3n] by n, the frames that a latent frame stands for: RGB in [-1, 1] of these
    frames one after the other, and in the last row what is added.
    """

    def __init__(self, matrices: dict[int, np.ndarray]):
        self.matrices = matrices

    def frames(self, latents: np.ndarray, geometry: Geometry) -> np.ndarray:
        """Latents float32 [f, h, w, C] -> frames uint8 [F, h, w, 3]."""
        f, h, w, _ = latents.shape
        ends = np.array([geometry.pixel_frames(1 + i) for i in range(f)])
        counts = frame_counts(geometry, f)
        frames = np.empty((ends[-1], h, w, 3), np.uint8)
        for count, matrix in self.matrices.items():
            which = np.flatnonzero(counts == count)
            rgb = latents[which] @ matrix[:-1] + matrix[-1]
            rgb = np.clip(np.round(rgb * 127.5 + 127.5), 0, 255).astype(np.uint8)
            for i, colours in enumerate(np.split(rgb, count, axis=-1)):
                frames[ends[which] - count + i] = colours
        return frames


def frame_counts(geometry: Geometry, latent_frames: int) -> np.ndarray:
    """How many frames each of the latent frames stands for."""
    ends = [geometry.pixel_frames(1 + i) for i in range(latent_frames)]
    return np.diff(ends, prepend=0)


# --- fitted --------------------------------------------------------------------------------------


def fitted(model: Model, watch: Watch | None = None) -> LatentMap:
    """The map of the model's VAE, which is loaded for it if it isn't yet.

    Told to `watch` as the stage "encode", a step a drawn clip. Raises ValueError where the VAE
    makes no numbers.
    """
    model.network("vae", watch)
    counts = frame_counts(model.card.geometry, LATENT_FRAMES)
    samples: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {int(n): [] for n in counts if n}
    if watch is not None:
        watch.begin("encode", CLIPS)
    for latents, frames in _samples(model):
        start = 0
        for z, count in zip(latents, counts, strict=True):
            if not count:  # a latent frame that is no part of the clip
                continue
            group = frames[start : start + count]
            rgb = _shrunk(group, *z.shape[:2]).transpose(1, 2, 0, 3)
            samples[int(count)].append((z.reshape(-1, z.shape[-1]), rgb.reshape(-1, 3 * count)))
            start += count
        if watch is not None:
            watch.done()
    return LatentMap({count: _least_squares(pairs) for count, pairs in samples.items()})


def _samples(model: Model) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Latents [f, h, w, C] and the frames [F, H, W, 3] in [-1, 1] that the VAE makes of them: those
    of drawn clips, or random ones where the VAE can't encode.
    """
    geometry = model.card.geometry
    positions = max(LEAST_POSITIONS, SIDE // geometry.s_factor)
    side = positions * geometry.s_factor
    network = model.network("vae")
    key = mx.random.key(CLIPS)
    for clip in drawn_clips(CLIPS, geometry.pixel_frames(LATENT_FRAMES), side):
        if hasattr(network, "encode"):
            latents = model.encoded(mx.array(clip)[None]).astype(mx.float32)
        else:
            shape = (1, LATENT_FRAMES, positions, positions, geometry.channels)
            key, drawn = mx.random.split(key)
            latents = mx.random.normal(shape, key=drawn)
        parts = [np.array(part.astype(mx.float32)) for part in model.decode(latents)]
        yield np.array(latents[0]), np.clip(np.concatenate(parts), -1, 1)


def _shrunk(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Frames [F, H, W, 3] as the means of height x width equal blocks."""
    f, h, w, _ = frames.shape
    blocks = frames.reshape(f, height, h // height, width, w // width, 3)
    return blocks.mean(axis=(2, 4))


def _least_squares(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The matrix [C + 1, M] that makes the second of each pair of the first, in closed form."""
    z = np.concatenate([latents for latents, _ in pairs]).astype(np.float64)
    rgb = np.concatenate([colours for _, colours in pairs]).astype(np.float64)
    if not np.isfinite(z).all() or not np.isfinite(rgb).all():
        raise ValueError("the VAE makes values that are not finite")
    mean = z.mean(axis=0)
    middle = rgb.mean(axis=0)
    z -= mean
    variances = z.T @ z / len(z)
    ridge = RIDGE * max(np.trace(variances) / len(variances), 1e-12)
    shared = z.T @ (rgb - middle) / len(z)
    matrix = np.linalg.solve(variances + ridge * np.eye(len(variances)), shared)
    return np.vstack([matrix, middle - mean @ matrix]).astype(np.float32)


# --- kept ----------------------------------------------------------------------------------------


def kept_path(model: Model) -> Path:
    """Where the map of the model's VAE is kept: by the place, size and time of its files.

    Raises :class:`WeightsError` and OSError where they can't be found.
    """
    average = average_folder(model.path, model.decoder)
    folder = average or model.path / model.decoder
    identity = hashlib.sha256(f"{FORMAT}".encode())
    for file in [model.path / model.decoder / "config.json", *component_files(folder)]:
        real = file.resolve()
        facts = real.stat()
        line = f"\n{real} {facts.st_size} {facts.st_mtime_ns}"
        identity.update(line.encode(errors="surrogateescape"))
    return cache_folder("previews") / f"{identity.hexdigest()[:16]}.json"


def read(model: Model) -> LatentMap | None:
    """The map of the model's VAE that is kept; None where there is none, or it is damaged."""
    geometry = model.card.geometry
    counts = {int(n) for n in frame_counts(geometry, LATENT_FRAMES)}
    try:
        stored = json.loads(kept_path(model).read_text(encoding="utf-8"))
        matrices = {int(n): np.array(rows, np.float32) for n, rows in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, MlxvidError):
        return None
    shapes = {n: matrix.shape for n, matrix in matrices.items()}
    if shapes != {n: (geometry.channels + 1, 3 * n) for n in counts}:
        return None
    if not all(np.isfinite(matrix).all() for matrix in matrices.values()):
        return None
    return LatentMap(matrices)


def keep(model: Model, found: LatentMap) -> None:
    """Keep the map of the model's VAE; where that can't be done the next run makes it again."""
    with suppress(OSError, MlxvidError):
        path = kept_path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        matrices = {n: matrix.tolist() for n, matrix in found.matrices.items()}
        try:
            temporary.write_text(json.dumps(matrices), encoding="utf-8")
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
