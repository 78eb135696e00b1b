"""Folders of mlxvid's own on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(name: str) -> Path:
    """`MLXVID_CACHE`/name, or that in the user's cache folder."""
    return Path(os.environ.get("MLXVID_CACHE") or platformdirs.user_cache_dir("mlxvid")) / name
