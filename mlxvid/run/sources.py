"""What a clip is made from besides words: the pictures, clips and LoRAs in its settings.

Their digests stand in the clip's settings, so that repeating it can tell what has changed since;
and no clip is saved in the place of what it is made from. No MLX here.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlxvid.errors import MediaError
from mlxvid.media.names import given_file
from mlxvid.media.targets import expand
from mlxvid.paths import require_regular
from mlxvid.weights.files import visible

DIGEST = 16
"""Characters of a digest, of SHA-256 in hexadecimal."""

# What is read of a folder: frames, weights, and what stands beside them.
_READ = (".png", ".json", ".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_PART = 1 << 20


class Source(NamedTuple):
    """A file or folder, and the setting that names it."""

    setting: str
    path: str


def sources(settings: Mapping[str, Any]) -> Iterator[Source]:
    """The files and folders in some settings, by absolute paths; a LoRA only if it is no hub's.

    Pictures are given by "image", "last_image" or in "keyframes", where the first and the last
    frame's are called as a user would give them.
    """
    last = settings.get("frames", 0) - 1
    named = {0: "image", last: "last_image"} if last > 0 else {0: "image"}
    for frame, given in (settings.get("keyframes") or {}).items():
        source = given[0] if isinstance(given, (list, tuple)) and given else given
        yield from _source(named.get(int(frame), "keyframes"), source)
    for name in ("image", "last_image", "extend", "join", "video"):
        yield from _source(name, settings.get(name))
    for lora in settings.get("loras", ()):
        yield from _source("loras", lora_path(lora))


def _source(setting: str, path: Any) -> Iterator[Source]:
    if isinstance(path, (str, os.PathLike)) and os.fspath(path):
        yield Source(setting, os.path.abspath(given_file(path)))


def lora_path(lora: str) -> str | None:
    """The file or folder in a LoRA's FILE[:file][@scale]; None for one of a hub repository."""
    without_scale = lora.rpartition("@")[0]
    spellings = [lora, without_scale]
    for text in (lora, without_scale):
        folder, colon, file = text.rpartition(":")
        if colon:
            spellings.append(f"{folder}/{file}")
    for path in spellings:
        if path and os.path.exists(expand(path)):
            return _file_of_lora(expand(path))
    is_path = lora.startswith(("/", "~", "."))
    return (without_scale or lora) if is_path else None


def _file_of_lora(path: Path) -> str:
    """The one LoRA in a folder, where there is one; other files there come and go in training."""
    there = visible(path) if path.is_dir() else []
    files = [file for file in there if file.suffix == ".safetensors"]
    return str(files[0] if len(files) == 1 else path)


# --- digests -------------------------------------------------------------------------------------


def digest(path: str | os.PathLike) -> str:
    """A digest of a file's bytes, or of a folder's frames or weights: their names and bytes.

    Raises OSError for what can't be read, and :class:`MediaError` for a pipe or device.
    """
    found = hashlib.sha256()
    place = Path(path)
    if place.is_dir():
        files = [file for file in visible(place) if file.suffix.lower() in _READ]
        for file in files:
            found.update(f"{file.name} {digest(file)}\n".encode(errors="surrogateescape"))
    else:
        require_regular(place)
        with open(place, "rb") as opened:
            while part := opened.read(_PART):
                found.update(part)
    return found.hexdigest()[:DIGEST]


def digest_of_pixels(pixels: np.ndarray) -> str:
    """A digest of pictures that were given in memory: their size and pixels."""
    found = hashlib.sha256(repr(pixels.shape).encode())
    found.update(np.ascontiguousarray(pixels).tobytes())
    return found.hexdigest()[:DIGEST]


def digests(paths: Iterable[str]) -> dict[str, str]:
    """The digests of files and folders; of those that can't be read none."""
    found = {}
    for path in paths:
        try:
            found[path] = digest(path)
        except (OSError, MediaError):
            continue
    return found


def require_sources(settings: Mapping[str, Any], made: Mapping[str, Any], where: str) -> None:
    """Raise :class:`MediaError` where a file that is still wanted is gone.

    settings: of the clip to make; made: of the one that it repeats, which is in the file `where`.
    """
    theirs = {source.path for source in sources(made)}
    for source in sources(settings):
        if source.path in theirs and not os.path.exists(source.path):
            raise MediaError(
                f"{source.path}, which {where} was made with, is gone: give another file as "
                f"`{source.setting}`."
            )


def changed_sources(settings: Mapping[str, Any], known: Mapping[str, Any], where: str) -> list[str]:
    """A sentence about each file that is not what it was when its digest was taken.

    settings: of the clip to make; known: digests by path, as the settings of the clip in `where`
    have them.
    """
    paths = dict.fromkeys(source.path for source in sources(settings))
    wanted = [path for path in paths if path in known]
    notes = []
    for path, now in digests(wanted).items():
        if now != known[path]:
            notes.append(
                f"{path} has changed since {where} was made with it, so the clip will differ."
            )
    return notes


# --- no clip in their place ----------------------------------------------------------------------


def require_apart(target: str, made_from: Iterable[Source]) -> None:
    """Raise :class:`MediaError` where a clip would be saved in the place of what it is made from.

    Links are followed, and a name in other letters counts where the disk takes it for the same.
    """
    for source in made_from:
        if _replaces(expand(target), Path(source.path)):
            raise MediaError(
                f"{target} would replace {source.path}, which the clip is made from "
                f"(`{source.setting}`): choose another name for the clip."
            )


def _replaces(target: Path, source: Path) -> bool:
    """Whether saving a clip as `target` would change the file or folder `source`."""
    try:
        # Frames in a folder are replaced, or joined by a new one.
        if target.is_dir():
            return _is_within(source, target)
        is_frame = target.suffix.lower() == ".png" and source.is_dir()
        return _is_same(target, source) or (is_frame and _is_same(target.resolve().parent, source))
    except (OSError, ValueError):  # which checking the name says better
        return False


def _is_within(inner: Path, outer: Path) -> bool:
    """Whether `inner` is `outer`, or anywhere in it."""
    real = inner.resolve()
    return any(_is_same(place, outer) for place in (real, *real.parents))


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and os.path.samefile(one, other)
