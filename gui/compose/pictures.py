"""Pictures for the first frame, the last and those between, and clips before and after."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QSpinBox, QVBoxLayout, QWidget

from mlxvid.gui.core.drops import is_film
from mlxvid.gui.widgets.fields import decimal, whole
from mlxvid.model.geometry import MAX_FRAMES
from mlxvid.model.keyframes import Keyframe
from mlxvid.model.settings import SETTINGS
from mlxvid.model.strength import USUAL_STRENGTH

from .setting_fields import hint
from .wells import ClipWell, KeyframeWell, PictureWell

_COLUMNS = 3
_STEP = 0.05


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
        self._new = KeyframeWell(SETTINGS["keyframes"].label, hint(SETTINGS["keyframes"]))
        self._connected(self._new, "keyframes")
        self._new.changed.connect(self._add_new)
        self._clips = {name: self._well(name, ClipWell) for name in ("extend", "join")}
        self._video = self._well("video", ClipWell)
        self._strength = _strength(SETTINGS["strength"].label, hint(SETTINGS["strength"]))
        self._strength.setObjectName("strength")
        self._strength.setValue(USUAL_STRENGTH)
        self._strength.valueChanged.connect(self.changed)
        self._made_from = _stacked(self._video, self._strength)
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
        self._new.set_takes_clips("keyframe_clips" in takes)
        for key in self._keys:
            key.set_takes(takes)
        self._arrange()

    def set_frames(self, frames: int) -> None:
        """Keep the keyframes within a clip of this length, and say which ones move."""
        self._frames = frames
        last = max(0, frames - 1)
        for key in self._keys:
            before = key.frame.value()
            key.frame.setMaximum(last)
            if before > last:
                self.message.emit(f"The picture of frame {before} is for the last one now, {last}.")

    def conflict(self) -> str:
        """Which pictures are for the same frame, as a sentence; "" where none are."""
        taken = [key.frame.value() for key in self._keys if _kind(key) in self._takes]
        if "image" in self._takes and self._start.path:
            taken.append(0)
        if "last_image" in self._takes and self._last.path:
            taken.append(self._frames - 1)
        twice = [frame for frame in taken if taken.count(frame) > 1]
        if not twice:
            return ""
        return f"Two pictures are for frame {twice[0]}: give one of them another frame."

    def settings(self) -> dict[str, object]:
        """Those of pictures and clips, and `strength` with a `video`, in JSON's types."""
        found: dict[str, object] = {}
        wells = {"image": self._start, "last_image": self._last, **self._clips}
        wells["video"] = self._video
        for name, well in wells.items():
            if name in self._takes and well.path:
                found[name] = str(well.path)
        if "video" in found:
            found["strength"] = round(self._strength.value(), 2)
        keys = [key for key in self._keys if _kind(key) in self._takes]
        if keys:
            found["keyframes"] = {str(key.frame.value()): key.value() for key in keys}
        return found

    def set_settings(self, settings: dict[str, Any]) -> None:
        """Show what :meth:`settings` gave, or what a clip holds.

        A clip holds keyframes alone, the first picture and the last among them.
        """
        frames = settings.get("frames") or self._frames
        given = settings.get("keyframes") or {}
        pictures = {int(frame): Keyframe.of(value, frame) for frame, value in given.items()}
        self.set_frames(frames)
        self._show(self._start, settings.get("image") or _plain(pictures, 0))
        self._show(self._last, settings.get("last_image") or _plain(pictures, frames - 1))
        for name, well in self._clips.items():
            self._show(well, settings.get(name))
        self._show(self._video, settings.get("video"))
        self._strength.setValue(settings.get("strength", USUAL_STRENGTH))
        for key in list(self._keys):
            self._remove(key)
        for frame, keyframe in sorted(pictures.items()):
            self._add(Path(keyframe.source), frame, keyframe.strength)

    def set_start(self, path: Path) -> None:
        """Begin with this picture."""
        self._start.set_path(path)

    def set_picture(self, setting: str, path: Path) -> None:
        """End with this picture (`last_image`), or have it in between (`keyframes`)."""
        (self._last if setting == "last_image" else self._new).set_path(path)

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

    def _add(self, path: Path, frame: int, strength: float = 1.0) -> None:
        well = KeyframeWell("Frame", "The picture for this frame")
        self._connected(well, "keyframe")
        key = _Keyframe(well, frame, self._frames, strength)
        # Of another model than the one that is shown a clip's settings may have clips here.
        well.set_takes_clips(True)
        key.well.set_path(path)
        if key.well.path is None:  # the file is missing, as the well's message says
            return
        key.well.changed.connect(lambda: self._remove(key) if key.well.path is None else None)
        key.set_takes(self._takes)
        key.frame.valueChanged.connect(self.changed)
        key.strength.valueChanged.connect(self.changed)
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
        places += [(_kind(key), key) for key in self._keys]
        places += [("keyframes", self._new), ("last_image", self._last)]
        places += [*self._clips.items(), ("video", self._made_from)]
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
            stops += [key.well, key.frame, key.strength]
        stops += [self._new, self._last, *self._clips.values(), self._video, self._strength]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)


def _plain(pictures: dict[int, Keyframe], frame: int) -> str | None:
    """The picture for a frame, taken out, where it holds fully; None for a clip and the like."""
    keyframe = pictures.get(frame)
    if keyframe is None or keyframe.strength != 1 or is_film(Path(keyframe.source)):
        return None
    return pictures.pop(frame).source


def _kind(key: _Keyframe) -> str:
    """What a model has to take for a keyframe."""
    return "keyframe_clips" if key.well.holds_clip else "keyframes"


def _strength(name: str, what: str) -> QDoubleSpinBox:
    """A field for a strength."""
    return decimal(name, 0, 1, 2, _STEP, what)


def _stacked(*widgets: QWidget) -> QWidget:
    """A widget with others below each other."""
    box = QWidget()
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    for widget in widgets:
        layout.addWidget(widget)
    return box


class _Keyframe(QWidget):
    """A picture or a clip, the number of its frame, and how strongly it holds."""

    def __init__(self, well: KeyframeWell, frame: int, frames: int, strength: float):
        super().__init__()
        self.well = well
        last = min(MAX_FRAMES, max(0, frames - 1))
        self.frame: QSpinBox = whole(
            "Frame of this picture", 0, last, "The frame that shows it; 0 is the first"
        )
        self.frame.setObjectName("keyframe_number")
        self.frame.setValue(frame)
        self.strength = _strength("Strength of this picture", "How strongly it holds; 1 keeps it")
        self.strength.setObjectName("keyframe_strength")
        self.strength.setValue(strength)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(well)
        layout.addWidget(self.frame)
        layout.addWidget(self.strength)

    def set_takes(self, takes: frozenset[str]) -> None:
        """Show what the model takes."""
        self.well.set_takes_clips("keyframe_clips" in takes)
        self.strength.setVisible("keyframe_strength" in takes)

    def value(self) -> str | list[Any]:
        """What the settings have of it; its strength where the model takes one."""
        strength = 1.0 if self.strength.isHidden() else round(self.strength.value(), 2)
        return Keyframe(str(self.well.path), strength).as_json()
