"""The app's icons: outlines on a grid of 24, in the colour of the text beside them."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontInfo, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

_DOT = '<circle cx="{}" cy="{}" r="1.3" fill="currentColor" stroke="none"/>'
_SHAPES = {
    "add": '<path d="M12 5v14M5 12h14"/>',
    "beside": (
        '<rect x="3.5" y="7" width="7.5" height="10" rx="1"/>'
        '<rect x="13" y="7" width="7.5" height="10" rx="1"/>'
    ),
    "cancel": '<rect x="7" y="7" width="10" height="10" rx="1.5"/>',
    "check": '<path d="M6 12.5l4 4 8-9"/>',
    "clock": '<circle cx="12" cy="12" r="7.5"/><path d="M12 8v4.2l3 1.8"/>',
    "close": '<path d="M7 7l10 10M17 7L7 17"/>',
    "compare": '<rect x="4" y="6" width="16" height="12" rx="1.5"/><path d="M12 3v18"/>',
    "copy": '<rect x="8" y="8" width="11" height="11" rx="2"/><path d="M15 5H7a2 2 0 0 0-2 2v8"/>',
    "dice": '<rect x="5" y="5" width="14" height="14" rx="3"/>'
    + "".join(_DOT.format(x, y) for x, y in ((9, 9), (15, 15), (12, 12))),
    "down": '<path d="M7 10l5 5 5-5"/>',
    "edit": '<path d="M5 19l1-4L16 5l3 3L9 18z"/><path d="M14 7l3 3"/>',
    "export": (
        '<path d="M12 15V4M8 8l4-4 4 4"/><path d="M5 14v4a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-4"/>'
    ),
    "film": (
        '<rect x="4" y="5" width="16" height="14" rx="2"/>'
        '<path d="M8 5v14M16 5v14M4 12h16M4 8.5h4M4 15.5h4M16 8.5h4M16 15.5h4"/>'
    ),
    "first": '<path d="M7 6v12M18 6l-8 6 8 6z"/>',
    "folder": (
        '<path d="M4 7a2 2 0 0 1 2-2h4l2 2.5h6a2 2 0 0 1 2 2V17a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2z"/>'
    ),
    "image": (
        '<rect x="4" y="5" width="16" height="14" rx="2"/><circle cx="9" cy="10" r="1.5"/>'
        '<path d="M5 17l5-5 4 4 2-2 3 3"/>'
    ),
    "info": '<circle cx="12" cy="12" r="8"/><path d="M12 11v5"/>' + _DOT.format(12, 8),
    "history": '<circle cx="12" cy="12" r="7.5"/><path d="M12 7.5V12l3 2"/>',
    "last": '<path d="M17 6v12M6 6l8 6-8 6z"/>',
    "lock": (
        '<rect x="6" y="11" width="12" height="8" rx="1.5"/>'
        '<path d="M8.5 11V8a3.5 3.5 0 0 1 7 0v3"/>'
    ),
    "loop": (
        '<path d="M17 3l3 3-3 3"/><path d="M20 6H8a4 4 0 0 0-4 4v1M7 21l-3-3 3-3"/>'
        '<path d="M4 18h12a4 4 0 0 0 4-4v-1"/>'
    ),
    "next": '<path d="M6 6l9 6-9 6zM18 6v12"/>',
    "pause": '<path d="M9 6v12M15 6v12"/>',
    "play": '<path d="M8 5.5l11 6.5-11 6.5z"/>',
    "resume": '<path d="M19 12a7 7 0 1 1-2.1-5"/><path d="M19 4v4h-4"/>',
    "playhead": '<path d="M8 5h8v4l-4 4-4-4z"/><path d="M12 13v7"/>',
    "right": '<path d="M10 7l5 5-5 5"/>',
    "search": '<circle cx="11" cy="11" r="5.5"/><path d="M15.2 15.2L20 20"/>',
    "sliders": (
        '<path d="M4 8h9M17 8h3M4 16h3M11 16h9"/><circle cx="15" cy="8" r="2"/>'
        '<circle cx="9" cy="16" r="2"/>'
    ),
    "star": '<path d="M12 4.5l2.3 4.8 5.2.7-3.8 3.6.9 5.2-4.6-2.5-4.6 2.5.9-5.2L4.5 10l5.2-.7z"/>',
    "swap": '<path d="M5 8h14M16 5l3 3-3 3M19 16H5M8 13l-3 3 3 3"/>',
    "trash": '<path d="M5 7h14M10 7V5h4v2M7 7l.8 12h8.4L17 7M10.5 10.5v5M13.5 10.5v5"/>',
    "up": '<path d="M7 14l5-5 5 5"/>',
    "unlock": (
        '<rect x="6" y="11" width="12" height="8" rx="1.5"/>'
        '<path d="M8.5 11V8a3.5 3.5 0 0 1 6.7-1.5"/>'
    ),
    "warning": '<path d="M12 4.5L20.5 19h-17zM12 10v4"/>' + _DOT.format(12, 16.4),
}
_SHAPES["star-filled"] = _SHAPES["star"].replace("<path", '<path fill="currentColor"')
_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" '
    'stroke="{colour}" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">'
    "{shape}</svg>"
)

NAMES = tuple(sorted(_SHAPES))


def icon(name: str, role: QPalette.ColorRole = QPalette.ColorRole.ButtonText) -> QIcon:
    """The icon of that name, one of :data:`NAMES`.

    Whenever it is painted, it takes the palette's colour for `role`.
    """
    return QIcon(_Outline(_SHAPES[name], role))


def icon_side(font: QFont) -> int:
    """The side of an icon beside text of this font, in pixels."""
    return round(1.4 * QFontInfo(font).pixelSize())


class _Outline(QIconEngine):
    """Draws an outline in the palette's colour at that moment.

    So a change of theme needs no new icons.
    """

    def __init__(self, shape: str, role: QPalette.ColorRole):
        super().__init__()
        self._shape = shape
        self._role = role

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        group = (
            QPalette.ColorGroup.Disabled
            if mode == QIcon.Mode.Disabled
            else QPalette.ColorGroup.Active
        )
        colour = QApplication.palette().color(group, self._role)
        text = _FRAME.format(
            colour=colour.name(), shape=self._shape.replace("currentColor", colour.name())
        )
        painter.save()
        painter.setOpacity(painter.opacity() * colour.alphaF())
        QSvgRenderer(QByteArray(text.encode())).render(painter, QRectF(rect))
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _Outline(self._shape, self._role)
