"""Pictures for the first frame, the last and those between, and clips before and after."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSpinBox, QVBoxLayout, QWidget

from mlxvid.gui.widgets.fields import whole
from mlxvid.model.geometry import MAX_FRAMES
from mlxvid.model.settings import SETTINGS

from .setting_fields import hint
from .wells import ClipWell, PictureWell

_COLUMNS = 3


class PicturesBox(QWidget):
    """Places for pictures and clips in rows of three.

    changed: one holds another file. message: why one can't be taken.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._start = self._well("image")
        self._last = self._well("last_image")
        self._new = self._well("keyframes")
        self._new.changed.connect(self._add_new)
        self._clips = {name: self._well(name, ClipWell) for name in ("extend", "join")}
        self._keys: list[_Keyframe] = []
        self._takes: frozenset[str] = frozenset()
        self._frames = 1
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        for column in range(_COLUMNS):
            self._grid.setColumnStretch(column, 1)

    def set_takes(self, takes: frozenset[str]) -> None:
        """Show what the model takes.

        What it doesn't take is kept for another model, and left out of the settings.
        """
        self._takes = takes
        self._arrange()

    def set_frames(self, frames: int) -> None:
        """Keep the keyframes within a clip of this length."""
        self._frames = frames
        for key in self._keys:
            key.frame.setMaximum(max(0, frames - 1))

    def settings(self) -> dict[str, object]:
        """`image`, `last_image`, `keyframes`, `extend` and `join`, in JSON's types."""
        found: dict[str, object] = {}
        wells = {"image": self._start, "last_image": self._last, **self._clips}
        for name, well in wells.items():
            if name in self._takes and well.path:
                found[name] = str(well.path)
        if "keyframes" in self._takes and self._keys:
            found["keyframes"] = {str(key.frame.value()): str(key.well.path) for key in self._keys}
        return found

    def set_settings(self, settings: dict[str, Any]) -> None:
        """Show what :meth:`settings` gave, or what a clip holds.

        A clip holds keyframes alone, the first picture and the last among them.
        """
        frames = settings.get("frames") or self._frames
        pictures = {int(frame): path for frame, path in (settings.get("keyframes") or {}).items()}
        self.set_frames(frames)
        self._show(self._start, settings.get("image") or pictures.pop(0, None))
        self._show(self._last, settings.get("last_image") or pictures.pop(frames - 1, None))
        for name, well in self._clips.items():
            self._show(well, settings.get(name))
        for key in list(self._keys):
            self._remove(key)
        for frame, path in sorted(pictures.items()):
            self._add(Path(path), frame)

    def set_start(self, path: Path) -> None:
        """Begin with this picture."""
        self._start.set_path(path)

    def set_extended(self, path: Path) -> None:
        """Go on from this clip; its last frames replace the first picture."""
        self._start.clear()
        self._clips["extend"].set_path(path)

    def _show(self, well: PictureWell, path: str | None) -> None:
        well.clear()
        if path:
            well.set_path(Path(path))

    # --- keyframes --------------------------------------------------------------------------------

    def _well(self, name: str, kind: type[PictureWell] = PictureWell) -> PictureWell:
        """A well for the setting `name`."""
        setting = SETTINGS[name]
        return self._connected(kind(setting.label, hint(setting)), name)

    def _connected(self, well: PictureWell, name: str) -> PictureWell:
        well.setObjectName(name)
        # With a parent at once: the Tab key goes from child to child in the order of their making.
        well.setParent(self)
        well.changed.connect(self.changed)
        well.message.connect(self.message)
        return well

    def _add_new(self) -> None:
        path = self._new.path
        if path is None:
            return
        taken = {key.frame.value() for key in self._keys}
        frame = self._frames // 2
        while frame in taken:
            frame += 1
        self._add(path, frame)
        self._new.clear()

    def _add(self, path: Path, frame: int) -> None:
        well = self._connected(PictureWell("Frame", "The picture for this frame"), "keyframe")
        key = _Keyframe(well, frame, self._frames)
        key.well.set_path(path)
        if key.well.path is None:  # the file is missing, as the well's message says
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

    # --- places -----------------------------------------------------------------------------------

    def _arrange(self) -> None:
        places: list[tuple[str, QWidget]] = [("image", self._start)]
        places += [("keyframes", key) for key in self._keys]
        places += [("keyframes", self._new), ("last_image", self._last)]
        places += self._clips.items()
        shown = 0
        for name, widget in places:
            self._grid.removeWidget(widget)
            widget.setParent(self)  # one without a parent would be shown as a window
            if name in self._takes:
                row = shown // _COLUMNS
                self._grid.addWidget(widget, row, shown % _COLUMNS, Qt.AlignmentFlag.AlignTop)
                shown += 1
            widget.setVisible(name in self._takes)
        self.setVisible(shown > 0)
        self._order_tabs()

    def _order_tabs(self) -> None:
        """Bring the keyframes, which are made last, between the first picture and the last."""
        stops: list[QWidget] = [self._start]
        for key in self._keys:
            stops += [key.well, key.frame]
        stops += [self._new, self._last]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)


class _Keyframe(QWidget):
    """A picture and the number of its frame."""

    def __init__(self, well: PictureWell, frame: int, frames: int):
        super().__init__()
        self.well = well
        last = min(MAX_FRAMES, max(0, frames - 1))
        self.frame: QSpinBox = whole(
            "Frame of this picture", 0, last, "The frame that shows it; 0 is the first"
        )
        self.frame.setObjectName("keyframe_number")
        self.frame.setValue(frame)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(well)
        layout.addWidget(self.frame)
