"""A picture or a clip for one frame of the clip to be made."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from mlxvid.gui.widgets.fields import decimal, field_height, whole
from mlxvid.gui.widgets.icons import icon
from mlxvid.model.geometry import MAX_FRAMES
from mlxvid.model.keyframes import Keyframe

from .wells import KeyframeWell

_STEP = 0.05


class KeyframeBox(QWidget):
    """The well, the number of its frame, counted from 1 as the player does, and how strongly it
    holds.

    changed: the number or the strength.
    """

    changed = Signal()

    def __init__(self, well: KeyframeWell, frame: int, frames: int, strength: float):
        super().__init__()
        self.well = well
        self._wanted = frame  # where it goes back to when the clip is long enough again
        self._playhead = 0
        hint = "The frame that shows it; 1 is the first"
        self.number: QSpinBox = whole("Frame of this picture", 1, MAX_FRAMES, hint)
        self.number.setObjectName("keyframe_number")
        self.set_frames(frames)
        self.number.valueChanged.connect(self._want)
        self.at_playhead = QToolButton()
        self.at_playhead.setObjectName("at_playhead")
        self.at_playhead.setIcon(icon("playhead"))
        self.at_playhead.setAccessibleName("At the Playhead")
        self.at_playhead.setFixedHeight(field_height(self.at_playhead))
        self.at_playhead.clicked.connect(self._take_playhead)
        self.strength = strength_field(
            "Strength of this picture", "How strongly it holds; 1 keeps it"
        )
        self.strength.setObjectName("keyframe_strength")
        self.strength.setValue(strength)
        self.strength.valueChanged.connect(self.changed)
        place = QHBoxLayout()
        place.setSpacing(1)
        place.addWidget(self.number, 1)
        place.addWidget(self.at_playhead)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(well)
        layout.addLayout(place)
        layout.addWidget(self.strength)

    @property
    def kind(self) -> str:
        """What a model has to take for it."""
        return "keyframe_clips" if self.well.holds_clip else "keyframes"

    def frame(self) -> int:
        """Its frame, counted from 0."""
        return self.number.value() - 1

    def set_frames(self, frames: int) -> None:
        """Keep it within a clip of this length; it goes back when there is room again."""
        last = max(1, min(frames, MAX_FRAMES))
        with QSignalBlocker(self.number):
            self.number.setMaximum(last)
            self.number.setValue(min(self._wanted + 1, last))
        self.number.setToolTip(f"The frame that shows it, from 1 to {last}")

    def set_takes(self, takes: frozenset[str]) -> None:
        """Show what the model takes."""
        self.well.set_takes_clips("keyframe_clips" in takes)
        self.strength.setVisible("keyframe_strength" in takes)

    def follow_playhead(self, frame: int) -> None:
        """The playhead is at this frame, counted from 0."""
        self._playhead = frame
        self.at_playhead.setToolTip(f"At the Playhead: frame {frame + 1}")

    def value(self) -> str | list[Any]:
        """What the settings have of it; its strength where the model takes one."""
        strength = 1.0 if self.strength.isHidden() else round(self.strength.value(), 2)
        return Keyframe(str(self.well.path), strength).as_json()

    def _want(self, number: int) -> None:
        self._wanted = number - 1
        self.changed.emit()

    def _take_playhead(self) -> None:
        self.number.setValue(self._playhead + 1)


def strength_field(name: str, what: str) -> QDoubleSpinBox:
    """A field for a strength."""
    return decimal(name, 0, 1, 2, _STEP, what)


def stacked(*widgets: QWidget) -> QWidget:
    """A widget with others below each other."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    for widget in widgets:
        layout.addWidget(widget)
    return box
