"""The clips of CogVideoX: lengths and sizes that its VAE and patches can hold, and those of its
training. No MLX here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.errors import SettingError
from mlxvid.model.geometry import MAX_FRAMES, Geometry, check_whole, round_size


@dataclass(frozen=True)
class CogVideoXGeometry(Geometry):
    """1 + `step` * n frames; where a patch holds several latent frames, some are added in front of
    the clip while it is denoised (:attr:`padded`).

    trained_size: (width, height) of the training's clips; with `by_side` they had any proportions
    of that height as the short side, up to that width as the long one. trained_frames: of the
    longest. one_size: whether a clip of another size, or a longer one, can't be made.
    """

    step: int = 8
    trained_size: tuple[int, int] = (720, 480)
    trained_frames: int = 49
    by_side: bool = False
    one_size: bool = False

    def round_frames(self, frames: int) -> tuple[int, str | None]:
        frames = check_whole("`frames`", frames, MAX_FRAMES, "frames")
        # Of two equally near the smaller, which costs no more than was asked.
        rounded = 1 + self.step * ((2 * (frames - 1) + self.step - 1) // (2 * self.step))
        longest = self.trained_frames
        if rounded > longest and self.one_size:
            raise SettingError(
                f"This model has no positions for {frames} frames; give at most {longest} `frames`."
            )
        notes = []
        if rounded != frames:
            plural = "frame is" if frames == 1 else "frames are"
            notes.append(
                f"{frames} {plural} rounded to {rounded}: this model's frame counts are "
                f"1 + {self.step}k."
            )
        if rounded > longest:
            notes.append(f"The model was trained with clips of up to {longest} frames.")
        return rounded, " ".join(notes) or None

    def round_size(self, width: int, height: int) -> tuple[int, int, list[str]]:
        """Raises :class:`SettingError` for another size than that of a model that has one."""
        new_width, new_height, note = round_size(width, height, self.multiples)
        notes = [note] if note else []
        if self.knows(new_width, new_height):
            return new_width, new_height, notes
        wide, high = self.trained_size
        if self.one_size:
            raise SettingError(
                f"This model has positions for clips of {wide}x{high} alone, not {width}x{height}; "
                f"give `width` {wide} and `height` {high}, or leave them out."
            )
        sides = f"of {wide}x{high}"
        if self.by_side:
            sides = f"whose short side is {high} and whose long side is up to {wide}"
        notes.append(f"The model was trained with clips {sides}, not of {new_width}x{new_height}.")
        return new_width, new_height, notes

    def knows(self, width: int, height: int) -> bool:
        """Whether the model was trained with clips of that size."""
        wide, high = self.trained_size
        if self.by_side:
            return min(width, height) == high and max(width, height) <= wide
        return (width, height) == self.trained_size

    def size_for(self, aspect: float) -> tuple[int, int] | None:
        wide, high = self.trained_size
        if self.one_size:
            return self.trained_size
        if not self.by_side:
            return None
        multiple = max(self.multiples)
        long_side = max(aspect, 1 / aspect) * high
        long_side = min(round(long_side / multiple) * multiple, wide)
        return (long_side, high) if aspect > 1 else (high, long_side)

    def latent_shape(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        rounded, note = self.round_frames(frames)
        if rounded != frames and note:
            raise SettingError(note)
        *_, size_note = round_size(width, height, self.multiples)
        if size_note:
            raise SettingError(size_note)
        return self.latent_frames(frames), height // self.s_factor, width // self.s_factor

    def token_grid(self, frames: int, width: int, height: int) -> tuple[int, int, int]:
        t, h, w = self.latent_shape(frames, width, height)
        return self.padded(t) // self.patch[0], h // self.patch[1], w // self.patch[2]

    def padded(self, latent_frames: int) -> int:
        """Latent frames that are denoised: with those in front that fill up the patches."""
        return -(-latent_frames // self.patch[0]) * self.patch[0]
