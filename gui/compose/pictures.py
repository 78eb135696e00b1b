"""What certain frames should show, as far as the model can: pictures for the first, the last, those
between, and clips before and after.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSpinBox, QVBoxLayout, QWidget

from mlxvid.gui.widgets.fields import whole
from mlxvid.model.geometry import MAX_FRAMES

from .wells import ClipWell, PictureWell

_COLUMNS = 3


class PicturesBox(QWidget):
    """Places for pictures and clips in rows of three. `changed` when one does; `message`: why one
    can't be taken.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._start = self._well("Start", "The picture that the clip begins with")
        self._last = self._well("Last", "The picture that the clip ends with")
        self._new = self._well("Keyframe", "A picture for a frame between")
        self._new.changed.connect(self._add_new)
        self._extend = self._well(
            "Go on from", "The clip whose last frames this one begins with", ClipWell
        )
        self._join = self._well(
            "Lead to", "The clip whose first frames this one ends with", ClipWell
        )
        self._keys: list[_Keyframe] = []
        self._takes: frozenset[str] = frozenset()
        self._frames = 1
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(column, 1)

    def set_takes(self, takes: frozenset[str]) -> None:
        """Show what the model can use; what it can't is kept in mind for another model, and left
        out of the settings.
        """
        self._takes = takes
        self._arrange()

    def set_frames(self, frames: int) -> None:
        """The clip's length: keyframes stand within it."""
        self._frames = frames
        for key in self._keys:
            key.frame.setMaximum(max(0, frames - 1))

    def settings(self) -> dict[str, object]:
        """`image`, `last_image`, `keyframes`, `extend` and `join` as Pipeline.generate takes them,
        in JSON's types.
        """
        found: dict[str, object] = {}
        if "image" in self._takes and self._start.path:
            found["image"] = str(self._start.path)
        if "last_image" in self._takes and self._last.path:
            found["last_image"] = str(self._last.path)
        if "keyframes" in self._takes and self._keys:
            found["keyframes"] = {str(key.frame.value()): str(key.well.path) for key in self._keys}
        for name, well in self._clips():
            if name in self._takes and well.path:
                found[name] = str(well.path)
        return found

    def set_settings(self, settings: dict) -> None:
        """What :meth:`settings` gave, or what stands in a clip: keyframes alone, the first and the
        last among them.
        """
        frames = settings.get("frames") or self._frames
        pictures = {int(frame): path for frame, path in (settings.get("keyframes") or {}).items()}
        start, last = (
            settings.get("image") or pictures.pop(0, None),
            settings.get("last_image") or pictures.pop(frames - 1, None),
        )
        self.set_frames(frames)
        clips = [(well, settings.get(name)) for name, well in self._clips()]
        for well, path in ((self._start, start), (self._last, last), *clips):
            well.clear()
            if path:
                well.set_path(Path(path))
        for key in list(self._keys):
            self._remove(key)
        for frame, path in sorted(pictures.items()):
            self._add(Path(path), frame)

    def set_start(self, path: Path) -> None:
        """Begin with this picture."""
        self._start.set_path(path)

    def set_extended(self, path: Path) -> None:
        """Go on from this clip; the picture to begin with gives way to its last frames."""
        self._start.clear()
        self._extend.set_path(path)

    def _clips(self) -> tuple[tuple[str, ClipWell], ...]:
        """The places for clips by the names of their settings, which are those of what models take."""
        return ("extend", self._extend), ("join", self._join)

    # --- keyframes --------------------------------------------------------------------------------

    def _well(self, name: str, hint: str, kind: type[PictureWell] = PictureWell) -> PictureWell:
        well = kind(name, hint)
        well.setParent(
            self
        )  # at once: the Tab key goes from child to child in the order in which they came
        well.changed.connect(self.changed)
        well.message.connect(self.message)
        return well

    def _add_new(self) -> None:
        path = self._new.path
        if path is not None:
            taken = {key.frame.value() for key in self._keys}
            middle = self._frames // 2
            self._add(
                path,
                next(
                    frame for frame in range(middle, middle + len(taken) + 1) if frame not in taken
                ),
            )
            self._new.clear()

    def _add(self, path: Path, frame: int) -> None:
        key = _Keyframe(self._well("Frame", "The picture for this frame"), frame, self._frames)
        key.well.set_path(path)
        if key.well.path is None:  # it is gone, which the well has said
            return
        key.well.changed.connect(lambda: self._remove(key) if key.well.path is None else None)
        key.frame.valueChanged.connect(self.changed)
        self._keys.append(key)
        self._arrange()
        self.changed.emit()

    def _remove(self, key: _Keyframe) -> None:
        if key in self._keys:
            self._keys.remove(key)
            self._arrange()
            key.deleteLater()
            self.changed.emit()

    def _arrange(self) -> None:
        places = [
            ("image", self._start),
            *(("keyframes", key) for key in self._keys),
            ("keyframes", self._new),
            ("last_image", self._last),
        ]
        places += self._clips()
        shown = 0
        for capability, widget in places:
            self._grid.removeWidget(widget)
            widget.setParent(self)  # one without a parent would be shown as a window
            if capability in self._takes:
                self._grid.addWidget(
                    widget, shown // _COLUMNS, shown % _COLUMNS, Qt.AlignmentFlag.AlignTop
                )
                shown += 1
            widget.setVisible(capability in self._takes)
        stops = [
            self._start,
            *(stop for key in self._keys for stop in (key.well, key.frame)),
            self._new,
            self._last,
        ]
        for before, after in pairwise(stops):  # keyframes come later than what stands behind them
            QWidget.setTabOrder(before, after)
        self.setVisible(shown > 0)


class _Keyframe(QWidget):
    """A picture and the number of its frame."""

    def __init__(self, well: PictureWell, frame: int, frames: int):
        super().__init__()
        self.well = well
        self.frame: QSpinBox = whole(
            "Frame of this picture",
            0,
            min(MAX_FRAMES, max(0, frames - 1)),
            "The frame that shows it; 0 is the first",
        )
        self.frame.setValue(frame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(well)
        layout.addWidget(self.frame)
