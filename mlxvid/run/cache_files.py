"""Safetensors files of interrupted runs in the cache: written whole, held by the run that is at
them, and the oldest removed.
"""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import cast

import mlx.core as mx

from mlxvid import in_use
from mlxvid.in_use import Hold
from mlxvid.paths import cache_folder, require_regular

log = logging.getLogger("mlxvid")

# Interrupted runs, and latents of clips that were not saved, stay until they are wanted; of more
# than this the oldest are removed, unless somebody is at them: more than a night's queue leaves
# behind, and little beside a model.
MOST_KEPT = 20


def latents_folder() -> Path:
    """Where latents are kept: `MLXVID_CACHE`/latents, or the user's cache folder."""
    return cache_folder("latents")


def runs_folder() -> Path:
    """Where checkpoints of interrupted runs are: `MLXVID_CACHE`/runs, or the user's cache."""
    return cache_folder("runs")


def unique(folder: Path, name: str) -> Path:
    """A path in `folder` that begins with `name` and is nobody else's, in any process or thread."""
    return folder / f"{name}-{secrets.token_hex(4)}.safetensors"


def load(path: str | os.PathLike) -> tuple[dict[str, mx.array], dict[str, str]]:
    """The arrays, which are not read before they are evaluated, and the metadata."""
    require_regular(path)
    loaded = mx.load(os.fspath(path), format="safetensors", return_metadata=True)
    return cast(tuple[dict[str, mx.array], dict[str, str]], loaded)


def newest(*folders: Path) -> list[Path]:
    """The safetensors files in some folders, the newest first."""
    return _dated("[!.]*.safetensors", *folders)


def write(
    path: Path, arrays: dict[str, mx.array], metadata: dict[str, str], tell: bool = True
) -> Hold | None:
    """Write a file under a temporary name, move it into place and hold it.

    Where that can't be done: None, and with `tell` a logged line.
    """
    temporary = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        hold = in_use.create(temporary)
        mx.save_safetensors(str(temporary), arrays, metadata)
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        remove(temporary)
        if tell:
            why = error.strerror if isinstance(error, OSError) else None
            log.warning(
                "The latents could not be kept in %s (%s); free some room there, or set "
                "MLXVID_CACHE to another folder.",
                path.parent,
                why or error,
            )
        return None
    except BaseException:  # Ctrl-C
        remove(temporary)
        raise
    for old in [*_dated(".*.safetensors", path.parent), *newest(path.parent)[MOST_KEPT:]]:
        remove_free(old)
    return hold


def remove(path: Path) -> None:
    """Remove a file, if it is still there and the folder lets us; a later run tries again."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def remove_free(path: Path) -> None:
    """Remove a file that nobody is at."""
    hold = in_use.take(path)
    if hold is not None:
        remove(path)
        hold.release()


def _dated(pattern: str, *folders: Path) -> list[Path]:
    dated = []
    for folder in folders:
        for path in folder.glob(pattern):
            try:
                dated.append((path.stat().st_mtime, path))
            except OSError:  # removed meanwhile by another process
                continue
    return [path for _, path in sorted(dated, reverse=True)]
