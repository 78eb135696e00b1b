"""Folders of mlxvid's own on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder(name: str) -> Path:
    """mlxvid's own cache for `name`: in MLXVID_CACHE, else in the user's cache folder."""
    home = os.environ.get("MLXVID_CACHE") or platformdirs.user_cache_dir("mlxvid")
    return Path(home) / name
