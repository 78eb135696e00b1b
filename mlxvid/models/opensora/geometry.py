"""The geometry of Open-Sora's clips: any size, and lengths in chunks of the VAE."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.errors import SettingError
from mlxvid.model.geometry import MAX_FRAMES, MAX_SIDE, Geometry, check_whole

from .long import pieces
from .sizes import ASPECTS, CHUNK, named_size

# (pixels, frames): the frames that were denoised together in training for pictures of up to so many
# pixels. 16 s at 240p and 360p, 8 s at 480p, 4 s at 720p; the limits leave room for the sizes of a
# resolution that are a little larger.
LONGEST = (
    (250_000, 24 * CHUNK),
    (450_000, 12 * CHUNK),
    (MAX_SIDE**2, 6 * CHUNK),
)


@dataclass(frozen=True)
class OpenSoraGeometry(Geometry):
    """Geometry with clips in chunks of the VAE.

    chunk: frames that the VAE takes together; 1 + k * t_factor of them make 1 + k latent frames.
    A clip's last chunk may be shorter. Its sides may have any length: the VAE crops them to a
    multiple of s_factor, and the transformer, which has the requested size as an input, pads odd
    sides by itself.
    """

    chunk: int = CHUNK

    def __post_init__(self):
        super().__post_init__()
        check_whole("The VAE's chunk", self.chunk, MAX_FRAMES, "frames")
        if (self.chunk - 1) % self.t_factor or self.patch[0] != 1:
            raise SettingError(
                f"The VAE's chunks are 1 + {self.t_factor}k frames, not {self.chunk}, "
                "and a token is of one frame."
            )

    @property
    def chunk_latents(self) -> int:
        """Latent frames of a whole chunk."""
        return 1 + (self.chunk - 1) // self.t_factor

    @property
    def multiples(self) -> tuple[int, int]:
        return self.s_factor, self.s_factor

    def round_frames(self, frames: int) -> tuple[int, str | None]:
        frames = check_whole("`frames`", frames, MAX_FRAMES, "frames")
        whole, rest = divmod(frames, self.chunk)
        over = (rest - 1) % self.t_factor if rest else 0
        if not over:
            return frames, None
        rounded = frames - over
        if 2 * over > self.t_factor:
            rounded += self.t_factor
        note = (
            f"{frames} frames are rounded to {rounded}: this model's frame counts are "
            f"{self.chunk}k, and 1, {1 + self.t_factor}, … {self.chunk - self.t_factor} more."
        )
        return rounded, note

    def round_size(self, width: int, height: int) -> tuple[int, int, list[str]]:
        """The size unchanged, with a note where the clip's frames will be a little smaller."""
        s = self.s_factor
        width = check_whole("`width`", width, MAX_SIDE, "pixels")
        height = check_whole("`height`", height, MAX_SIDE, "pixels")
        if min(width, height) < s:
            raise SettingError(
                f"{width}x{height} is too small for this model; "
                f"its clips have at least {s} pixels a side."
            )
        made_width = width // s * s
        made_height = height // s * s
        notes = []
        if (made_width, made_height) != (width, height):
            notes.append(
                f"{width}x{height} comes out as {made_width}x{made_height}: "
                f"this model's frames are multiples of {s}."
            )
        return width, height, notes

    def named_size(self, resolution: str | None, aspect: str | None) -> tuple[int, int]:
        """(width, height) of a named resolution at an aspect; by default 240p and 16:9.

        An aspect is width to height here, and height to width in :mod:`.sizes`. Raises
        :class:`SettingError` for unknown names.
        """
        names = {":".join(reversed(name.split(":"))): name for name in ASPECTS}
        if aspect is not None and aspect not in names:
            raise SettingError(
                f"There is no aspect {aspect!r} (width to height); use one of: {', '.join(names)}."
            )
        height, width = named_size(resolution or "240p", names[aspect or "16:9"])
        return width, height

    def latent_frames(self, frames: int) -> int:
        whole, rest = divmod(frames, self.chunk)
        return whole * self.chunk_latents + -(-rest // self.t_factor)

    def pixel_frames(self, latent_frames: int) -> int:
        whole, rest = divmod(latent_frames, self.chunk_latents)
        return whole * self.chunk + (1 + (rest - 1) * self.t_factor if rest else 0)

    def slot(self, frame: int, frames: int) -> tuple[int, int]:
        """The latent frame and the frame at which a picture for `frame` is given: a chunk's start.

        As in the reference it is the nearest chunk, but none that the clip's end cuts short.
        """
        from .strategy import aligned

        whole, rest = divmod(frame, self.chunk)
        nearest = whole * self.chunk_latents + -(-rest // self.t_factor)
        slot = aligned(nearest, self.chunk_latents, self.latent_frames(frames))
        return slot, slot // self.chunk_latents * self.chunk

    def at_once(self, frames: int, width: int, height: int) -> int:
        return min(frames, self.longest(width, height))

    def parts(self, frames: int, width: int, height: int) -> list[range]:
        """In order; each piece of a long clip begins with the last frames of the one before."""
        longest = self.latent_frames(self.longest(width, height))
        return pieces(self.latent_frames(frames), self.chunk_latents, longest)

    def longest(self, width: int, height: int) -> int:
        """Frames that are denoised together at most; a longer clip is made in pieces."""
        frames = next(frames for pixels, frames in LONGEST if width * height <= pixels)
        return frames // CHUNK * self.chunk

    def latent_shape(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        _, note = self.round_frames(frames)
        if note:
            raise SettingError(note)
        return self.latent_frames(frames), height // self.s_factor, width // self.s_factor

    def token_grid(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        t, h, w = self.latent_shape(frames, width, height)
        return t, -(-h // self.patch[1]), -(-w // self.patch[2])
