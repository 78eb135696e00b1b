"""A catalog's model from the hub as one folder in the Diffusers layout: its download, or links to
those of its components.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid import catalog
from mlxvid.errors import ModelNotFoundError
from mlxvid.model.card import Card, Source
from mlxvid.model.folder import CONVERT
from mlxvid.paths import cache_folder
from mlxvid.progress import Watch

from .cache import cached, cached_revision
from .fetch import PATTERNS, download, download_file


def fetched(
    card: Card,
    revision: str | None = None,
    patterns: Sequence[str] = PATTERNS,
    watch: Watch | None = None,
) -> Path:
    """The folder of a release, whose own repository is taken at `revision` if given.

    patterns: of the files that count. watch: sees what is downloaded. Of a release in single files
    it is the model of its name that was made of them. Raises :class:`ModelNotFoundError` where
    something of it can't be had.
    """
    if card.is_in_files:
        made = catalog.local_folder(card.name)
        if made is None:
            raise ModelNotFoundError(
                f"{card.name} is released as a single file, of which a model has to be made first, "
                f"once, with {CONVERT} {card.name} (-h says how); the folder is then the `model`."
            )
        return made
    if not card.sources:
        assert card.source is not None
        return download(card.source.repository, revision or card.source.revision, patterns, watch)
    folders = _folders(card, revision, patterns, watch)
    return linked(card.name, {"_class_name": card.family.pipelines[0], **card.index}, folders)


def is_here(card: Card) -> bool:
    """Whether all of a release is on this machine, so that it is loaded without the hub.

    Of one in single files that is the model of its name that was made of them.
    """
    if card.is_in_files:
        return catalog.local_folder(card.name) is not None
    own = card.source
    if own is not None and not cached(own.repository, own.revision):
        return False
    return all(
        cached(source.repository, source.revision, patterns_of(source))
        for source in card.sources.values()
    )


def patterns_of(source: Source) -> Sequence[str]:
    """The patterns of the files that are required of a repository for a release."""
    return [source.file] if source.file else _inside(source, PATTERNS)


def released(
    card: Card, revision: str | None, patterns: Sequence[str], watch: Watch | None
) -> Path:
    """The folder of a release as it is to be converted: as :func:`fetched`, and of one in single
    files a folder of these.
    """
    if not card.is_in_files:
        return fetched(card, revision, patterns, watch)
    return linked(card.name, None, _folders(card, revision, patterns, watch))


def _folders(
    card: Card, revision: str | None, patterns: Sequence[str], watch: Watch | None
) -> dict[str, Path]:
    """What each of a release's sources was downloaded to: a folder, or a file."""
    folders = {}
    for component, source in card.sources.items():
        own = source.repository == card.repository
        at = revision if own and revision else _pinned(source)
        if source.file:
            folders[component] = download_file(source.repository, source.file, at, watch)
        else:
            inside = _inside(source, patterns)
            folders[component] = download(source.repository, at, inside, watch) / source.subfolder
    return folders


def _pinned(source: Source) -> str:
    """The revision of a source; of one without a commit that of its first download, so that a model
    stays what it is, and an interrupted download goes on with what it began.
    """
    begun = cached_revision(source.repository, source.revision, patterns_of(source))
    return begun.folder.name if begun is not None and begun.sizes else source.revision


def _inside(source: Source, patterns: Sequence[str]) -> Sequence[str]:
    """The patterns of the files in a source's folder."""
    if not source.subfolder:
        return patterns
    return [f"{source.subfolder}/{pattern}" for pattern in patterns]


def linked(name: str, index: Mapping[str, Any] | None, folders: Mapping[str, Path]) -> Path:
    """A folder of the cache with `index` for its model_index.json, and links to each component's
    file or the files in its folder; always the same one for the same files.

    index: None for a folder without one, which is to be converted.
    """
    links = [
        (f"{component}/{file.name}", file)
        for component, place in folders.items()
        for file in ([place] if place.is_file() else place.iterdir())
        if file.is_file()
    ]
    content = "" if index is None else json.dumps(index, indent=2) + "\n"
    digest = hashlib.sha256(repr([content, *sorted(links)]).encode()).hexdigest()[:12]
    target = cache_folder("models") / f"{name}-{digest}"
    if target.is_dir():
        return target
    stage = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        for path, file in links:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (stage / path).symlink_to(file)
        if index is not None:
            (stage / "model_index.json").write_text(content, encoding="utf-8")
        os.replace(stage, target)
    except OSError as error:
        shutil.rmtree(stage, ignore_errors=True)
        if not target.is_dir():  # else another process was quicker
            raise ModelNotFoundError(
                f"{name} can't be put together in {target.parent} ({error.strerror}); set "
                "MLXVID_CACHE to a folder that takes links."
            ) from None
    return target
