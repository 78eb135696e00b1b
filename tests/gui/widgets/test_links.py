"""Links have the colour of the appearance."""

from __future__ import annotations

from PySide6.QtGui import QColor

from mlxvid.gui.widgets.links import LinkLabel
from mlxvid.gui.widgets.theme import DARK, LIGHT, apply_theme


def has_colour(label: LinkLabel, name: str) -> bool:
    """Whether any of its pixels has a colour."""
    image = label.grab().toImage()
    wanted = QColor(name).rgb()
    across = range(image.width())
    return any(image.pixel(x, y) == wanted for x in across for y in range(image.height()))


def test_links_follow_the_appearance(qapp, qtbot, themed):
    label = LinkLabel()
    qtbot.addWidget(label)
    label.setText('<a href="x">choose the part to keep</a>')
    label.show()
    assert has_colour(label, DARK.link)
    try:
        for dark, look in ((False, LIGHT), (True, DARK)):
            apply_theme(qapp, dark)
            assert has_colour(label, look.link), look
    finally:
        apply_theme(qapp, dark=True)
    assert "choose the part" in label.text()
