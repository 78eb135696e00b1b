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

from mlxvid.errors import ModelNotFoundError
from mlxvid.model.card import Card
from mlxvid.paths import cache_folder
from mlxvid.progress import Watch

from .fetch import PATTERNS, download


def fetched(
    card: Card,
    revision: str | None = None,
    patterns: Sequence[str] = PATTERNS,
    watch: Watch | None = None,
) -> Path:
    """The folder of a release, whose own repository is taken at `revision` if given.

    patterns: of the files that count. watch: sees what is downloaded. Raises
    :class:`ModelNotFoundError` where something of it can't be had.
    """
    if not card.sources:
        assert card.source is not None
        return download(card.source.repository, revision or card.source.revision, patterns, watch)
    folders = {}
    for component, source in card.sources.items():
        own = source.repository == card.repository
        at = revision if own and revision else source.revision
        folders[component] = download(source.repository, at, patterns, watch) / source.subfolder
    return linked(card.name, {"_class_name": card.family.pipelines[0]}, folders)


def linked(name: str, index: Mapping[str, Any], folders: Mapping[str, Path]) -> Path:
    """A folder of the cache with `index` for its model_index.json, and links to the files in each
    component's folder; always the same one for the same files."""
    links = [
        (f"{component}/{file.name}", file)
        for component, folder in folders.items()
        for file in folder.iterdir()
        if file.is_file()
    ]
    content = json.dumps(index, indent=2) + "\n"
    digest = hashlib.sha256(repr([content, *sorted(links)]).encode()).hexdigest()[:12]
    target = cache_folder("models") / f"{name}-{digest}"
    if (target / "model_index.json").is_file():
        return target
    stage = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        for path, file in links:
            (stage / path).parent.mkdir(parents=True, exist_ok=True)
            (stage / path).symlink_to(file)
        (stage / "model_index.json").write_text(content, encoding="utf-8")
        os.replace(stage, target)
    except OSError as error:
        shutil.rmtree(stage, ignore_errors=True)
        if not (target / "model_index.json").is_file():  # else another process was quicker
            raise ModelNotFoundError(
                f"{name} can't be put together in {target.parent} ({error.strerror}); set "
                "MLXVID_CACHE to a folder that takes links."
            ) from None
    return target
