"""Reading clips of any kind: frames, rate and tag."""

from __future__ import annotations

import logging
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlxvid.errors import MediaError
from mlxvid.paths import require_regular

from .animations import MOST_BYTES, comment_of, is_animated, read_animation
from .containers import container_tag, open_video, too_large
from .formats import FRAME_NAME, RATE_TOLERANCE, UNTIMED_FPS, gif_starts, webp_starts
from .heic import is_heic
from .images import open_picture, read_image, read_images
from .tag import SIDECAR, Tag, folder_tag, parse_tag
from .timing import Timing
from .video import Video

log = logging.getLogger("mlxvid")


class Contents(NamedTuple):
    """Frames uint8 [F, H, W, 3], the file's own rate, and its tag; None where there is none."""

    frames: np.ndarray
    fps: float | None
    tag: Tag | None


def read_contents(source: Path) -> Contents:
    """What is in a file or folder.

    What is changed on the way is logged. Raises :class:`MediaError` for what is missing, damaged,
    cut short, too large for the memory, or no clip.
    """
    try:
        return _read(source)
    except MemoryError as error:
        raise too_large(source) from error


def _read(source: Path) -> Contents:
    if os.path.isdir(source):
        return _read_folder(source)
    if not is_picture(source):
        return _read_video(source)
    if is_animated(source):
        return _read_animation(source)
    tag = read_tag(source)
    frames = tag["frames"] if tag else 1  # a WebP keeps a run of equal frames as one
    return Contents(read_image(source)[None].repeat(frames, 0), None, tag)


def read_tag(source: Path) -> Tag | None:
    """The tag in a clip's file or folder, None where it has none.

    Raises :class:`MediaError` as :func:`read_contents` does.
    """
    if os.path.isdir(source):
        return folder_tag(source)
    if is_picture(source):
        with open_picture(source) as picture:
            return parse_tag(comment_of(picture))
    with open_video(source) as container:
        return container_tag(container)


def true_rate(fps: float | None, tag: Tag | None) -> float | None:
    """Frames a second of a clip whose file says `fps` and whose tag may say it more exactly.

    The tag's rate is taken only where the file says none, or means the same, rounded as containers
    do: else another program has changed it.
    """
    if tag is not None and (fps is None or math.isclose(fps, tag["fps"], rel_tol=RATE_TOLERANCE)):
        return tag["fps"]
    return fps


def read_texts(source: Path) -> dict[str, str]:
    """What a clip's file says of itself, by name: comments, and what other programs keep there.

    Raises :class:`MediaError` as :func:`read_contents` does.
    """
    if source.is_dir():
        sidecar = source / SIDECAR
        if sidecar.is_file():
            return {"comment": sidecar.read_text(encoding="utf-8", errors="replace")}
        first = min(source.glob("*.png"), default=None, key=lambda path: path.name)
        return read_texts(first) if first is not None else {}
    if is_picture(source):
        with open_picture(source) as picture:
            texts = _text_of(picture.info)
            for value in picture.getexif().values():
                # ComfyUI writes "workflow:{…}" into a WebP's camera fields.
                name, _, text = str(value).partition(":")
                texts[name] = text
            return texts
    with open_video(source) as container:
        return {name.lower(): text for name, text in container.metadata.items()}


def _text_of(info: dict[Any, Any]) -> dict[str, str]:
    """The texts among what Pillow found in a file."""
    texts = {}
    for name, value in info.items():
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            texts[str(name)] = value
    return texts


def is_picture(source: Path) -> bool:
    """Whether a file is a GIF, PNG, WebP or HEIC, by its first bytes.

    Raises :class:`MediaError` for a file that is missing or can't be read.
    """
    require_regular(source)
    try:
        with open(source, "rb") as file:
            first = file.read(64)
    except FileNotFoundError as error:
        raise MediaError(f"There is no clip {source}: check the name.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise MediaError(f"{source} can't be read ({reason}): check its permissions.") from error
    is_webp = first.startswith(b"RIFF") and first[8:12] == b"WEBP"
    return is_webp or is_heic(first) or first.startswith((b"GIF8", b"\x89PNG"))


def _read_video(source: Path) -> Contents:
    video = Video(source)
    size = (video.height, video.width, 3)
    frames = np.empty((max(video.count, 1), *size), np.uint8)
    count = 0
    for picture in video.pictures():
        if count == len(frames):
            frames = np.concatenate([frames, np.empty_like(frames)])
        frames[count] = picture(None)
        count += 1
    for note in video.notes:
        log.warning(note)
    return Contents(frames[:count], video.fps, video.tag)


def _read_animation(source: Path) -> Contents:
    pictures, milliseconds, comment = read_animation(source)
    tag = parse_tag(comment)
    starts = np.cumsum([0, *milliseconds])
    total = float(starts[-1])
    if not total:
        return Contents(np.stack(pictures), UNTIMED_FPS, tag)
    if tag is not None:
        for starts_of in (gif_starts, webp_starts):
            expected = starts_of(tag["frames"], tag["fps"])
            # Otherwise another program has changed its timing since.
            if expected[-1] == starts[-1] and np.isin(starts, expected).all():
                return Contents(_shown(pictures, starts, expected[:-1]), tag["fps"], tag)
    mean = Fraction(1000 * len(pictures) / total)
    timing = Timing(starts[:-1] / 1000, milliseconds[-1] / 1000, [mean])
    for note in timing.notes(source):
        log.warning(note)
    if timing.starts is None:
        return Contents(np.stack(pictures), float(timing.fps), tag)
    if timing.count * pictures[0].nbytes > MOST_BYTES:
        raise too_large(source)
    return Contents(_shown(pictures, starts, timing.starts * 1000), float(timing.fps), tag)


def _shown(pictures: list[np.ndarray], starts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The picture that is shown at each of `times`, where each is from its own start on."""
    indices = np.searchsorted(starts[:-1], times, side="right") - 1
    return np.stack([pictures[index] for index in indices])


def _read_folder(folder: Path) -> Contents:
    frames = list(read_images(folder_frames(folder)))
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError(f"The pictures in {folder} have different sizes: give frames of one size.")
    return Contents(np.stack(frames), None, folder_tag(folder))


def folder_frames(folder: Path) -> list[Path]:
    """The pictures of a folder's clip, in order.

    Raises :class:`MediaError` where there are none, or not as many as its tag says.
    """
    tag = folder_tag(folder)
    if tag is None:
        paths = sorted(folder.glob("*.png"), key=lambda path: path.name)
    else:
        # Frame 10000 comes after frame 9999.
        ours = (path for path in folder.glob("*.png") if FRAME_NAME.fullmatch(path.name))
        paths = sorted(ours, key=lambda path: (len(path.name), path.name))
    if not paths:
        raise MediaError(
            f"The folder {folder} holds no .png frames: give a clip, or a folder of its frames."
        )
    if tag is not None and len(paths) != tag["frames"]:
        raise MediaError(
            f"The folder {folder} holds {len(paths)} of {tag['frames']} frames: "
            "copy or make it again."
        )
    return paths
