"""Size by shape and resolution or in pixels, length in seconds or frames, as the model allows."""

from __future__ import annotations

from itertools import product
from math import log

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QVBoxLayout, QWidget

from mlxvid.catalog import CATALOG, DEFAULT_MODEL
from mlxvid.gui.widgets.fields import choice as choice_field
from mlxvid.gui.widgets.fields import decimal, labelled, pick, two_columns
from mlxvid.model.card import Card
from mlxvid.model.geometry import MAX_ASPECT, MAX_FRAMES, MAX_SIDE, frames_of, round_size
from mlxvid.model.settings import SETTINGS

from .setting_fields import whole_field

_SHAPES: list[tuple[str, tuple[int, int]]] = [
    ("Square 1:1", (1, 1)),
    ("Wide 16:9", (16, 9)),
    ("Tall 9:16", (9, 16)),
    ("Classic 4:3", (4, 3)),
    ("Portrait 3:4", (3, 4)),
    ("Photo 3:2", (3, 2)),
    ("Photo 2:3", (2, 3)),
]
# Sides, as a share of the model's own size.
_SCALES = (0.5, 2 / 3, 1.0, 1.5, 2.0)
# How near a shape is to the model's own to be taken for it: 832x480 is its 16:9.
_NEAR = 0.05
_CUSTOM: tuple[str, None] = ("Custom", None)


