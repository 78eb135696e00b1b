"""Downloads of models and of single files into huggingface_hub's cache, at a pinned revision."""

from __future__ import annotations

import errno
import glob
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlxvid.errors import CancelledError, MlxvidError, ModelNotFoundError
from mlxvid.macos import awake, leave_out_of_backups
from mlxvid.paths import SPARE, free_bytes
from mlxvid.version import __version__

from .cache import (
    COMMIT,
    CachedRevision,
    hub_cache_folder,
    listed_sizes,
    repository_folder,
    revision_at,
    watch_or_bar,
)
from .kinds import check_model, original_of, terms_of
from .selection import INDEX, PATTERNS
from .transfer import TIMEOUT, Transfer, fetch_all

if TYPE_CHECKING:
    from mlxvid.progress import Watch

log = logging.getLogger("mlxvid")

# Of a repository, its folder, and the sizes of its files by path.
Check = Callable[[str, Path, Mapping[str, int]], None]

KEPT = "Stopped; what is here by now is kept, and the next download goes on from there."
ADAPTER = "adapter_model.safetensors"
LORA_FILES = ("pytorch_lora_weights.safetensors", ADAPTER)
NAMED_IN_ERRORS = 8
ADAPTER_SETTINGS = "adapter_config.json"


@awake()
def download(
    repo: str,
    revision: str | None = None,
    patterns: Sequence[str] = PATTERNS,
    watch: Watch | None = None,
    check: Check | None = None,
) -> Path:
    """The folder of the hub repository `repo`, fetched as far as it is not here.

    revision: a commit, branch or tag; None: its main branch. patterns: of the files that count; see
    :func:`mlxvid.hub.selection.required_files`. watch: sees the stage "download", in MB, and can
    end it with :class:`CancelledError`; without one there is a bar on standard error. check: raises
    where it is not what is wanted; it is asked as soon as the JSON files are here. Raises
    :class:`ModelNotFoundError` where it can't be had.
    """
    with _hub_errors(repo, revision):
        _reach(repo, revision)
        folder = _snapshot(repo, revision, [INDEX])
        found = revision_at(repo, folder.name, patterns)
        # The hub was never asked what is in it, and can't be now, or can't be remembered.
        if found is None:
            return _snapshot(repo, revision, patterns)
        if check is not None and (found.missing or not found.sizes):
            small = [path for path in found.missing if path.endswith(".json")]
            if small:
                _snapshot(repo, folder.name, [glob.escape(path) for path in small])
            check(repo, folder, listed_sizes(repo, folder.name) or {})
        return _complete(repo, found, watch)


def download_model(repo: str, revision: str | None = None, watch: Watch | None = None) -> Path:
    """The folder of a model in the Diffusers layout, as :func:`download` gives it.

    Nothing large is fetched of a repository that holds something else, or a model that can't be
    run: then it raises :class:`ModelNotFoundError` or :class:`WeightsError`.
    """
    original = original_of(repo)
    if original is not None:
        raise original
    return download(repo, revision, PATTERNS, watch, check=check_model)


@awake()
def download_file(
    repo: str, file: str | None = None, revision: str | None = None, watch: Watch | None = None
) -> Path:
    """One file of a hub repository, or for None its only .safetensors file.

    Of several it is the one that is called as Diffusers and PEFT call a LoRA's. PEFT's settings
    come along with an adapter of PEFT's. Raises :class:`ModelNotFoundError`.
    """
    with _hub_errors(repo, revision):
        _reach(repo, revision)
        folder = _snapshot(repo, revision, [INDEX])
        sizes = listed_sizes(repo, folder.name) or {}
        if file is None:
            file = _only_weights(repo, sizes)
        if file not in sizes:
            raise ModelNotFoundError(
                f"{repo} has no file {file!r}; "
                f"look at what is there on https://huggingface.co/{repo}/tree/main."
            )
        wanted = {file: sizes[file]}
        if file.rpartition("/")[2] == ADAPTER:
            settings = file.removesuffix(ADAPTER) + ADAPTER_SETTINGS
            if settings in sizes:
                wanted[settings] = sizes[settings]
        return _complete(repo, CachedRevision(folder, wanted), watch) / file


def _only_weights(repo: str, names: Iterable[str]) -> str:
    """The one of a repository's files that is a LoRA, as far as names tell."""
    here = [name for name in names if not name.rpartition("/")[2].startswith(".")]
    found = sorted(name for name in here if name.endswith(".safetensors"))
    usual = [name for name in found if name in LORA_FILES]
    if len(found) > 1 and len(usual) == 1:
        return usual[0]
    if len(found) == 1:
        return found[0]
    several = ", ".join(found[:NAMED_IN_ERRORS])
    more = f" and {len(found) - NAMED_IN_ERRORS} more" if len(found) > NAMED_IN_ERRORS else ""
    listed = f" ({several}{more})" if found else ""
    raise ModelNotFoundError(
        f"{repo} has {len(found) or 'no'} .safetensors files{listed}; name the LoRA's file as in "
        f"{repo}:FILE."
    )


