"""Tiny decoders in mlxvid's own cache: a file each, from GitHub, where they are released."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlxvid.errors import CancelledError, ModelNotFoundError
from mlxvid.model.tiny import TinyDecoder
from mlxvid.paths import cache_folder

from .cache import watch_or_bar
from .transfer import Transfer, fetch_all

if TYPE_CHECKING:
    from mlxvid.progress import Watch

COMMAND = "python -m mlxvid.hub download"


def tiny_path(tiny: TinyDecoder) -> Path:
    """Where a tiny decoder is, once it was downloaded."""
    return cache_folder("tiny_decoders") / f"{tiny.name}.safetensors"


def download_tiny(tiny: TinyDecoder, watch: Watch | None = None) -> Path:
    """A tiny decoder's file, fetched if it is not here, and checked.

    `watch` sees the stage "download", in MB. Raises :class:`ModelNotFoundError` where it can't be
    had.
    """
    from huggingface_hub.errors import HTTPError

    target = tiny_path(tiny)
    if target.is_file():
        return target
    transfer = Transfer(tiny.url, tiny.nbytes, target.with_name(tiny.blob))
    try:
        with watch_or_bar(watch) as watch:
            fetch_all([transfer], {}, watch)
        os.replace(transfer.blob, target)
    except (CancelledError, KeyboardInterrupt) as stop:
        raise type(stop)("Stopped; the next download goes on from there.") from None
    except (HTTPError, ConnectionError):
        raise ModelNotFoundError(
            f"{tiny.url} is out of reach; check the network, or try again later."
        ) from None
    except OSError as error:
        raise ModelNotFoundError(
            f"{tiny.name} can't be kept in {target.parent} ({error.strerror or error}); make room "
            "there, or set MLXVID_CACHE to another folder."
        ) from None
    return target
