"""Models from the hub: only the files that mlxvid reads, at a pinned revision.

They lie in huggingface_hub's cache, where other programs find them too, and from which they are
loaded offline. ``python -m mlxvid.hub`` is the command for all this.
"""

from __future__ import annotations

from .cache import (
    CachedRevision,
    cached,
    cached_revision,
    cached_revisions,
    delete,
    hub_cache_folder,
    repositories,
    size_on_disk,
    verify,
)
from .fetch import download, download_file, download_model

__all__ = [
    "CachedRevision",
    "cached",
    "cached_revision",
    "cached_revisions",
    "delete",
    "download",
    "download_file",
    "download_model",
    "hub_cache_folder",
    "repositories",
    "size_on_disk",
    "verify",
]
