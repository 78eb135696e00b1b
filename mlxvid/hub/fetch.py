"""Models from the hub: only the files that mlxvid reads, at a pinned revision, and from the cache
when offline.

The files lie in huggingface_hub's cache, where other programs find them too. ``python -m
mlxvid.hub`` is the command for all this.
"""

from __future__ import annotations

import errno
import glob
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxvid import __version__
from mlxvid.errors import (
    CancelledError,
    MlxvidError,
    ModelNotFoundError,
)

from .cache import (
    Snapshot,
    cache_folder,
    home_of,
    sizes_at,
    snapshot_at,
    watched,
)
from .selection import INDEX, PATTERNS
from .transfer import Transfer, fetch_all

if TYPE_CHECKING:
    from mlxvid.progress import Watch

KEPT = "Stopped; what is here by now is kept, and the next download goes on from there."
# Left free on the disk, which a system with none at all does not survive.
SPARE = 10**9
ADAPTER, ADAPTER_SETTINGS = "adapter_model.safetensors", "adapter_config.json"


def download(
    repo: str,
    revision: str | None = None,
    patterns: Sequence[str] = PATTERNS,
    watch: Watch | None = None,
) -> Path:
    """The folder of the hub repository `repo` at `revision` (a commit, branch or tag; None: its
    main branch), fetched as far as it is not here.

    patterns: of the files that count; see :func:`mlxvid.hub.selection.needed`. watch: sees the
    stage "download", in MB, and can end it with :class:`CancelledError`; without one there is a bar
    on standard error. Raises :class:`ModelNotFoundError` where it can't be had.
    """
    with _told(repo, revision):
        folder = _fetched(repo, revision, [INDEX])
        snapshot = snapshot_at(repo, folder.name, patterns)
        if (
            snapshot is None
        ):  # the hub was never asked what is in it, and can't be now, or can't be remembered
            return _fetched(repo, revision, patterns)
        return _complete(repo, snapshot, watch)


def download_file(
    repo: str, file: str | None = None, revision: str | None = None, watch: Watch | None = None
) -> Path:
    """One file of a hub repository, or for None its only .safetensors file; PEFT's settings come
    along with an adapter of PEFT's.

    Raises :class:`ModelNotFoundError`.
    """
    with _told(repo, revision):
        folder = _fetched(repo, revision, [INDEX])
        sizes = sizes_at(repo, folder.name) or {}
        if file is None:
            names = [name for name in sizes if name.endswith(".safetensors")]
            if len(names) != 1:
                raise ModelNotFoundError(
                    f"{repo} has {len(names)} .safetensors files; name one of them as in {repo}:FILE."
                )
            (file,) = names
        if file not in sizes:
            raise ModelNotFoundError(
                f"{repo} has no file {file!r}; look at what is there on https://huggingface.co/{repo}/tree/main."
            )
        beside = (
            file.removesuffix(ADAPTER) + ADAPTER_SETTINGS
            if file.rpartition("/")[2] == ADAPTER
            else file
        )
        wanted = {name: sizes[name] for name in (file, beside) if name in sizes}
        return _complete(repo, Snapshot(folder, wanted), watch) / file


def _fetched(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The snapshot's folder with these files in it, by the hub's own means: for what is small, or
    is here and lacks but its link.

    Offline, or where the hub can't be reached, it is the folder in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import logging, tqdm

    class NoBar(tqdm):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # that a repository has no such file, or that there is a faster protocol, is nothing to tell a user
    try:
        how = {"cache_dir": cache_folder(), "allow_patterns": list(patterns), "tqdm_class": NoBar}
        return Path(snapshot_download(repo, revision=revision, **how))
    finally:
        logging.set_verbosity(verbosity)


def _complete(repo: str, snapshot: Snapshot, watch: Watch | None) -> Path:
    """The snapshot's folder, with all of its files."""
    missing = snapshot.missing
    if missing:
        commit = snapshot.folder.name
        transfers = _transfers(repo, commit, missing)
        _require_room(repo, sum(transfer.size - transfer.here for transfer in transfers))
        from huggingface_hub.utils import build_hf_headers

        try:
            with watched(watch) as watch:
                fetch_all(
                    transfers,
                    build_hf_headers(library_name="mlxvid", library_version=__version__),
                    watch,
                )
        except (CancelledError, KeyboardInterrupt) as stop:
            raise type(stop)(KEPT) from None
        _fetched(repo, commit, [glob.escape(path) for path in missing])
    return snapshot.folder


def _transfers(repo: str, commit: str, paths: Sequence[str]) -> list[Transfer]:
    """How to fetch some files. The checksums are the hub's: SHA-256 for large files, Git's for
    others, and the names of the blobs.
    """
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.hf_api import RepoFile

    files = {
        file.path: file
        for file in HfApi().list_repo_tree(repo, recursive=True, revision=commit)
        if isinstance(file, RepoFile)
    }
    blobs = home_of(repo) / "blobs"
    transfers = []
    for path in paths:
        file = files[path]
        url = hf_hub_url(repo, path, revision=commit)
        transfers.append(
            Transfer(url, file.size, blobs / (file.lfs.sha256 if file.lfs else file.blob_id))
        )
    return list({transfer.blob: transfer for transfer in transfers}.values())


def _require_room(repo: str, size: int) -> None:
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if size + SPARE > free:
        raise ModelNotFoundError(
            f"{repo} needs {(size + SPARE) / 1e9:.1f} GB of room in {cache}, which has {free / 1e9:.1f} GB; make room, or set HF_HOME "
            "to a folder on another disk."
        )


@contextmanager
def _told(repo: str, revision: str | None) -> Iterator[None]:
    """The hub's many errors, the network's and the disk's, as one sentence each."""
    from huggingface_hub import errors

    login = "log in with `hf auth login`"
    try:
        yield
        return
    except MlxvidError:
        raise
    except errors.GatedRepoError:
        sentence = (
            f"{repo} is gated: ask for access on https://huggingface.co/{repo}, then {login}."
        )
    except errors.RevisionNotFoundError:
        sentence = f"{repo} has no revision {revision!r}; name one that the hub lists, or none."
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        sentence = (
            f"The hub has no model {repo!r}; check the spelling, or {login} if it is private."
        )
    except errors.HfHubHTTPError as error:
        sentence = f"The hub answered {error.response.status_code} for {repo}; try again later."
    except (errors.HTTPError, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError):
        sentence = f"{repo} is not all on this machine, and the hub is out of reach; check the network, or give a folder."
    except OSError as error:
        room = "make room there" if error.errno == errno.ENOSPC else "look after its permissions"
        sentence = f"{repo} can't be kept in {cache_folder()} ({error.strerror or error}); {room}, or set HF_HOME to another folder."
    raise ModelNotFoundError(sentence)
