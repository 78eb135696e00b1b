"""Models from the hub: only the files that mlxvid reads, at a pinned revision, and from the cache
when offline.

The files lie in huggingface_hub's cache, where other programs find them too. ``python -m
mlxvid.hub`` is the command for all this.
"""

from __future__ import annotations

from .cache import cache_folder, cached, delete, find, repositories, size_on_disk, snapshots, verify
from .fetch import download, download_file

__all__ = [
    "cache_folder",
    "cached",
    "delete",
    "download",
    "download_file",
    "find",
    "repositories",
    "size_on_disk",
    "snapshots",
    "verify",
]
