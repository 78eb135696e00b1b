"""What a text encoder made of prompts, kept in memory and in the cache, so that a prompt that was
used before doesn't need the encoder's gigabytes again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
import numpy as np

from mlxvid.errors import MediaError
from mlxvid.paths import cache_folder, require_regular
from mlxvid.version import __version__

from .machine import this_machine

log = logging.getLogger("mlxvid")

# Of more files or bytes than this, those that were not used for longest are removed.
MOST_FILES = 200
MOST_BYTES = 10**9
MOST_IN_MEMORY = 4


def prompts_folder() -> Path | None:
    """Where states of prompts are kept: `MLXVID_CACHE`/prompts, or the user's cache; None where
    `MLXVID_PROMPT_CACHE` is 0.
    """
    return None if os.environ.get("MLXVID_PROMPT_CACHE") == "0" else cache_folder("prompts")


def digest_of(use: Mapping[str, Any], files: Iterable[Path], *arrays: mx.array) -> str:
    """The name of what an encoder makes of arrays, the first of them token ids [B, L] and their
    mask: a digest of all that it depends on.

    Rows are not told apart: beside another prompt one has other padding, and in products of another
    size other last bits. use: the class, type and bits that the encoder is used with, JSON-able.
    files: those that it is read from.
    """
    arithmetic = [this_machine().name, str(mx.default_device()), version("mlx"), __version__]
    depends = [arithmetic, dict(use), [_facts(path) for path in files]]
    digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode())
    for array in arrays:
        digest.update(json.dumps(array.shape).encode())
        digest.update(np.array(array).tobytes())
    return digest.hexdigest()


def _facts(path: Path) -> tuple[str, int, int, int]:
    """A file, as far as the disk tells it from others without reading it."""
    facts = path.stat()
    # The last is when it took its place, whatever date it was given.
    return str(path.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


class PromptCache:
    """States of prompts by their digests."""

    def __init__(self) -> None:
        self._last: dict[str, mx.array] = {}

    def get(self, digest: str) -> mx.array | None:
        """The states of that name; None where there are none, or they are damaged."""
        states = self._last.pop(digest, None)
        states = _read(_path(digest)) if states is None else states
        if states is not None:
            self._remember(digest, states)
        return states

    def put(self, digest: str, states: mx.array) -> None:
        """Keep states that are evaluated, in memory alone where the disk doesn't take them."""
        self._remember(digest, states)
        path = _path(digest)
        if path is None:
            return
        try:
            _write(path, states)
        except (OSError, RuntimeError) as error:
            # No warning: it costs time alone, and what else can't be kept there is warned of.
            log.info("Prompts could not be kept in %s (%s).", path.parent, error)

    def _remember(self, digest: str, states: mx.array) -> None:
        self._last[digest] = states
        while len(self._last) > MOST_IN_MEMORY:
            del self._last[next(iter(self._last))]


def _path(digest: str) -> Path | None:
    folder = prompts_folder()
    return None if folder is None else folder / f"{digest}.safetensors"


def _read(path: Path | None) -> mx.array | None:
    """The states in a file, which is then the newest; None for any other file."""
    if path is None or not path.exists():
        return None
    try:
        require_regular(path)
        loaded = mx.load(str(path), format="safetensors", return_metadata=True)
        arrays, metadata = cast(tuple[dict[str, mx.array], dict[str, str]], loaded)
        states = arrays["states"]
        mx.eval(states)
        if metadata["sum"] != _sum(path.stem, states):
            return None
    except (OSError, RuntimeError, ValueError, KeyError, MediaError):
        return None
    with suppress(OSError):
        os.utime(path)
    return states


def _write(path: Path, states: mx.array) -> None:
    """Write a file under a temporary name, move it into place, and remove the oldest."""
    folder = path.parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)  # states tell of prompts
    temporary = folder / f".{secrets.token_hex(8)}.safetensors"
    try:
        mx.save_safetensors(str(temporary), {"states": states}, {"sum": _sum(path.stem, states)})
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    _remove_oldest(folder.glob("*.safetensors"))


def _sum(name: str, states: mx.array) -> str:
    """A digest of a file's name and states, in which another or a damaged file differs."""
    digest = hashlib.sha256(f"{name} {states.shape} {states.dtype}".encode())
    digest.update(np.array(states.reshape(-1).view(mx.uint8)).tobytes())
    return digest.hexdigest()


def _remove_oldest(paths: Iterable[Path]) -> None:
    dated = []
    for path in paths:
        with suppress(OSError):  # removed meanwhile by another process
            facts = path.stat()
            dated.append((facts.st_mtime_ns, facts.st_size, path))
    size = 0
    for count, (_, own, path) in enumerate(sorted(dated, reverse=True), 1):
        size += own
        if count > MOST_FILES or size > MOST_BYTES:
            with suppress(OSError):
                path.unlink(missing_ok=True)
