"""What huggingface_hub's cache holds of a model: whether it is whole, what it takes, whether it is
sound; and how it goes again.

Nothing here asks the network.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlxvid.errors import MediaError, ModelNotFoundError
from mlxvid.progress import ProgressBars, Watch

from .selection import INDEX, PATTERNS, needed
from .transfer import megabytes, sound

COMMIT = re.compile("[0-9a-f]{40}")
# The names that the cache gives files: their SHA-256, or Git's SHA-1.
CHECKSUM = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Snapshot:
    """A repository at one commit in the cache: its folder, and the sizes in bytes of the files that
    are needed of it.
    """

    folder: Path
    sizes: dict[str, int]

    @property
    def missing(self) -> list[str]:
        return [path for path in self.sizes if not (self.folder / path).is_file()]

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def find(repo: str, revision: str | None = None) -> Snapshot | None:
    """What the cache knows of a repository, without asking the network; None where it knows
    nothing.
    """
    commit = _commit(repo, revision)
    return snapshot_at(repo, commit, PATTERNS) if commit else None


def cached(repo: str, revision: str | None = None) -> bool:
    """Whether every file that is needed is in the cache."""
    snapshot = find(repo, revision)
    return snapshot is not None and not snapshot.missing


def size_on_disk(repo: str) -> int:
    """Bytes that all of a repository's revisions, and the parts of downloads that broke off, take
    in the cache.
    """
    blobs = home_of(repo) / "blobs"
    return sum(path.stat().st_size for path in blobs.glob("*") if path.is_file())


def snapshots(repo: str) -> list[Snapshot]:
    """A repository's revisions in the cache, the latest one that came first."""
    folders = sorted(
        home_of(repo).glob("snapshots/*"), key=lambda folder: folder.stat().st_mtime, reverse=True
    )
    return [found for folder in folders if (found := snapshot_at(repo, folder.name, PATTERNS))]


def repositories() -> dict[str, bool]:
    """The model repositories in the cache, and whether one of their revisions is whole."""
    homes = [path.name for path in sorted(cache_folder().glob("models--*--*")) if path.is_dir()]
    names = [name.removeprefix("models--").replace("--", "/") for name in homes]
    return {name: any(not snapshot.missing for snapshot in snapshots(name)) for name in names}


def verify(repo: str, revision: str | None = None, watch: Watch | None = None) -> list[str]:
    """Read a model's files and compare them with their checksums; returns those that are damaged or
    missing.

    The damaged ones are removed, so that the next download fetches them again. `watch` sees the
    stage "verify", in MB. Raises :class:`ModelNotFoundError` where the cache has nothing of the
    repository.
    """
    snapshot = find(repo, revision)
    if snapshot is None:
        raise ModelNotFoundError(f"Nothing of {repo} is on this machine; download it first.")
    with watched(watch) as watch:
        watch.begin("verify", megabytes(snapshot.size))
        told = read = 0

        def heard(count: int) -> None:
            nonlocal told, read
            read += count
            watch.done(count=read // 10**6 - told)
            told = read // 10**6

        bad = [
            path
            for path, size in snapshot.sizes.items()
            if not _is_sound(snapshot.folder / path, size, heard)
        ]
        watch.done(count=megabytes(snapshot.size) - told)
    for path in bad:
        _remove(snapshot.folder / path)
    return bad


def delete(repo: str) -> int:
    """Remove a repository's every revision from the cache; returns the bytes that it took. Raises
    :class:`MediaError` where it stays.
    """
    from huggingface_hub import scan_cache_dir

    home, size = home_of(repo), size_on_disk(repo)
    if not home.is_dir():
        return 0
    cache = scan_cache_dir(cache_folder())
    for found in cache.repos:
        if (
            found.repo_path == home.resolve()
        ):  # the hub's own way also clears what repositories share
            cache.delete_revisions(
                *(revision.commit_hash for revision in found.revisions)
            ).execute()
    for leftover in (home, cache_folder() / ".locks" / home.name):
        shutil.rmtree(leftover, ignore_errors=True)
    if home.exists():
        raise MediaError(
            f"{home} can't be removed; look after its permissions, or delete it there."
        )
    return size


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it downloads: set by HF_HOME or HF_HUB_CACHE."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()


def home_of(repo: str) -> Path:
    """Where the cache keeps a repository: blobs/ has the files by their checksums,
    snapshots/COMMIT/ links to them by their names.
    """
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def _commit(repo: str, revision: str | None) -> str | None:
    """The commit that a revision was when the hub was last asked."""
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        try:
            commit = (home_of(repo) / "refs" / commit).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    return commit if COMMIT.fullmatch(commit) else None


def sizes_at(repo: str, commit: str) -> dict[str, int] | None:
    """Every file of a repository with its size, as the hub listed them once; None where it was
    never asked.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return {
            file.path: file.size
            for file in get_cached_repo_tree(repo, revision=commit, cache_dir=cache_folder())
        }
    except CachedRepoTreeNotFoundError:
        return None


def snapshot_at(repo: str, commit: str, patterns: Sequence[str]) -> Snapshot | None:
    sizes, folder = sizes_at(repo, commit), home_of(repo) / "snapshots" / commit
    if sizes is None:
        return None
    return Snapshot(folder, {path: sizes[path] for path in needed(sizes, _index(folder), patterns)})


def _index(folder: Path) -> dict[str, Any] | None:
    """A model_index.json as far as it can be read: what is wrong with it, loading says."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return index if isinstance(index, dict) else None


def _blob(file: Path) -> Path:
    """Where a snapshot's file really is: the first step of its link, since a blob may itself be a
    link to what repositories share.
    """
    return Path(os.path.normpath(file.parent / os.readlink(file))) if file.is_symlink() else file


def _is_sound(file: Path, size: int, heard: Callable[[int], None]) -> bool:
    blob = _blob(file)
    if not blob.is_file() or blob.stat().st_size != size:
        return False
    if not CHECKSUM.fullmatch(
        blob.name
    ):  # where links are not to be had, the size is all that can be checked
        return True
    return sound(blob, blob.name, heard)


def _remove(file: Path) -> None:
    for path in {_blob(file), file}:
        path.unlink(missing_ok=True)


@contextmanager
def watched(watch: Watch | None) -> Iterator[Watch]:
    """`watch`, or one that shows a bar."""
    if watch is not None:
        yield watch
        return
    bars = ProgressBars()
    try:
        yield Watch(bars, None)
    finally:
        bars.close()
