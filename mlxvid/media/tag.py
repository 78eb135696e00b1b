"""The tag: a clip's settings, rate and size as one line of JSON inside its file.

It is an object in ASCII, ``{"mlxvid": 1, "fps", "frames", "width", "height", "settings"}``, in the
comment of an mp4, webm or GIF, in a PNG's ``tEXt`` chunk "Comment", or in ``settings.json`` beside
a folder's frames. The sizes and the rate undo what a format does to a clip: H.264's 4:2:0 needs
even sides, so an odd side is stored with its last line repeated; GIF counts time in hundredths of a
second and merges equal frames.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypedDict

from mlxvid.errors import MediaError, SettingError
from mlxvid.paths import require_regular

from .formats import MAX_FPS, MIN_FPS

VERSION = 1
SIDECAR = "settings.json"
"""The tag's file beside a folder's frames."""

_MAX_COUNT = 1 << 20


class Tag(TypedDict):
    """The fields of a tag; `mlxvid` is its version."""

    mlxvid: int
    fps: float
    frames: int
    width: int
    height: int
    settings: dict[str, Any]


def pack_tag(shape: tuple[int, ...], fps: float, settings: dict[str, Any]) -> str:
    """The tag of a clip whose frames have `shape` [F, H, W, 3]; ASCII, for any comment keeps that.

    Raises :class:`SettingError` when `settings` are not JSON-able.
    """
    frames, height, width = shape[:3]
    tag = Tag(mlxvid=VERSION, fps=fps, frames=frames, width=width, height=height, settings=settings)
    try:
        return json.dumps(tag, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingError(
            f"The clip's settings can't be stored as JSON ({error}): "
            "keep to numbers, strings, lists and dicts."
        ) from error


def parse_tag(comment: str | bytes) -> Tag | None:
    """The tag in a comment; None for anything that mlxvid can't have made."""
    try:
        tag = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    if not isinstance(tag, dict) or tag.get("mlxvid") != VERSION:
        return None
    if not isinstance(tag.get("settings"), dict):
        return None
    for key in ("frames", "width", "height"):
        count = tag.get(key)
        if type(count) is not int or not 0 < count < _MAX_COUNT:
            return None
    fps = tag.get("fps")
    if not isinstance(fps, (int, float)) or not MIN_FPS <= fps <= MAX_FPS:
        return None
    return Tag(
        mlxvid=VERSION,
        fps=fps,
        frames=tag["frames"],
        width=tag["width"],
        height=tag["height"],
        settings=tag["settings"],
    )


def stored_size(tag: Tag) -> tuple[int, int]:
    """The width and height that a video of this clip has: even."""
    return tag["width"] + tag["width"] % 2, tag["height"] + tag["height"] % 2


def folder_tag(folder: Path) -> Tag | None:
    """The tag beside a folder's frames, None where it has none."""
    path = folder / SIDECAR
    require_regular(path)
    try:
        return parse_tag(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MediaError(
            f"{path} can't be read ({error.strerror}): check its permissions."
        ) from error
