"""huggingface_hub's cache: what it holds of a model, whether that is intact, and its removal.

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
from mlxvid.paths import models_folder
from mlxvid.progress import ProgressBars, Watch

from .selection import INDEX, PATTERNS, required_files
from .transfer import has_checksum, megabytes

COMMIT = re.compile("[0-9a-f]{40}")
# The names that the cache gives files: their SHA-256, or Git's SHA-1.
CHECKSUM = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class CachedRevision:
    """A repository at one commit in the cache.

    `folder`: its snapshot; `sizes`: bytes of the files that are required of it, by their paths.
    """

    folder: Path
    sizes: dict[str, int]

    @property
    def missing(self) -> list[str]:
        """The required files that are not in the cache."""
        return [path for path in self.sizes if not (self.folder / path).is_file()]

    @property
    def size(self) -> int:
        """Bytes of all required files."""
        return sum(self.sizes.values())


def cached_revision(
    repo: str, revision: str | None = None, patterns: Sequence[str] = PATTERNS
) -> CachedRevision | None:
    """A repository at `revision` as the cache has it; None where it was never asked for."""
    commit = _commit(repo, revision)
    return revision_at(repo, commit, patterns) if commit else None


def cached(repo: str, revision: str | None = None, patterns: Sequence[str] = PATTERNS) -> bool:
    """Whether every file that `patterns` require is in the cache."""
    found = cached_revision(repo, revision, patterns)
    return found is not None and not found.missing


def size_on_disk(repo: str) -> int:
    """Bytes of all revisions of a repository in the cache, interrupted downloads included."""
    blobs = repository_folder(repo) / "blobs"
    return sum(path.stat().st_size for path in blobs.glob("*") if path.is_file())


def cached_revisions(repo: str) -> list[CachedRevision]:
    """A repository's revisions in the cache, the latest one first."""
    folders = sorted(
        repository_folder(repo).glob("snapshots/*"),
        key=lambda folder: folder.stat().st_mtime,
        reverse=True,
    )
    found = [revision_at(repo, folder.name, PATTERNS) for folder in folders]
    return [revision for revision in found if revision is not None]


def repositories() -> dict[str, bool]:
    """The model repositories in the cache, and whether one of their revisions is complete."""
    found = {}
    for folder in sorted(hub_cache_folder().glob("models--*--*")):
        if folder.is_dir():
            repo = folder.name.removeprefix("models--").replace("--", "/")
            found[repo] = any(not revision.missing for revision in cached_revisions(repo))
    return found


def verify(
    repo: str,
    revision: str | None = None,
    watch: Watch | None = None,
    patterns: Sequence[str] = PATTERNS,
) -> list[str]:
    """Compare a model's files with their checksums; returns those that are damaged or missing of
    what `patterns` require.

    The damaged ones are removed, so that the next download fetches them again. `watch` sees the
    stage "verify", in MB. Raises :class:`ModelNotFoundError` where the cache has nothing of the
    repository.
    """
    found = cached_revision(repo, revision, patterns)
    if found is None:
        raise ModelNotFoundError(f"Nothing of {repo} is on this machine; download it first.")
    total = megabytes(found.size)
    reported = 0
    read = 0
    with watch_or_bar(watch) as watch:
        watch.begin("verify", total)

        def on_bytes(count: int) -> None:
            nonlocal reported, read
            read += count
            watch.done(count=read // 10**6 - reported)
            reported = read // 10**6

        bad = []
        for path, size in found.sizes.items():
            if not _is_intact(found.folder / path, size, on_bytes):
                bad.append(path)
        watch.done(count=total - reported)
    for path in bad:
        _remove(found.folder / path)
    return bad


def delete(repo: str) -> int:
    """Remove all of a repository from the cache; returns the bytes that it took.

    Raises :class:`MediaError` where it stays.
    """
    from huggingface_hub import scan_cache_dir

    folder = repository_folder(repo)
    size = size_on_disk(repo)
    if not folder.is_dir():
        return 0
    cache = scan_cache_dir(hub_cache_folder())
    for found in cache.repos:
        # The hub's own way also clears what repositories share.
        if found.repo_path == folder.resolve():
            commits = [revision.commit_hash for revision in found.revisions]
            cache.delete_revisions(*commits).execute()
    for leftover in (folder, hub_cache_folder() / ".locks" / folder.name):
        shutil.rmtree(leftover, ignore_errors=True)
    if folder.exists():
        raise MediaError(f"{folder} can't be removed; check its permissions, or delete it there.")
    return size


def hub_cache_folder() -> Path:
    """Where downloads are kept: in MLXVID_MODELS, else in Hugging Face's cache.

    That one is set by HF_HOME or HF_HUB_CACHE, and other programs use it too.
    """
    from huggingface_hub import constants

    return models_folder() or Path(constants.HF_HUB_CACHE).expanduser()


def repository_folder(repo: str) -> Path:
    """Where the cache keeps a repository.

    Its blobs/ has the files by their checksums, snapshots/COMMIT/ links to them by their names.
    """
    return hub_cache_folder() / f"models--{repo.replace('/', '--')}"


def _commit(repo: str, revision: str | None) -> str | None:
    """The commit that a revision was when the hub was last asked."""
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        ref = repository_folder(repo) / "refs" / commit
        try:
            commit = ref.read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    return commit if COMMIT.fullmatch(commit) else None


def listed_sizes(repo: str, commit: str) -> dict[str, int] | None:
    """Bytes of a repository's files, as the hub listed them; None where it was never asked."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(repo, revision=commit, cache_dir=hub_cache_folder())
        return {file.path: file.size for file in tree}
    except CachedRepoTreeNotFoundError:
        return None


def revision_at(repo: str, commit: str, patterns: Sequence[str]) -> CachedRevision | None:
    """A repository at `commit` with what `patterns` require; None where nothing lists its files."""
    sizes = listed_sizes(repo, commit)
    if sizes is None:
        return None
    folder = repository_folder(repo) / "snapshots" / commit
    required = required_files(sizes, _model_index(folder), patterns)
    return CachedRevision(folder, {path: sizes[path] for path in required})


def _model_index(folder: Path) -> dict[str, Any] | None:
    """A model_index.json as far as it can be read: what is wrong with it, loading says."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return index if isinstance(index, dict) else None


def _blob(file: Path) -> Path:
    """Where a snapshot's file really is.

    The first step of its link, since a blob may itself be a link to what repositories share.
    """
    if not file.is_symlink():
        return file
    return Path(os.path.normpath(file.parent / os.readlink(file)))


def _is_intact(file: Path, size: int, on_bytes: Callable[[int], None]) -> bool:
    """Whether a snapshot's file has its size and its checksum."""
    blob = _blob(file)
    if not blob.is_file() or blob.stat().st_size != size:
        return False
    # Where the file system has no links, the size is all that can be checked.
    if not CHECKSUM.fullmatch(blob.name):
        return True
    return has_checksum(blob, blob.name, on_bytes)


def _remove(file: Path) -> None:
    for path in {_blob(file), file}:
        path.unlink(missing_ok=True)


@contextmanager
def watch_or_bar(watch: Watch | None) -> Iterator[Watch]:
    """`watch`, or one that shows a bar."""
    if watch is not None:
        yield watch
        return
    bars = ProgressBars()
    try:
        yield Watch(bars, None)
    finally:
        bars.close()