class SizeBox(QWidget):
    """Shape and resolution; width and height are in `pixels`, for another place. Each follows the
    others.

    changed: by the user. custom: a size is to be typed.
    """

    changed = Signal()
    custom = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._card: Card = CATALOG[DEFAULT_MODEL]
        resolution_hint = "The star marks the size that the model was made for"
        self._shape = choice_field("Shape", [*_SHAPES, _CUSTOM], "The clip's proportions")
        self._shape.setObjectName("shape")
        self._resolution = choice_field("Resolution", [], resolution_hint)
        self._resolution.setObjectName("resolution")
        self._width = whole_field(SETTINGS["width"])
        self._height = whole_field(SETTINGS["height"])
        for field in (self._width, self._height):
            field.setSuffix(" px")
            field.valueChanged.connect(self._type)
        self._shape.activated.connect(lambda: self._choose(self._shape))
        self._resolution.activated.connect(lambda: self._choose(self._resolution))
        grid = two_columns(self)
        grid.addWidget(labelled("Shape", self._shape), 0, 0)
        grid.addWidget(labelled("Resolution", self._resolution), 0, 1)
        self.pixels = QWidget()
        below = two_columns(self.pixels)
        below.addWidget(labelled(SETTINGS["width"].label, self._width), 0, 0)
        below.addWidget(labelled(SETTINGS["height"].label, self._height), 0, 1)

    def set_card(self, card: Card) -> None:
        """Follow another model: its steps, and the nearest size that it can make."""
        self._card = card
        self._width.setSingleStep(card.geometry.multiples[0])
        self._height.setSingleStep(card.geometry.multiples[1])
        self.set_value(*self.value())

    def value(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._width.value(), self._height.value()

    def set_value(self, width: int, height: int) -> None:
        """Show the size, or the nearest that the model can make; `changed` is not emitted."""
        width, height, _ = round_size(width, height, self._card.geometry.multiples)
        with QSignalBlocker(self._width), QSignalBlocker(self._height):
            self._width.setValue(width)
            self._height.setValue(height)
        shape = self._shape_of(width, height)
        pick(self._shape, shape)
        self._offer_sizes(shape or (width, height))

    def like(self, width: int, height: int) -> tuple[int, int]:
        """The size of the present shape with about as many pixels as this one, which is itself
        where it has that shape.
        """
        present = self.value()
        multiples = self._card.geometry.multiples
        for size in ((width, height), (height, width)):
            if _alike(size, present):
                return round_size(*size, multiples)[:2]
        own = self._card.defaults.width * self._card.defaults.height
        return self._sized(self._shape.currentData() or present, (width * height / own) ** 0.5)

    def of_shape(self, width: int, height: int) -> tuple[int, int]:
        """The size after a picture's sides, with about as many pixels as now."""
        scale = self._scale()
        own = self._card.geometry.size_for(width / height)
        if own is not None and abs(scale - 1) < _NEAR:
            return own
        return self._sized((width, height), scale)

    def take_shape(self, sides: tuple[int, int] | None) -> None:
        """Have the shape of a picture of these sides, the model's own for None; `changed` is not
        emitted.
        """
        width, height = sides or (self._card.defaults.width, self._card.defaults.height)
        if 1 / MAX_ASPECT <= width / height <= MAX_ASPECT:
            self.set_value(*self.of_shape(width, height))

    def has_own_shape(self) -> bool:
        """Whether it has the shape that the model was made for."""
        return _alike((self._card.defaults.width, self._card.defaults.height), self.value())

    def focus_width(self) -> None:
        """Have a width typed."""
        self._width.setFocus()
        self._width.selectAll()

    def _shape_of(self, width: int, height: int) -> tuple[int, int] | None:
        for _, shape in _SHAPES:
            if _alike(shape, (width, height)):
                return shape
        return None

    def _offer_sizes(self, shape: tuple[int, int]) -> None:
        """The sizes of a shape, the present one among them, in pixels."""
        scales = {self._sized(shape, scale): scale for scale in _SCALES if scale != 1}
        scales[self._sized(shape, 1)] = 1
        scales.setdefault(self.value(), self._scale())
        self._resolution.clear()
        for (width, height), scale in sorted(scales.items(), key=lambda item: item[1]):
            star = " ★" if scale == 1 else ""
            self._resolution.addItem(f"{width}×{height}{star}", scale)
        self._resolution.addItem("Custom…", None)
        pick(self._resolution, scales[self.value()])

    def _choose(self, field: QComboBox) -> None:
        if field.currentData() is None:  # no size: one is to be typed
            self.set_value(*self.value())
            self.custom.emit()
            return
        shape = self._shape.currentData() or self.value()
        scale = self._resolution.currentData() or self._scale()
        self.set_value(*self._sized(shape, scale))
        self.changed.emit()

    def _type(self) -> None:
        self.set_value(*self.value())
        self.changed.emit()

    def _scale(self) -> float:
        """The present size's sides as a share of the model's."""
        width, height = self.value()
        own = self._card.defaults.width * self._card.defaults.height
        return (width * height / own) ** 0.5

    def _sized(self, shape: tuple[int, int], scale: float) -> tuple[int, int]:
        """Width and height of a shape, with the pixels of the model's own size at that scale."""
        own = (self._card.defaults.width, self._card.defaults.height)
        for sides in (own, own[::-1]):
            if _alike(shape, sides):
                shape = sides
                break
        side = scale * (own[0] * own[1] / (shape[0] * shape[1])) ** 0.5
        wanted = (shape[0] * side, shape[1] * side)
        multiples = self._card.geometry.multiples
        across = _around(wanted[0], multiples[0])
        down = _around(wanted[1], multiples[1])

        def misfit(size: tuple[int, int]) -> float:
            """Weighs the shape above the pixels: on a coarse grid both can't be had."""
            width_ratio = size[0] / wanted[0]
            height_ratio = size[1] / wanted[1]
            return 2 * abs(log(width_ratio / height_ratio)) + abs(log(width_ratio * height_ratio))

        return min(product(across, down), key=misfit)


def _alike(shape: tuple[int, int], sides: tuple[int, int]) -> bool:
    return abs(shape[0] / shape[1] / (sides[0] / sides[1]) - 1) < _NEAR


def _around(length: float, step: int) -> tuple[int, int]:
    """The multiples of `step` below and above a length, within what a side can be."""
    below = step * max(1, min(int(length), MAX_SIDE) // step)
    return below, min(below + step, MAX_SIDE // step * step)


class LengthBox(QWidget):
    """Seconds; the frames are in `frames`, for another place. Each follows the other at `fps`.

    changed: by the user.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._card: Card = CATALOG[DEFAULT_MODEL]
        self._fps = 16.0
        self._seconds = decimal("Length in seconds", 0.01, 100_000, 2, 0.5)
        self._seconds.setObjectName("seconds")
        self._seconds.setSuffix(" s")
        self._frames = whole_field(SETTINGS["frames"])
        self._seconds.valueChanged.connect(self._take_seconds)
        self._frames.valueChanged.connect(self._take_frames)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(labelled("Length", self._seconds))
        self.frames = labelled(SETTINGS["frames"].label, self._frames)

    def set_card(self, card: Card) -> None:
        """Follow another model: its steps, and the nearest number of frames that it can make."""
        self._card = card
        self._frames.setSingleStep(card.geometry.t_factor * card.geometry.patch[0])
        self.set_value(self.value())

    def set_fps(self, fps: float) -> None:
        """Keep the frames, at another rate."""
        self._fps = fps
        self.set_value(self.value())

    def value(self) -> int:
        """Frames."""
        return self._frames.value()

    def set_value(self, frames: int) -> None:
        """Show the nearest number of frames that the model can make; `changed` is not emitted."""
        frames, _ = self._card.geometry.round_frames(min(frames, MAX_FRAMES))
        with QSignalBlocker(self._frames), QSignalBlocker(self._seconds):
            self._frames.setValue(frames)
            self._seconds.setValue(frames / self._fps)
            self._seconds.setSingleStep(max(0.25, self._frames.singleStep() / self._fps))

    def _take_seconds(self, seconds: float) -> None:
        self._take_frames(frames_of(seconds, self._fps))

    def _take_frames(self, frames: int) -> None:
        self.set_value(frames)
        self.changed.emit()
