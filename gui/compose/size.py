"""How large a clip is and how long: by shape and resolution or in pixels, by seconds or frames,
always what the model can make.
"""

from __future__ import annotations

from itertools import product
from math import log

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QWidget

from mlxvid.gui.core.choices import Choice
from mlxvid.gui.widgets.fields import choice as choice_field
from mlxvid.gui.widgets.fields import decimal, labelled, pick, two_columns, whole
from mlxvid.model.geometry import MAX_FRAMES, MAX_SIDE, frames_of, round_size

_SHAPES = [
    ("Square 1:1", (1, 1)),
    ("Wide 16:9", (16, 9)),
    ("Tall 9:16", (9, 16)),
    ("Classic 4:3", (4, 3)),
    ("Portrait 3:4", (3, 4)),
]
# Sides, as a share of the size that the model was made for.
_RESOLUTIONS = [
    ("Draft", 0.5),
    ("Small", 0.75),
    ("Standard", 1.0),
    ("Large", 1.5),
    ("Extra large", 2.0),
]
# A shape so near to the model's own is the model's own: 832x480 is its 16:9.
_NEAR = 0.05
_CUSTOM = ("Custom", None)


class SizeBox(QWidget):
    """Shape, resolution, width and height, each following the others. `changed` when the user
    changes one.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choice: Choice | None = None
        self._shape = choice_field("Shape", [*_SHAPES, _CUSTOM], "The picture's proportions")
        self._resolution = choice_field(
            "Resolution",
            [*_RESOLUTIONS, _CUSTOM],
            "Standard is the size that the model was made for",
        )
        self._width = whole("Width in pixels", 1, MAX_SIDE)
        self._height = whole("Height in pixels", 1, MAX_SIDE)
        for field in (self._width, self._height):
            field.setSuffix(" px")
            field.valueChanged.connect(self._typed)
        self._shape.activated.connect(lambda: self._chosen(self._shape))
        self._resolution.activated.connect(lambda: self._chosen(self._resolution))
        grid = two_columns(self)
        for place, (text, field) in enumerate(
            (
                ("Shape", self._shape),
                ("Resolution", self._resolution),
                ("Width", self._width),
                ("Height", self._height),
            )
        ):
            grid.addWidget(labelled(text, field), place // 2, place % 2)

    def set_choice(self, choice: Choice) -> None:
        """Another model: its steps, and the nearest size that it can make."""
        self._choice = choice
        self._width.setSingleStep(choice.card.geometry.multiples[0])
        self._height.setSingleStep(choice.card.geometry.multiples[1])
        self.set_value(*self.value())

    def value(self) -> tuple[int, int]:
        return self._width.value(), self._height.value()

    def set_value(self, width: int, height: int) -> None:
        """The size, or the nearest that the model can make; nothing is emitted."""
        width, height, _ = round_size(width, height, self._choice.card.geometry.multiples)
        with QSignalBlocker(self._width), QSignalBlocker(self._height):
            self._width.setValue(width)
            self._height.setValue(height)
        shape = next((shape for _, shape in _SHAPES if _alike(shape, (width, height))), None)
        pick(self._shape, shape)
        pick(
            self._resolution,
            next(
                (
                    scale
                    for _, scale in _RESOLUTIONS
                    if shape and self._sized(shape, scale) == (width, height)
                ),
                None,
            ),
        )

    def _chosen(self, field: QComboBox) -> None:
        shape, scale = self._shape.currentData(), self._resolution.currentData()
        if field.currentData() is not None:
            self.set_value(*self._sized(shape or self.value(), scale or self._scale()))
            self.changed.emit()
        else:  # "Custom" is not a size: type one
            self._width.setFocus()

    def _typed(self) -> None:
        self.set_value(*self.value())
        self.changed.emit()

    def _scale(self) -> float:
        """The present size's sides as a share of the model's."""
        width, height = self.value()
        return (
            width * height / (self._choice.card.defaults.width * self._choice.card.defaults.height)
        ) ** 0.5

    def _sized(self, shape: tuple[int, int], scale: float) -> tuple[int, int]:
        """Width and height of a shape, with as many pixels as the model's own size has at that
        scale.
        """
        own = (self._choice.card.defaults.width, self._choice.card.defaults.height)
        shape = next((sides for sides in (own, own[::-1]) if _alike(shape, sides)), shape)
        side = scale * (own[0] * own[1] / (shape[0] * shape[1])) ** 0.5
        wanted = (shape[0] * side, shape[1] * side)
        across, down = (
            _around(length, step)
            for length, step in zip(wanted, self._choice.card.geometry.multiples, strict=True)
        )

        def misfit(size: tuple[int, int]) -> float:
            """The shape counts for more than the number of pixels: on a coarse grid both can't be
            had.
            """
            wide, high = size[0] / wanted[0], size[1] / wanted[1]
            return 2 * abs(log(wide / high)) + abs(log(wide * high))

        return min(product(across, down), key=misfit)


def _alike(shape: tuple[int, int], sides: tuple[int, int]) -> bool:
    return abs(shape[0] / shape[1] / (sides[0] / sides[1]) - 1) < _NEAR


def _around(length: float, step: int) -> tuple[int, int]:
    """The multiples of `step` below and above a length, within what a side can be."""
    below = step * max(1, min(int(length), MAX_SIDE) // step)
    return below, min(below + step, MAX_SIDE // step * step)


class LengthBox(QWidget):
    """Seconds and frames, each following the other at `fps`. `changed` when the user changes one."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choice: Choice | None = None
        self._fps = 16.0
        self._seconds = decimal("Length in seconds", 0.01, 100_000, 2, 0.5)
        self._seconds.setSuffix(" s")
        self._frames = whole("Length in frames", 1, MAX_FRAMES)
        self._seconds.valueChanged.connect(
            lambda seconds: self._take(frames_of(seconds, self._fps))
        )
        self._frames.valueChanged.connect(self._take)
        grid = two_columns(self)
        grid.addWidget(labelled("Length", self._seconds), 0, 0)
        grid.addWidget(labelled("Frames", self._frames), 0, 1)

    def set_choice(self, choice: Choice) -> None:
        """Another model: its steps, and the nearest number of frames that it can make."""
        self._choice = choice
        step = choice.card.geometry.t_factor * choice.card.geometry.patch[0]
        self._frames.setSingleStep(step)
        self.set_value(self.value())

    def set_fps(self, fps: float) -> None:
        """As many frames as before, at another rate."""
        self._fps = fps
        self.set_value(self.value())

    def value(self) -> int:
        """Frames."""
        return self._frames.value()

    def set_value(self, frames: int) -> None:
        """So many frames, or the nearest number that the model can make; nothing is emitted."""
        frames = (
            self._choice.card.geometry.round_frames(min(frames, MAX_FRAMES))[0]
            if self._choice
            else frames
        )
        with QSignalBlocker(self._frames), QSignalBlocker(self._seconds):
            self._frames.setValue(frames)
            self._seconds.setValue(frames / self._fps)
            self._seconds.setSingleStep(max(0.25, self._frames.singleStep() / self._fps))

    def _take(self, frames: int) -> None:
        self.set_value(frames)
        self.changed.emit()
