"""The clip's shape after the first picture, as long as the user chose none."""

from __future__ import annotations

from PySide6.QtCore import QObject

from .pictures import PicturesBox
from .size import SizeBox


class PictureShape(QObject):
    """Has the sizes follow the first picture; without one they are the model's own."""

    def __init__(self, size_box: SizeBox, pictures: PicturesBox):
        super().__init__(pictures)
        self._size_box = size_box
        self._pictures = pictures
        self._is_free = True  # no shape was chosen
        self._is_held = False
        size_box.changed.connect(self._note_choice)
        pictures.changed.connect(self._follow)
        pictures.read.connect(self._follow)
        pictures.shape_asked.connect(self._take)

    def hold(self) -> None:
        """Leave sizes alone: settings are being filled in."""
        self._is_held = True

    def let_go(self) -> None:
        """Settings were filled in; a clip that has a picture already keeps its size."""
        self._is_held = False
        self._is_free = self._size_box.has_own_shape() and not self._pictures.has_still

    def _note_choice(self) -> None:
        self._is_free = False

    def _follow(self) -> None:
        sides = self._pictures.first_size()
        is_known = sides is not None or not self._pictures.has_still
        if self._is_free and not self._is_held and is_known:
            self._size_box.take_shape(sides)

    def _take(self) -> None:
        """Have the picture's shape, as was asked."""
        self._size_box.take_shape(self._pictures.first_size())