def _reach(repo: str, revision: str | None) -> None:
    """Ask the hub once for a commit of which nothing is here: its client would ask for half a
    minute before it says that the hub is out of reach.
    """
    from huggingface_hub import HfApi

    is_commit = revision is not None and COMMIT.fullmatch(revision)
    if is_commit and not (repository_folder(repo) / "snapshots" / str(revision)).is_dir():
        HfApi().model_info(repo, revision=revision, timeout=TIMEOUT)


def _snapshot(repo: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The snapshot's folder with these files in it, by the hub's own means.

    For what is small, or is here and lacks only its link. Offline, or where the hub can't be
    reached, it is the folder in the cache.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import logging, tqdm

    class NoBar(tqdm):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **{**options, "disable": True})

    verbosity = logging.get_verbosity()
    # That a repository has no such file, or that there is a faster protocol, is no user's concern.
    logging.set_verbosity_error()
    try:
        folder = snapshot_download(
            repo,
            revision=revision,
            cache_dir=hub_cache_folder(),
            allow_patterns=list(patterns),
            tqdm_class=NoBar,
        )
        return Path(folder)
    finally:
        logging.set_verbosity(verbosity)


def _complete(repo: str, revision: CachedRevision, watch: Watch | None) -> Path:
    """The revision's folder, with all of its files."""
    missing = revision.missing
    if not missing:
        return revision.folder
    from huggingface_hub.utils import build_hf_headers

    commit = revision.folder.name
    transfers = _transfers(repo, commit, missing)
    terms = terms_of(repo, revision.folder)
    if terms:
        log.warning("%s: %s", repo, terms)
    _require_room(repo, sum(transfer.size - transfer.here for transfer in transfers))
    leave_out_of_backups(hub_cache_folder())
    headers = build_hf_headers(library_name="mlxvid", library_version=__version__)
    try:
        with watch_or_bar(watch) as watch:
            fetch_all(transfers, headers, watch)
    except (CancelledError, KeyboardInterrupt) as stop:
        raise type(stop)(KEPT) from None
    # For their links.
    _snapshot(repo, commit, [glob.escape(path) for path in missing])
    return revision.folder


def _transfers(repo: str, commit: str, paths: Sequence[str]) -> list[Transfer]:
    """How to fetch some files, each content once.

    The checksums are the hub's: SHA-256 for large files, Git's for others, and the names of the
    blobs.
    """
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.hf_api import RepoFile

    files = {}
    for entry in HfApi().list_repo_tree(repo, recursive=True, revision=commit):
        if isinstance(entry, RepoFile):
            files[entry.path] = entry
    blobs = repository_folder(repo) / "blobs"
    transfers = {}
    for path in paths:
        file = files[path]
        url = hf_hub_url(repo, path, revision=commit)
        blob = blobs / (file.lfs.sha256 if file.lfs else file.blob_id)
        transfers[blob] = Transfer(url, file.size, blob)
    return list(transfers.values())


def _require_room(repo: str, size: int) -> None:
    cache = hub_cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    needed = size + SPARE
    free = free_bytes(cache)
    if needed > free:
        raise ModelNotFoundError(
            f"{repo} needs {needed / 1e9:.1f} GB of room in {cache}, "
            f"which has {free / 1e9:.1f} GB; make room, or set MLXVID_MODELS to a folder on "
            "another disk."
        )


def _is_dataset(repo: str) -> bool:
    """Whether the hub has a dataset of this name, as far as it can be asked."""
    from huggingface_hub import HfApi, errors

    try:
        return HfApi().repo_exists(repo, repo_type="dataset")
    except (errors.HFValidationError, errors.HTTPError, OSError):
        return False


@contextmanager
def _hub_errors(repo: str, revision: str | None) -> Iterator[None]:
    """Turn the errors of the hub, the network and the disk into :class:`ModelNotFoundError`."""
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
        sentence = (
            f"{repo} has no revision {revision!r}; give a `revision` that the hub lists, or none."
        )
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        sentence = (
            f"The hub has no model {repo!r}; check the spelling, or {login} if it is private."
        )
        if _is_dataset(repo):
            sentence = f"{repo} is a dataset on the hub and no model; give a model's repository."
    except errors.HfHubHTTPError as error:
        sentence = f"The hub answered {error.response.status_code} for {repo}; try again later."
    except (errors.HTTPError, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError):
        sentence = (
            f"{repo} is not all on this machine, and the hub is out of reach; "
            "check the network, or give a folder."
        )
    except OSError as error:
        reason = error.strerror or error
        no_space = error.errno == errno.ENOSPC
        remedy = "make room there" if no_space else "check its permissions"
        sentence = (
            f"{repo} can't be kept in {hub_cache_folder()} ({reason}); "
            f"{remedy}, or set MLXVID_MODELS to another folder."
        )
    raise ModelNotFoundError(sentence)
