"""The shape of a clip on its way through a model: pixels -> latent -> tokens, the sizes that work,
and what a clip is by default.

Arithmetic only: this file stands below the models, so that every family, the pipeline, the catalog
and the plan count alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from numbers import Integral

from mlxvid.errors import SettingError, shown

# How a factored-attention model may attend: space and time in turn, every token to every token, or
# each frame alone.
ATTENTION_MODES = ("factored", "full", "spatial")
MAX_SIDE = 16384
MAX_FRAMES = 100_000
# How many times a clip may be as long as it is high, or as high as long, after a picture's
# proportions; panoramas have up to 4.
MAX_ASPECT = 8


def check_whole(name: str, value: int, limit: int, unit: str) -> int:
    """`value` as an int from 1 to `limit`; anything else is a :class:`SettingError` that names the
    setting and the range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= value <= limit:
        raise SettingError(
            f"{name} must be a whole number of {unit} from 1 to {limit}, not {shown(value)}."
        )
    return int(value)


def _nearest(value: int, step: int, offset: int = 0) -> int:
    """The member of offset + step * {1, 2, …} nearest to `value`; of two equally near, the smaller,
    which costs no more than was asked.
    """
    count = (2 * (value - offset) + step - 1) // (2 * step)
    return offset + step * max(1, count)


def round_size(
    width: int, height: int, multiple: int | tuple[int, int]
) -> tuple[int, int, str | None]:
    """The nearest width and height in pixels that are multiples of `multiple` (one number, or one
    for the width and one for the height).

    Returns (width, height, note): the note is None, or one line that says what was changed, to be
    shown to the user. Raises :class:`SettingError` for a side that is not a whole number from 1 to
    16384.
    """
    wide, high = (multiple, multiple) if isinstance(multiple, int) else multiple
    width = check_whole("`width`", width, MAX_SIDE, "pixels")
    height = check_whole("`height`", height, MAX_SIDE, "pixels")
    new_width = _nearest(width, wide)
    new_height = _nearest(height, high)
    if (new_width, new_height) == (width, height):
        return new_width, new_height, None
    grid = f"{wide}" if wide == high else f"{wide}x{high}"
    change = f"{width}x{height} is rounded to {new_width}x{new_height}"
    return new_width, new_height, f"{change}: this model's sizes are multiples of {grid}."


def round_frames(
    frames: int, t_factor: int, causal: bool, patch_t: int = 1
) -> tuple[int, str | None]:
    """The nearest number of frames that the VAE and the patches divide evenly.

    A causal VAE makes 1 + k latent frames of 1 + k * t_factor, any other makes frames / t_factor;
    `patch_t` must divide the latent frames. Returns (frames, note) as :func:`round_size` does;
    raises :class:`SettingError` for frames that are not a whole number from 1 to 100000.
    """
    frames = check_whole("`frames`", frames, MAX_FRAMES, "frames")
    step = t_factor * patch_t
    offset = 1 - t_factor if causal else 0
    rounded = _nearest(frames, step, offset)
    if rounded == frames:
        return rounded, None
    kind = f"{step + offset} + {step}k" if causal else f"a multiple of {step}"
    plural = "frame is" if frames == 1 else "frames are"
    return rounded, f"{frames} {plural} rounded to {rounded}: this model's frame counts are {kind}."


def frames_of(seconds: float, fps: float) -> int:
    """How many frames last `seconds` at `fps`, at least one; not yet rounded to what a model can
    make.
    """
    if not 0 < seconds < float("inf") or not 0 < fps < float("inf"):
        raise SettingError(f"Seconds and `fps` must be above 0, not {seconds:g} and {fps:g}.")
    return max(
        1, round(min(seconds * fps, 1e15))
    )  # far too many still, which is refused where frames are checked, but never infinite


