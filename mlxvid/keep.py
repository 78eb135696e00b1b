"""Latents kept on disk: while a clip is decoded, so that an accident there does not cost the denoising, and where a result is broken."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlx.core as mx
import platformdirs

from .errors import CancelledError, DegenerateClipError

log = logging.getLogger("mlxvid")


def latents_folder() -> Path:
    """Where latents are kept: `MLXVID_CACHE`/latents, or the user's cache folder."""
    return Path(os.environ.get("MLXVID_CACHE") or platformdirs.user_cache_dir("mlxvid")) / "latents"


def keep(latents: mx.array, settings: dict) -> Path | None:
    """Write latents [1, F, H, W, C] and the settings that they came from to a safetensors file, and return its path.

    None, and a logged line, where that can't be done: the clip itself may still come out well.
    """
    path = latents_folder() / f"{os.getpid()}-{settings['seed']}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mx.save_safetensors(str(path), {"latents": latents}, {"settings": json.dumps(settings)})
    except (OSError, RuntimeError) as error:
        _remove(path)
        log.warning("The latents could not be kept in %s (%s); free some room there, or set MLXVID_CACHE.", path.parent, error)
        return None
    return path


@contextmanager
def kept(latents: mx.array, settings: dict) -> Iterator[None]:
    """Latents are on disk while the block decodes them. They stay there when it fails, even with the whole process, and are
    removed when it ends well or is stopped."""
    path = keep(latents, settings)
    try:
        yield
    except DegenerateClipError as error:
        raise DegenerateClipError(str(error), str(path) if path else None) from None
    except (CancelledError, KeyboardInterrupt):
        _remove(path)
        raise
    else:
        _remove(path)


def _remove(path: Path | None) -> None:
    if path is not None and path.is_file():
        path.unlink(missing_ok=True)
