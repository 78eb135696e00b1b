"""What is given for single frames of a clip: as a user gives it, and where it came to stand."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from mlxvid.errors import SettingError, shown


class Keyframe(NamedTuple):
    """A picture or a clip for a frame, and how strongly it holds: 1 keeps it, 0 leaves it out."""

    source: Any
    strength: float = 1.0

    @classmethod
    def of(cls, value: Any, frame: Any) -> Keyframe:
        """A value of `keyframes`: a picture or clip alone, or (picture or clip, strength).

        frame: the one that it is for, for messages. Raises :class:`SettingError` for a strength
        that is no number from 0 to 1.
        """
        if not isinstance(value, (tuple, list)):
            return cls(value)
        if len(value) != 2:
            raise SettingError(
                f"`keyframes` are pictures or clips by frame number, or pairs of one and its "
                f"strength; that for frame {shown(frame)} is {len(value)} things."
            )
        source, strength = value
        is_number = isinstance(strength, Real) and not isinstance(strength, bool)
        if not is_number or not 0 <= strength <= 1:  # also for NaN
            raise SettingError(
                f"The strength of what `keyframes` give for frame {shown(frame)} must be a number "
                f"from 0 to 1, not {shown(strength)}."
            )
        return cls(source, float(strength))

    def as_json(self) -> str | list[Any]:
        """A path alone where it holds fully, else [path, strength]."""
        return self.source if self.strength == 1 else [self.source, self.strength]


class Placed(NamedTuple):
    """What is given in a clip: its frames, uint8 [N, H, W, 3], fitted to the clip (N is 1 for a
    picture); the clip's frame at which they begin; and how strongly they hold, from 0 to 1.
    """

    frame: int
    frames: np.ndarray
    strength: float = 1.0
