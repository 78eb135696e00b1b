"""Reading clips of any kind: frames, rate and tag.

Videos are read with PyAV, ours and other programs': imageio's reader hides frames that FFmpeg
marks as corrupt and those that are missing, and would let a file fetch others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from mlxvid.errors import MediaError
from mlxvid.paths import require_regular

from .animations import is_animated, read_animation
from .formats import FOREIGN_FPS, FRAME_NAME, UNTIMED_FPS, gif_starts
from .heic import is_heic
from .images import open_picture, read_image, read_images
from .tag import SIDECAR, Tag, folder_tag, parse_tag

# The flags that clips are written with as swscale.h numbers them: PyAV 17, Python 3.10's last, has
# no names for them.
EXACT = 0x200 | 0x40000 | 0x4000 | 0x2000

# What FFmpeg may take a file for: containers, bare streams, and pictures. No playlists or scripts,
# which fetch other files.
_CONTAINERS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mxf,ivf,dv,yuv4mpegpipe"
_STREAMS = "h264,hevc,m4v,mpegvideo,mjpeg"
_PICTURES = "jpeg_pipe,bmp_pipe,tiff_pipe"
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": f"{_CONTAINERS},{_STREAMS},{_PICTURES}",
}


class Contents(NamedTuple):
    """Frames uint8 [F, H, W, 3], the file's own rate, and its tag; None where there is none."""

    frames: np.ndarray
    fps: float | None
    tag: Tag | None


def read_contents(source: Path) -> Contents:
    """What is in a file or folder.

    Raises :class:`MediaError` for what is missing, damaged, cut short, or no clip.
    """
    if os.path.isdir(source):
        return _read_folder(source)
    if not is_picture(source):
        return _read_video(source)
    if is_animated(source):
        return _read_animation(source)
    return Contents(read_image(source)[None], None, read_tag(source))


def read_tag(source: Path) -> Tag | None:
    """The tag in a clip's file or folder, None where it has none.

    Raises :class:`MediaError` as :func:`read_contents` does.
    """
    if os.path.isdir(source):
        return folder_tag(source)
    if is_picture(source):
        with open_picture(source) as picture:
            return parse_tag(picture.info.get("comment", picture.info.get("Comment", "")))
    with open_video(source) as container:
        return _video_tag(container)


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


@contextmanager
def open_video(source: Path) -> Iterator[av.container.InputContainer]:
    """The file opened with FFmpeg; its errors inside the block become :class:`MediaError`."""
    # "file:" keeps odd names from being taken for addresses.
    name = f"file:{os.path.abspath(source)}"
    with video_errors(source), av.open(name, options=_OPTIONS) as container:
        if not container.streams.video:
            raise MediaError(f"{source} holds no pictures: give a clip.")
        yield container


@contextmanager
def video_errors(source: Path) -> Iterator[None]:
    """Turn what FFmpeg raises for a damaged file into :class:`MediaError`."""
    try:
        yield
    except MediaError:
        raise
    except (OSError, ValueError, EOFError, av.FFmpegError) as error:
        raise MediaError(
            f"{source} is not a clip that can be read, or is damaged: copy or make it again."
        ) from error


def _read_video(source: Path) -> Contents:
    with open_video(source) as container:
        stream = container.streams.video[0]
        tag = _video_tag(container)
        fps = float(stream.average_rate or FOREIGN_FPS)
        packets = 0
        frames = []
        for packet in container.demux(stream):
            packets += packet.size > 0
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise MediaError(f"{source} is damaged: copy or make it again.")
                frames.append(frame.to_ndarray(format="rgb24", interpolation=EXACT))
        promised = stream.frames
        if not promised and tag and container.duration:
            # mp4 counts its packets; Matroska gives the duration, whose frames are known for a
            # clip of ours.
            promised = round(container.duration / av.time_base * tag["fps"])
        elif not promised:
            promised = 1
        if packets < promised or not frames:
            raise MediaError(
                f"{source} is cut short, with {len(frames)} of {promised} frames: "
                "copy or make it again."
            )
        return Contents(np.stack(frames), fps, tag)


def _video_tag(container: av.container.InputContainer) -> Tag | None:
    """The tag in the container's comment; Matroska writes that key in capitals."""
    metadata = container.metadata
    return parse_tag(metadata.get("comment", metadata.get("COMMENT", "")))


def _read_animation(source: Path) -> Contents:
    pictures, milliseconds, comment = read_animation(source)
    tag = parse_tag(comment)
    starts = np.cumsum([0, *milliseconds])
    total = float(starts[-1])
    if not total:
        return Contents(np.stack(pictures), UNTIMED_FPS, tag)
    fps = 1000 * len(pictures) / total
    if tag is not None:
        expected = gif_starts(tag["frames"], tag["fps"])
        # Otherwise another program has changed its timing since.
        if expected[-1] == starts[-1]:
            fps = tag["fps"]
            shown = np.searchsorted(starts[:-1], expected[:-1], side="right") - 1
            pictures = [pictures[index] for index in shown]
    return Contents(np.stack(pictures), fps, tag)


def _read_folder(folder: Path) -> Contents:
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
    frames = list(read_images(paths))
    if len({frame.shape for frame in frames}) > 1:
        raise MediaError(f"The pictures in {folder} have different sizes: give frames of one size.")
    return Contents(np.stack(frames), None, tag)
