"""Pictures for the first frame, the last and those between, and clips before and after."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from mlxvid.gui.core.drops import is_film
from mlxvid.model.keyframes import Keyframe
from mlxvid.model.settings import SETTINGS
from mlxvid.model.strength import USUAL_STRENGTH

from .crop import CropPopup
from .fit_line import FitLine
from .keyframe import KeyframeBox, stacked, strength_field
from .setting_fields import hint
from .size import SizeBox
from .wells import ClipWell, KeyframeWell, PictureWell

_COLUMNS = 3
_MIDDLE = 0.5


class PicturesBox(QWidget):
    """Places for pictures and clips in rows of three.

    changed: one holds another file. read: what one holds was read. message: why one can't be taken.
    shape_asked: the clip is to have the first picture's shape.
    """

    changed = Signal()
    read = Signal()
    message = Signal(str)
    shape_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._start = self._well("image")
        self._last = self._well("last_image")
        self._new = KeyframeWell(SETTINGS["keyframes"].label, hint(SETTINGS["keyframes"]))
        self._connected(self._new, "keyframes")
        self._new.changed.connect(self._add_new)
        self._clips = {name: self._well(name, ClipWell) for name in ("extend", "join")}
        self._video = self._well("video", ClipWell)
        self._strength = strength_field(SETTINGS["strength"].label, hint(SETTINGS["strength"]))
        self._strength.setObjectName("strength")
        self._strength.setValue(USUAL_STRENGTH)
        self._strength.valueChanged.connect(self.changed)
        self._made_from = stacked(self._video, self._strength)
        self._video.changed.connect(self._show_strength)
        self._show_strength()
        self._keys: list[KeyframeBox] = []
        self._takes: frozenset[str] = frozenset()
        self._frames = 1
        self._playhead = 0
        self._fit = FitLine()
        self._fit.shape_asked.connect(self.shape_asked)
        self._fit.shape_asked.connect(self.changed)
        self._fit.crop_asked.connect(self.choose_crop)
        self._focus = _MIDDLE  # of what is kept of pictures that are cropped
        self._ratio = 1.0  # the clip's width to its height
        self._start.changed.connect(self._centre)
        self._grid = QGridLayout()
        self._grid.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._grid)
        layout.addWidget(self._fit)
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
        for key in self._keys:
            before = key.frame()
            key.set_frames(frames)
            if before >= frames:
                self.message.emit(
                    f"The picture of frame {before + 1} is for the last one now, {frames}."
                )

    def follow_playhead(self, frame: int) -> None:
        """Keyframes can be put at this frame of the clip in view, counted from 0."""
        self._playhead = frame
        for key in self._keys:
            key.follow_playhead(frame)

    def first_size(self) -> tuple[int, int] | None:
        """The sides of the first picture, in proportion; None where there is none, or while it is
        being read.
        """
        stills = self._stills()
        return stills[0].sides if stills else None

    @property
    def has_still(self) -> bool:
        """Whether there is a first picture, read or not."""
        return bool(self._stills())

    def _stills(self) -> list[PictureWell]:
        """The wells with pictures that are given, in the order of their frames."""
        keys = sorted(self._keys, key=KeyframeBox.frame)
        given = [("image", self._start), *((key.kind, key.well) for key in keys)]
        given.append(("last_image", self._last))
        taken = [well for name, well in given if name in self._takes]
        return [well for well in taken if well.busy or well.sides is not None]

    def show_fit(self, size_box: SizeBox) -> None:
        """Show what of the pictures a clip of this size keeps."""
        width, height = size_box.value()
        self._ratio = width / height
        self._show_crop()
        sides = self.first_size()
        wanted = size_box.of_shape(*sides) if sides else size_box.value()
        self._fit.show_fit(sides, size_box.value(), wanted)

    def conflict(self) -> str:
        """Which pictures are for the same frame, as a sentence; "" where none are."""
        taken = self._taken()
        twice = [frame for frame in taken if taken.count(frame) > 1]
        if not twice:
            return ""
        return f"Two pictures are for frame {twice[0] + 1}: give one of them another frame."

    def _taken(self) -> list[int]:
        """The frames that pictures are given for."""
        taken = [key.frame() for key in self._keys if key.kind in self._takes]
        if "image" in self._takes and self._start.path:
            taken.append(0)
        if "last_image" in self._takes and self._last.path:
            taken.append(self._frames - 1)
        return taken

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
        keys = [key for key in self._keys if key.kind in self._takes]
        if self._focus != _MIDDLE and self._stills():
            found["focus"] = self._focus
        if keys:
            found["keyframes"] = {str(key.frame()): key.value() for key in keys}
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
        self._focus = settings.get("focus", _MIDDLE)
        self._strength.setValue(settings.get("strength", USUAL_STRENGTH))
        for key in list(self._keys):
            self._remove(key)
        for frame, keyframe in sorted(pictures.items()):
            self._add(Path(keyframe.source), frame, keyframe.strength)

    def set_start(self, path: Path, thumbnail: QImage | None = None) -> None:
        """Begin with this picture."""
        self._start.set_path(path, thumbnail)

    def set_picture(self, setting: str, path: Path) -> None:
        """End with this picture (`last_image`), or have it in between (`keyframes`)."""
        (self._last if setting == "last_image" else self._new).set_path(path)

    def set_extended(self, path: Path) -> None:
        """Go on from this clip; its last frames replace the first picture."""
        self._start.clear()
        self._clips["extend"].set_path(path)

    # --- the crop ---------------------------------------------------------------------------------

    def choose_crop(self) -> None:
        """Have the part chosen that is kept, of the first picture for all of them."""
        stills = self._stills()
        if stills and not stills[0].busy:
            popup = CropPopup(stills[0].pixmap, self._ratio, self._focus, self)
            popup.moved.connect(self._crop)
            popup.show_at(self._fit.mapToGlobal(QPoint(0, self._fit.height() + 2)))

    def _crop(self, focus: float) -> None:
        self._focus = focus
        self._show_crop()
        self.changed.emit()

    def _centre(self) -> None:
        """Another first picture is kept in its middle."""
        self._focus = _MIDDLE

    def _show_crop(self) -> None:
        for well in self._stills():
            well.show_crop(self._ratio, self._focus)

    def _show_strength(self) -> None:
        self._strength.setVisible(self._video.path is not None)

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
        well.read.connect(self.read)
        well.message.connect(self.message)
        return well

    def _add_new(self) -> None:
        path = self._new.path
        if path is None:
            return
        wanted = self._playhead if 0 < self._playhead < self._frames else self._frames // 2
        free = set(range(self._frames)).difference(self._taken()) or {wanted}
        self._add(path, min(free, key=lambda frame: (abs(frame - wanted), -frame)))
        self._new.clear()

    def _add(self, path: Path, frame: int, strength: float = 1.0) -> None:
        well = KeyframeWell("Frame", "The picture for this frame")
        self._connected(well, "keyframe")
        key = KeyframeBox(well, frame, self._frames, strength)
        key.follow_playhead(self._playhead)
        # Of another model than the one that is shown a clip's settings may have clips here.
        well.set_takes_clips(True)
        key.well.set_path(path)
        if key.well.path is None:  # the file is missing, as the well's message says
            return
        key.well.changed.connect(lambda: self._remove(key) if key.well.path is None else None)
        key.set_takes(self._takes)
        key.changed.connect(self.changed)
        self._keys.append(key)
        self._arrange()
        self.changed.emit()

    def _remove(self, key: KeyframeBox) -> None:
        if key in self._keys:
            self._keys.remove(key)
            self._arrange()
            key.deleteLater()
            self.changed.emit()

    # --- places -----------------------------------------------------------------------------------

    def _arrange(self) -> None:
        places: list[tuple[str, QWidget]] = [("image", self._start)]
        places += [(key.kind, key) for key in self._keys]
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
            stops += [key.well, key.number, key.at_playhead, key.strength]
        stops += [self._new, self._last, *self._clips.values(), self._video, self._strength]
        for before, after in pairwise(stops):
            QWidget.setTabOrder(before, after)


def _plain(pictures: dict[int, Keyframe], frame: int) -> str | None:
    """The picture for a frame, taken out, where it holds fully; None for a clip and the like."""
    keyframe = pictures.get(frame)
    if keyframe is None or keyframe.strength != 1 or is_film(Path(keyframe.source)):
        return None
    return pictures.pop(frame).source
