"""Whether the first picture is cropped, and what would keep it whole."""

from __future__ import annotations

from PySide6.QtCore import Signal

from mlxvid.gui.widgets.links import LinkLabel
from mlxvid.gui.widgets.theme import set_role, small

# Proportions that differ by less are said to be the same: a clip's sides go in steps.
_NEAR = 0.04
# What the links stand for.
_CROP = "crop"
_SHAPE = "shape"


class FitLine(LinkLabel):
    """A line below the pictures; hidden where nothing is cropped.

    shape_asked: the clip is to have the picture's shape. crop_asked: another part is to be kept.
    """

    shape_asked = Signal()
    crop_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("fit_line")
        self.setAccessibleName("How the picture fits")
        set_role(self, "faint")
        small(self)
        self.linkActivated.connect(self._ask)
        self.hide()

    def show_fit(
        self, sides: tuple[int, int] | None, size: tuple[int, int], wanted: tuple[int, int]
    ) -> None:
        """Say how a picture of these sides fits into a clip of that size.

        wanted: the size that would keep it whole.
        """
        lost = 0.0
        if sides is not None:
            ratio = sides[0] / sides[1] * size[1] / size[0]
            lost = 1 - min(ratio, 1 / ratio)
        if lost < _NEAR:
            self.hide()
            return
        text = f"{round(100 * lost)} % is cut off: "
        text += f'<a href="{_CROP}">choose the part to keep</a>'
        if wanted != size:
            text += f', or <a href="{_SHAPE}">make the clip {wanted[0]}×{wanted[1]}</a>'
        self.setText(f"{text}.")
        self.setAccessibleDescription(text)
        self.show()

    def _ask(self, link: str) -> None:
        (self.crop_asked if link == _CROP else self.shape_asked).emit()
