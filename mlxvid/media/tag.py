"""The tag: a clip's settings, rate and size as one line of JSON inside its file.

It is an object in ASCII, ``{"mlxvid": 1, "fps", "frames", "width", "height", "settings"}``, in the
comment of a video or GIF, in a WebP's description, in a PNG's ``tEXt`` chunk "Comment", or in
``settings.json`` beside a folder's frames. The sizes and the rate undo what a format does to a
clip: 4:2:0 needs even sides, so an odd side is stored with its last line repeated; GIF counts time
in hundredths of a second, and it and WebP merge equal frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from mlxvid.errors import MediaError, SettingError
from mlxvid.paths import require_regular

from .formats import MAX_FPS, MIN_FPS

VERSION = 1
SIDECAR = "settings.json"
"""The tag's file beside a folder's frames."""

_MAX_COUNT = 1 << 20
# What other programs call the text in which they keep their settings.
_OTHERS = {
    "workflow": "ComfyUI",
    "prompt": "ComfyUI",
    "parameters": "AUTOMATIC1111's web UI or a program like it",
    "invokeai_metadata": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "sui_image_params": "SwarmUI",
}


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


def without_tag(source: Path, texts: Mapping[str, str]) -> str:
    """Why a file has no settings to repeat, a sentence.

    texts: what it says of itself, by name: its comment, or what other programs keep in it.
    """
    for text in texts.values():
        found = _parsed(text)
        if type(found.get("mlxvid")) is int and found["mlxvid"] > VERSION:
            return f"{source} was saved by a newer mlxvid: update this one to read its settings."
        if text.lstrip().startswith('{"mlxvid"'):
            return (
                f"The settings in {source} are damaged: copy the clip again, or say what to make "
                "by `prompt`."
            )
    maker = _maker(texts)
    if maker is not None:
        return (
            f"{source} was made by {maker}, whose settings mlxvid can't repeat: say what to make "
            "by `prompt`."
        )
    return (
        f"{source} holds no mlxvid settings (no clip of ours, or one that was saved without them): "
        "give a clip that mlxvid saved."
    )


def _maker(texts: Mapping[str, str]) -> str | None:
    """The program that keeps settings as `texts` has them, None for none that is known."""
    names = {name.lower() for name in texts}
    for text in texts.values():
        names |= _parsed(text).keys()
        if "Steps: " in text and "Sampler: " in text:
            names.add("parameters")
    if "sui_image_params" in names or any("sui_image_params" in text for text in texts.values()):
        return _OTHERS["sui_image_params"]
    return next((maker for name, maker in _OTHERS.items() if name in names), None)


def _parsed(text: str) -> dict[str, Any]:
    """A text's JSON object, empty where it has none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
