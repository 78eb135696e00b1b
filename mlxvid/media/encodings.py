"""The codecs that clips are written with, and the container of each."""

from __future__ import annotations

from typing import NamedTuple

from mlxvid.errors import SettingError

from .formats import VIDEO

_MP4 = {"movflags": "use_metadata_tags+faststart"}


class Encoding(NamedTuple):
    """How a video is written.

    container: FFmpeg's name, and the ending of the file. codec: FFmpeg's name. pixels: how it has
    them. tag: the codec's four letters in the file, "" for FFmpeg's choice. least: the pixels that
    a side must have.
    """

    container: str
    codec: str
    pixels: str
    options: dict[str, str]
    container_options: dict[str, str]
    tag: str = ""
    least: int = 1

    @property
    def has_chroma(self) -> bool:
        """Whether it has brightness and colour apart, and not red, green and blue."""
        return self.pixels.startswith("yuv")

    @property
    def needs_even_sides(self) -> bool:
        return self.has_chroma


ENCODINGS = {
    "h264": Encoding("mp4", "libx264", "yuv420p", {"crf": "18"}, _MP4),
    # QuickTime plays HEVC only if it is called hvc1. With B-frames x265 gives clips of two frames
    # times that can't be stored; below 64 pixels it writes beyond its own memory.
    "hevc": Encoding(
        "mp4",
        "libx265",
        "yuv420p",
        {"crf": "20", "preset": "fast", "x265-params": "log-level=error:bframes=0"},
        _MP4,
        "hvc1",
        64,
    ),
    "vp9": Encoding(
        "webm",
        "libvpx-vp9",
        "yuv420p",
        {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"},
        {},
    ),
    "prores-422": Encoding(
        "mov", "prores_ks", "yuv422p10le", {"profile": "hq", "vendor": "apl0"}, _MP4
    ),
    "prores-4444": Encoding(
        "mov", "prores_ks", "yuv444p10le", {"profile": "4444", "vendor": "apl0"}, _MP4
    ),
    # RGB as it is, so that nothing is lost.
    "ffv1": Encoding("matroska", "ffv1", "bgr0", {"level": "3", "slicecrc": "1", "g": "1"}, {}),
}
"""By the names that `codec` takes."""

CODECS = {
    ".mp4": ("h264", "hevc"),
    ".webm": ("vp9",),
    ".mov": ("prores-422", "prores-4444"),
    ".mkv": ("ffv1",),
}
"""By a video's ending: the codecs that it takes, the usual one first."""


def encoding_for(kind: str, codec: str | None, width: int, height: int) -> Encoding | None:
    """How a clip of that kind and size is written, as usual for `codec` None; None for pictures.

    Raises :class:`SettingError` for a codec that the kind or the size does not take.
    """
    names = CODECS[kind] if kind in VIDEO else ()
    if codec is None:
        return ENCODINGS[names[0]] if names else None
    if codec not in names:
        takes = next((ending for ending, those in CODECS.items() if codec in those), None)
        what = f"{kind} files" if kind.startswith(".") else "Folders of pictures"
        remedy = f"end the name in {takes}" if takes else f"choose one of {', '.join(ENCODINGS)}"
        raise SettingError(f"{what} can't have the codec {codec!r}: {remedy}.")
    encoding = ENCODINGS[codec]
    if min(width, height) < encoding.least:
        raise SettingError(
            f"The codec {codec!r} takes no frames of {width}x{height}: "
            f"choose another, or sides of {encoding.least} and more."
        )
    return encoding
