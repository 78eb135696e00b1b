"""The shape of Open-Sora's clips: any size, and lengths in the VAE's chunks."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.errors import SettingError
from mlxvid.model.geometry import MAX_FRAMES, MAX_SIDE, Geometry, check_whole

from .sizes import ASPECTS, CHUNK, named_size

# Frames that were seen together in training, up to so many pixels: 16 s at 240p and 360p, 8 s at
# 480p, 4 s at 720p, each with the sizes of its name that are a little larger.
LONGEST = ((250_000, 24 * CHUNK), (450_000, 12 * CHUNK), (MAX_SIDE**2, 6 * CHUNK))


@dataclass(frozen=True)
class OpenSoraGeometry(Geometry):
    """chunk: frames that the VAE takes together, 1 + k * t_factor of them making 1 + k latent
    frames.

    A clip's last chunk may be shorter. Its sides may have any length: the VAE leaves out what is
    beyond a multiple of s_factor, and the transformer, which is told of the size that was asked
    for, fills up odd sides by itself.
    """

    chunk: int = CHUNK

    def __post_init__(self):
        super().__post_init__()
        check_whole("The VAE's chunk", self.chunk, MAX_FRAMES, "frames")
        if (self.chunk - 1) % self.t_factor or self.patch[0] != 1:
            raise SettingError(
                f"The VAE's chunks are 1 + {self.t_factor}k frames, not {self.chunk}, and a token is of one frame."
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
        rounded = frames - over if 2 * over <= self.t_factor else frames - over + self.t_factor
        t, c = self.t_factor, self.chunk
        return (
            rounded,
            f"{frames} frames are rounded to {rounded}: this model's frame counts are {c}k, and 1, {1 + t}, … {c - t} more.",
        )

    def round_size(self, width: int, height: int) -> tuple[int, int, list[str]]:
        """As they are, with a line where the clip will be a little smaller than asked for."""
        sides = [
            check_whole(name, side, MAX_SIDE, "pixels")
            for name, side in (("`width`", width), ("`height`", height))
        ]
        if min(sides) < self.s_factor:
            raise SettingError(
                f"{width}x{height} is too small for this model; its clips have at least {self.s_factor} pixels a side."
            )
        wide, high = (side // self.s_factor * self.s_factor for side in sides)
        if [wide, high] == sides:
            return *sides, []
        return *sides, [
            f"{width}x{height} comes out as {wide}x{high}: this model's frames are multiples of {self.s_factor}."
        ]

    def named_size(self, resolution: str | None, aspect: str | None) -> tuple[int, int]:
        """By default 240p and 16:9. An aspect is width to height here, and height to width in
        :mod:`.sizes`.
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
        """The beginning of a chunk: as in the reference, the nearest, but none that is cut short by
        the clip's end.
        """
        from .strategy import aligned

        whole, rest = divmod(frame, self.chunk)
        nearest = whole * self.chunk_latents + -(-rest // self.t_factor)
        slot = aligned(nearest, self.chunk_latents, self.latent_frames(frames))
        return slot, slot // self.chunk_latents * self.chunk

    def at_once(self, frames: int, width: int, height: int) -> int:
        return min(frames, self.longest(width, height))

    def longest(self, width: int, height: int) -> int:
        """Frames that are denoised together at most: a longer clip of that size is made piece by
        piece.
        """
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
