"""The app's icon, drawn from icon.svg: an .icns for macOS, a .png elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SVG = Path(__file__).with_name("icon.svg")
# Apple's name for each size in pixels; those for screens with two pixels a point have names of
# their own.
SIZES = {
    b"icp4": 16,
    b"ic11": 32,
    b"icp5": 32,
    b"ic12": 64,
    b"ic07": 128,
    b"ic13": 256,
    b"ic08": 256,
    b"ic14": 512,
    b"ic09": 512,
    b"ic10": 1024,
}


def png(side: int) -> bytes:
    """The icon in `side` x `side` pixels."""
    image = QImage(side, side, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    QSvgRenderer(str(SVG)).render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub wants bytes, Qt a str
    return bytes(buffer.data().data())


def icns() -> bytes:
    """An Apple icon: "icns" and the whole length, then each size's name, length and PNG."""
    parts = b""
    for name, side in SIZES.items():
        picture = png(side)
        parts += name + (len(picture) + 8).to_bytes(4, "big") + picture
    return b"icns" + (len(parts) + 8).to_bytes(4, "big") + parts


def main(folder: str) -> None:
    """Write both to `folder`."""
    app = QGuiApplication([])
    Path(folder, "mlxvid.icns").write_bytes(icns())
    Path(folder, "mlxvid.png").write_bytes(png(512))
    app.quit()


if __name__ == "__main__":
    main(sys.argv[1])
