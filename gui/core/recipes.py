"""What copies of clips can be: formats, and named sets of format, size, rate and speed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from mlxvid.media.formats import GIF_MAX_FPS, MAX_FPS, MIN_FPS


@dataclass(frozen=True)
class Format:
    """One format.

    key: its name in presets. suffix: of the file, "" for a folder. codec: None for the usual one of
    the suffix. hint: what it is for. master: whether it is for further editing, and more than what
    the clip's own file holds.
    """

    key: str
    name: str
    suffix: str
    codec: str | None = None
    hint: str = ""
    master: bool = False


ORIGINAL = Format("original", "Original", "", hint="The clip's file as it is")
FORMATS = (
    ORIGINAL,
    Format("h264", "H.264", ".mp4", "h264", "Plays everywhere"),
    Format("hevc", "HEVC", ".mp4", "hevc", "Half the size of H.264"),
    Format("prores-422", "ProRes 422 HQ", ".mov", "prores-422", "For editing", master=True),
    Format("prores-4444", "ProRes 4444", ".mov", "prores-4444", "For grading", master=True),
    Format("ffv1", "FFV1", ".mkv", "ffv1", "Without loss, for archives", master=True),
    Format("webm", "WebM", ".webm", hint="For websites"),
    Format("gif", "GIF", ".gif", hint="256 colours, for chats"),
    Format("webp", "WebP", ".webp", hint="A tenth of a GIF, for websites"),
    Format("png", "PNG Sequence", "", hint="A folder of frames", master=True),
)
_BY_KEY = {form.key: form for form in FORMATS}


@dataclass(frozen=True)
class Recipe:
    """How copies are made.

    form: the key of a format. side: the longer side in pixels, 0 for the clip's own; no clip grows.
    fps: frames a second, 0 for the clip's own. speed: 1 for the clip's own.
    """

    form: str = "h264"
    side: int = 0
    fps: float = 0.0
    speed: float = 1.0

    @property
    def format(self) -> Format:
        return _BY_KEY[self.form]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size of a copy of a clip of that size."""
        longer = max(width, height)
        if self.form == ORIGINAL.key or not 0 < self.side < longer:
            return width, height
        return _even(width * self.side / longer), _even(height * self.side / longer)

    def rate(self, fps: float) -> float:
        """The frames a second of a copy of a clip that has so many."""
        if self.form == ORIGINAL.key:
            return fps
        return min(max(self.fps or fps * self.speed, MIN_FPS), MAX_FPS)

    def seconds(self, frames: int, fps: float) -> float:
        """How long a copy of so many frames plays."""
        return frames / fps / (1.0 if self.form == ORIGINAL.key else self.speed)

    @property
    def too_fast(self) -> bool:
        """Whether players show it slower than it asks for."""
        return self.form == "gif" and self.fps > GIF_MAX_FPS


def _even(side: float) -> int:
    return max(2 * round(side / 2), 2)


PRESETS = {
    "Original": Recipe("original"),
    "Share": Recipe("h264"),
    "Small": Recipe("hevc", side=640),
    "Chat": Recipe("gif", side=480, fps=12.5),
    "Website": Recipe("webp", side=640),
    "Edit": Recipe("prores-422"),
    "Archive": Recipe("ffv1"),
}
"""Those that are always there, by name."""


def packed(recipe: Recipe) -> dict[str, Any]:
    """A recipe as JSON."""
    return asdict(recipe)


def unpacked(value: object) -> Recipe | None:
    """A recipe from JSON; None for what is none."""
    if not isinstance(value, dict) or value.get("form") not in _BY_KEY:
        return None
    known = {field.name for field in fields(Recipe)}
    numbers = {name: number for name, number in value.items() if name in known - {"form"}}
    if not all(isinstance(number, (int, float)) and number >= 0 for number in numbers.values()):
        return None
    if not numbers.get("speed", 1):
        return None
    return Recipe(value["form"], **numbers)
