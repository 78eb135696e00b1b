"""A place for a picture or a clip: drop one on it, paste one, or click to choose a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QMimeData, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QFont,
    QGuiApplication,
    QImageReader,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QMenu, QSizePolicy

from mlxvid.errors import MlxvidError
from mlxvid.gui.core.drops import check_clip, check_picture, files_in, picture_in
from mlxvid.gui.core.messages import shown
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import colours

_SIDE = 60
_FILTER = "Pictures (*.png *.jpg *.jpeg *.webp *.bmp *.tif *.tiff *.gif);;All files (*)"


class PictureWell(QAbstractButton):
    """Holds the path of one picture, or none. `changed` when it does; `message`: why something
    can't be taken.

    kind: what it holds, in words; empty: the icon of a place that holds none; files: what a dialog
    offers.
    """

    changed = Signal()
    message = Signal(str)
    kind, empty, files = "picture", "image", _FILTER

    def __init__(self, name: str, hint: str):
        super().__init__()
        self._name, self._hint = name, hint
        self._path: Path | None = None
        self._pixmap = QPixmap()
        self._over = False  # a picture is being dragged over it
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.clicked.connect(self.choose)
        self._tell()

    @property
    def path(self) -> Path | None:
        return self._path

    def set_path(self, path: Path | None) -> None:
        """Show this picture, or none. Where it is no picture, `message` says so and all stays as it
        was.
        """
        if path is not None:
            try:
                self.check(path)
            except MlxvidError as error:
                self.message.emit(shown(error))
                return
        self._path = path
        self._pixmap = self.thumbnail(path) if path else QPixmap()
        self._tell()
        self.update()
        self.changed.emit()

    def choose(self) -> None:
        """Ask for a file."""
        dialog = QFileDialog(
            self,
            f"{self._name} {self.kind.title()}",
            str(self._path.parent if self._path else ""),
            self.files,
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda chosen: self.set_path(Path(chosen)))
        dialog.open()

    def paste(self) -> None:
        """Take the picture on the clipboard."""
        if not self._receive(QGuiApplication.clipboard().mimeData()):
            self.message.emit(f"There is no {self.kind} to paste: copy one first.")

    def clear(self) -> None:
        """No picture."""
        if self._path is not None:
            self.set_path(None)

    # --- what Qt asks and tells -------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(_SIDE, _SIDE + self.fontMetrics().height() // 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(_SIDE // 2, self.sizeHint().height())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Paste):
            self.paste()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.clear()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.click()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction("Choose…", self.choose)
        menu.addAction("Paste", self.paste)
        menu.addAction("Remove", self.clear).setEnabled(self._path is not None)
        menu.popup(event.globalPos())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls() or event.mimeData().hasImage():
            self._hover(True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._hover(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self._hover(False)
        event.acceptProposedAction()
        self._receive(event.mimeData())

    def _receive(self, mime: QMimeData) -> bool:
        """Take what was dropped or pasted, or say what it is instead; False where there was nothing
        to take.
        """
        try:
            path = self.given(mime)
        except MlxvidError as error:
            self.message.emit(shown(error))
            return True
        if path is not None:
            self.set_path(path)
        return path is not None

    # --- what a place for something else does in another way --------------------------------------

    def check(self, path: Path) -> None:
        """Raise :class:`MlxvidError` for a file that is not for this place."""
        check_picture(path)

    def given(self, mime: QMimeData) -> Path | None:
        """The file that was dropped or pasted, None where there is none; raises
        :class:`MlxvidError` as :meth:`check` does.
        """
        return picture_in(mime)

    def thumbnail(self, path: Path) -> QPixmap:
        """A small picture of the file; a null one where there can be none."""
        return _thumbnail(path)

    # --- how it looks -----------------------------------------------------------------------------

    def _hover(self, over: bool) -> None:
        self._over = over
        self.update()

    def _tell(self) -> None:
        """Say to screen readers and in the tooltip what is here."""
        self.setAccessibleName(f"{self._name} {self.kind}")
        self.setAccessibleDescription(self._path.name if self._path else "none")
        self.setToolTip(
            f"{self._hint}\n{self._path}"
            if self._path
            else f"{self._hint}: drop or paste one, or click to choose"
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        c = colours(self.palette())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = self.rect().adjusted(1, 1, -1, -1)
        edge = (
            c.accent if self._over or self.hasFocus() else c.faint if self.underMouse() else c.line
        )
        solid = self._path is not None or self._over
        painter.setPen(
            QPen(QColor(edge), 1, Qt.PenStyle.SolidLine if solid else Qt.PenStyle.DashLine)
        )
        painter.setBrush(QColor(c.field if self._path is None else c.stage))
        painter.drawRoundedRect(frame, 6, 6)
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.9)
        painter.setFont(font)
        line = painter.fontMetrics().height()
        caption = QRect(frame.left() + 4, frame.bottom() - line - 5, frame.width() - 8, line)
        if self._pixmap.isNull():
            side = 20
            space = QRect(0, 0, side, side)
            space.moveCenter(
                QRect(
                    frame.left(), frame.top(), frame.width(), caption.top() - frame.top() + 4
                ).center()
            )
            icon(
                self.empty,
                QPalette.ColorRole.ButtonText if self._path else QPalette.ColorRole.PlaceholderText,
            ).paint(painter, space)
        else:
            space = frame.adjusted(4, 4, -4, -(line + 8))
            size = (
                self._pixmap.deviceIndependentSize()
                .toSize()
                .scaled(space.size(), Qt.AspectRatioMode.KeepAspectRatio)
            )
            target = QRect(space.topLeft(), size)
            target.moveCenter(space.center())
            painter.drawPixmap(target, self._pixmap)
        painter.setPen(QColor(c.text if self._path else c.faint))
        name = (
            self._path.name if self._path and self._pixmap.isNull() else self._name
        )  # of what can't be seen, at least the name
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, caption.width())
        painter.drawText(caption, Qt.AlignmentFlag.AlignCenter, text)


class ClipWell(PictureWell):
    """The same for a clip that the new one goes on from, or leads to. Its frames are the worker's
    to read, so that its name stands here.
    """

    kind, empty = "clip", "film"
    files = "Clips (*.mp4 *.webm *.mov *.m4v *.mkv *.avi *.gif);;All files (*)"

    def check(self, path: Path) -> None:
        check_clip(path)

    def given(self, mime: QMimeData) -> Path | None:
        return next(iter(files_in(mime)), None)

    def thumbnail(self, path: Path) -> QPixmap:
        return QPixmap()


def _thumbnail(path: Path) -> QPixmap:
    """A small pixmap; null for formats that Qt doesn't know (the worker may still read them)."""
    reader = QImageReader(str(path))
    reader.setDecideFormatFromContent(True)
    reader.setAutoTransform(True)
    size = reader.size()
    if size.isValid():
        reader.setScaledSize(
            size.scaled(QSize(3 * _SIDE, 3 * _SIDE), Qt.AspectRatioMode.KeepAspectRatio)
        )
    return QPixmap.fromImage(reader.read())
