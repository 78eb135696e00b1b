"""Latents kept on disk while a clip is decoded, so that an accident there does not cost the denoising."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import mlx.core as mx
import platformdirs

log = logging.getLogger("mlxvid")


def latents_folder() -> Path:
    """Where latents are kept: `MLXVID_CACHE`/latents, or the user's cache folder."""
    return Path(os.environ.get("MLXVID_CACHE") or platformdirs.user_cache_dir("mlxvid")) / "latents"


def keep(latents: mx.array, settings: dict) -> Path | None:
    """Write latents and the settings that they came from to a safetensors file; None, and a logged line, where that can't be done."""
    path = latents_folder() / f"{os.getpid()}-{settings['seed']}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mx.save_safetensors(str(path), {"latents": latents}, {"settings": json.dumps(settings)})
    except (OSError, RuntimeError) as error:
        path.unlink(missing_ok=True) if path.parent.is_dir() else None
        log.warning("The latents could not be kept in %s (%s); the clip is made all the same.", path.parent, error)
        return None
    return path
