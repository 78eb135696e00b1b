"""Whether the first picture is cropped, and what would keep it whole."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel

from mlxvid.gui.widgets.theme import set_role, small

# Proportions that differ by less are said to be the same: a clip's sides go in steps.
_NEAR = 0.04


class FitLine(QLabel):
    """A line below the pictures; hidden where nothing is cropped.

    asked: the clip is to have the picture's shape.
    """

    asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("fit_line")
        self.setAccessibleName("How the picture fits")
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.LinksAccessibleByMouse
            | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
        )
        set_role(self, "faint")
        small(self)
        self.linkActivated.connect(self.asked)
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
        text = f"{round(100 * lost)} % is cut off."
        if wanted != size:
            text += f' <a href="shape">Make the clip {wanted[0]}×{wanted[1]}</a>'
        self.setText(text)
        self.setAccessibleDescription(text)
        self.show()