@dataclass(frozen=True)
class Geometry:
    """How a family's VAE and patches shrink a clip.

    t_factor, s_factor: pixels a latent position in time and on each side; channels: values a latent
    position; patch: latent positions a token in time, height and width; causal: 1 + k * t_factor
    frames become 1 + k latent frames. Raises :class:`SettingError` where one of them is not a
    positive whole number.
    """

    t_factor: int
    s_factor: int
    channels: int
    patch: tuple[int, int, int] = (1, 2, 2)
    causal: bool = True

    def __post_init__(self):
        check_whole("The time factor", self.t_factor, 1024, "frames")
        check_whole("The space factor", self.s_factor, 1024, "pixels")
        check_whole("The channel count", self.channels, MAX_SIDE, "channels")
        if len(self.patch) != 3:
            raise SettingError(
                "A patch has three sides, time x height x width as in 1x2x2, not "
                f"{len(self.patch)}."
            )
        for side in self.patch:
            check_whole("Each side of the patch", side, MAX_SIDE, "latent positions")

    @property
    def multiples(self) -> tuple[int, int]:
        """What widths and what heights in pixels must be multiples of: (width, height)."""
        return self.s_factor * self.patch[2], self.s_factor * self.patch[1]

    def round_frames(self, frames: int) -> tuple[int, str | None]:
        """The nearest number of frames that works, and a line for the user where it was changed."""
        return round_frames(frames, self.t_factor, self.causal, self.patch[0])

    def round_size(self, width: int, height: int) -> tuple[int, int, list[str]]:
        """The nearest (width, height) that work, and a line where they were changed."""
        new_width, new_height, note = round_size(width, height, self.multiples)
        return new_width, new_height, [note] if note else []

    def round(self, frames: int, width: int, height: int) -> tuple[int, int, int, list[str]]:
        """The nearest (frames, width, height) that work, and a line about each that was changed."""
        new_frames, note = self.round_frames(frames)
        new_width, new_height, notes = self.round_size(width, height)
        return new_frames, new_width, new_height, [note, *notes] if note else notes

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip of `frames`, a count that :func:`round_frames` leaves alone."""
        if self.causal:
            return (frames - 1) // self.t_factor + 1
        return frames // self.t_factor

    def pixel_frames(self, latent_frames: int) -> int:
        """Frames that `latent_frames` decode to: the inverse of :meth:`latent_frames`."""
        if self.causal:
            return (latent_frames - 1) * self.t_factor + 1
        return latent_frames * self.t_factor

    def slot(self, frame: int, frames: int) -> tuple[int, int]:
        """The latent frame that a picture for `frame` of a clip of `frames` is given for, and the
        frame that it stands at.
        """
        slot = round(frame / self.t_factor)
        return slot, slot * self.t_factor

    def place(self, frame: int, count: int, frames: int) -> tuple[int, int]:
        """Where what is given for `frame` of a clip of `frames` stands, and how many of its `count`
        frames are taken, the first ones; a picture has one.

        By default at the latent frame of :meth:`slot`, and as many as are whole latent frames and
        no more than are left. A model that can be given pictures at any frame has its own.
        """
        at = self.slot(frame, frames)[1]
        whole = self.pixel_frames(self.latent_frames(min(count, frames - at)))
        return at, max(1, whole)

    def at_once(self, frames: int, width: int, height: int) -> int:
        """How many frames of such a clip are denoised together: all of them, unless a long clip is
        made piece by piece.
        """
        return frames

    def parts(self, frames: int, width: int, height: int) -> list[range]:
        """The latent frames that are denoised together, of a long clip in several parts."""
        return [range(self.latent_frames(frames))]

    def size_for(self, aspect: float) -> tuple[int, int] | None:
        """(width, height) of a clip after a picture whose width is `aspect` heights, where neither
        is asked for; None: about as many pixels as by default.
        """
        return None

    def named_size(self, resolution: str | None, aspect: str | None) -> tuple[int, int]:
        """(width, height) for names such as "480p" and "16:9" (width to height), of which one may
        be left out.

        Raises :class:`SettingError` for names that the model doesn't know.
        """
        raise SettingError(
            "This model's sizes have no names; give `width` and `height` in place of "
            "`resolution` and `aspect`."
        )

    def latent_shape(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        """(frames, height, width) of the latent, for sizes in pixels that are on the grid; raises
        :class:`SettingError` for others.
        """
        *_, notes = self.round(frames, width, height)
        if notes:
            raise SettingError(notes[0])
        return self.latent_frames(frames), height // self.s_factor, width // self.s_factor

    def token_grid(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        """(time, height, width) of the grid of tokens, for sizes in pixels that are on the grid."""
        t, h, w = self.latent_shape(frames, width, height)
        return t // self.patch[0], h // self.patch[1], w // self.patch[2]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What follows from sizes and geometry alone; pairs are query-key pairs a head and layer.

    latent_shape: (frames, height, width); token_grid: (time, height, width); compression: pixel
    values / latent values; pairs_factored: spatial + temporal; pairs_ratio: full / factored; notes:
    a line about each setting that was rounded.
    """

    frames: int
    width: int
    height: int
    latent_shape: tuple[int, int, int]
    channels: int
    patch: tuple[int, int, int]
    pixel_values: int
    latent_values: int
    compression: float
    token_grid: tuple[int, int, int]
    tokens: int
    pairs_full: int
    pairs_spatial: int
    pairs_temporal: int
    pairs_factored: int
    pairs_ratio: float
    notes: tuple[str, ...]


def plan_geometry(frames: int, width: int, height: int, geometry: Geometry) -> Counts:
    """Count a clip of `frames` x `width` x `height` pixels through `geometry`; sizes off its grid
    are rounded, and noted.

    Raises :class:`SettingError` for sizes that no clip can have.
    """
    frames, width, height, notes = geometry.round(frames, width, height)
    latent, grid = (
        geometry.latent_shape(frames, width, height),
        geometry.token_grid(frames, width, height),
    )
    times, places = grid[0], grid[1] * grid[2]
    tokens = times * places
    pixel_values, latent_values = 3 * frames * width * height, prod(latent) * geometry.channels
    spatial, temporal = times * places**2, places * times**2
    return Counts(
        frames=frames,
        width=width,
        height=height,
        latent_shape=latent,
        channels=geometry.channels,
        patch=geometry.patch,
        pixel_values=pixel_values,
        latent_values=latent_values,
        compression=pixel_values / latent_values,
        token_grid=grid,
        tokens=tokens,
        pairs_full=tokens**2,
        pairs_spatial=spatial,
        pairs_temporal=temporal,
        pairs_factored=spatial + temporal,
        pairs_ratio=tokens**2 / (spatial + temporal),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class Defaults:
    """What a model makes when it is not told otherwise: pixels, frames, frames a second, denoising
    steps and guidance scale.
    """

    width: int
    height: int
    frames: int
    fps: float
    steps: int
    guidance: float
    negative_prompt: str = ""
    sampler: str = "euler"


@dataclass(frozen=True)
class Facts:
    """What a model's configs say of it before any weight is read.

    capabilities, needs: as in :class:`mlxvid.catalog.Entry`; attention_modes: the first is the one
    that it was trained for; heads, head_dim: of its transformer; float32: the components that stay
    in it where the others are in half precision.
    """

    geometry: Geometry
    defaults: Defaults
    capabilities: frozenset[str]
    heads: int
    head_dim: int
    needs: frozenset[str] = frozenset()
    attention_modes: tuple[str, ...] = ("full",)
    float32: frozenset[str] = frozenset()
