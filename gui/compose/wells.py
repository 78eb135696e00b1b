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
    QGuiApplication,
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
from mlxvid.gui.core.drops import check_clip, files_in, is_film, picture_in, picture_thumbnail
from mlxvid.gui.core.messages import shown
from mlxvid.gui.widgets.icons import icon, icon_side
from mlxvid.gui.widgets.theme import ON_STAGE, colours, small_font

from .crop import dim_rest, kept_part

_SIDE = 60
_ENDINGS = "*.png *.jpg *.jpeg *.heic *.heif *.webp *.avif *.bmp *.tif *.tiff *.gif"
_FILMS = "*.mp4 *.webm *.mov *.m4v *.mkv *.avi"
_FILTER = f"Pictures ({_ENDINGS});;All files (*)"


class PictureWell(QAbstractButton):
    """Holds the path of one picture, or none.

    changed: it holds another. message: why something can't be taken. kind: what it holds, in words.
    empty: the icon of a place that holds none. files: the filter of the file dialog.
    """

    changed = Signal()
    message = Signal(str)
    kind = "picture"
    empty = "image"
    files = _FILTER

    def __init__(self, name: str, hint: str):
        super().__init__()
        self._name = name
        self._hint = hint
        self._path: Path | None = None
        self._pixmap = QPixmap()
        self._over = False  # a picture is being dragged over it
        self._crop: tuple[float, float] | None = None
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.clicked.connect(self.choose)
        self._describe()

    @property
    def path(self) -> Path | None:
        return self._path

    @property
    def pixmap(self) -> QPixmap:
        """Its picture, small; a null one where it shows none."""
        return self._pixmap

    @property
    def _has_picture(self) -> bool:
        return not self._pixmap.isNull()

    def show_crop(self, ratio: float, focus: float) -> None:
        """Darken what a clip of this width to height doesn't keep (:func:`kept_part`)."""
        if self._crop != (ratio, focus):
            self._crop = (ratio, focus)
            self.update()

    @property
    def sides(self) -> tuple[int, int] | None:
        """Width and height of its picture, in proportion; None where it shows none."""
        if self._pixmap.isNull():
            return None
        return self._pixmap.width(), self._pixmap.height()

    def set_path(self, path: Path | None) -> None:
        """Show this picture, or none.

        Where it is no picture, `message` says so and nothing changes.
        """
        try:
            pixmap = self.thumbnail(path) if path else QPixmap()
        except MlxvidError as error:
            self.message.emit(shown(error))
            return
        self._path = path
        self._pixmap = pixmap
        self._describe()
        self.update()
        self.changed.emit()

    def choose(self) -> None:
        """Ask for a file."""
        folder = str(self._path.parent) if self._path else ""
        dialog = QFileDialog(self, self._name, folder, self.files)
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

    # --- Qt's events ------------------------------------------------------------------------------

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
        """Take what was dropped or pasted, or say what it is instead.

        Returns False where there was nothing to take.
        """
        try:
            path = self.given(mime)
        except MlxvidError as error:
            self.message.emit(shown(error))
            return True
        if path is not None:
            self.set_path(path)
        return path is not None

    # --- for subclasses ---------------------------------------------------------------------------

    def given(self, mime: QMimeData) -> Path | None:
        """The file that was dropped or pasted, None where there is none.

        Raises :class:`MlxvidError` for pixels that can't be kept.
        """
        return picture_in(mime)

    def thumbnail(self, path: Path) -> QPixmap:
        """A small picture of the file; a null one where there can be none.

        Raises :class:`MlxvidError` for a file that is not for this place.
        """
        return QPixmap.fromImage(picture_thumbnail(path))

    # --- painting ---------------------------------------------------------------------------------

    def _hover(self, over: bool) -> None:
        self._over = over
        self.update()

    def _describe(self) -> None:
        """Update what screen readers and the tooltip say."""
        self.setAccessibleName(self._name)
        self.setAccessibleDescription(self._path.name if self._path else "none")
        how = "Drop or paste one, or click to choose"
        self.setToolTip(f"{self._hint}\n{self._path or how}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frame = self.rect().adjusted(1, 1, -1, -1)
        self._paint_frame(painter, frame)
        painter.setFont(small_font(self.font()))
        line = painter.fontMetrics().height()
        caption = QRect(frame.left() + 4, frame.bottom() - line - 5, frame.width() - 8, line)
        if not self._has_picture:
            space = QRect(frame.topLeft(), QSize(frame.width(), caption.top() - frame.top() + 4))
            self._paint_icon(painter, space)
        else:
            self._paint_picture(painter, frame.adjusted(4, 4, -4, -(line + 8)))
        self._paint_caption(painter, caption)

    def _paint_frame(self, painter: QPainter, frame: QRect) -> None:
        look = colours(self.palette())
        edge = look.line
        if self._over or self.hasFocus():
            edge = look.accent
        elif self.underMouse():
            edge = look.faint
        is_solid = self._path is not None or self._over
        style = Qt.PenStyle.SolidLine if is_solid else Qt.PenStyle.DashLine
        painter.setPen(QPen(QColor(edge), 1, style))
        painter.setBrush(QColor(look.stage if self._has_picture else look.field))
        painter.drawRoundedRect(frame, 6, 6)

    def _paint_icon(self, painter: QPainter, space: QRect) -> None:
        side = icon_side(self.font())
        place = QRect(0, 0, side, side)
        place.moveCenter(space.center())
        role = QPalette.ColorRole.PlaceholderText
        if self._path:
            role = QPalette.ColorRole.ButtonText
        icon(self.empty, role).paint(painter, place)

    def _paint_picture(self, painter: QPainter, space: QRect) -> None:
        own = self._pixmap.deviceIndependentSize().toSize()
        size = own.scaled(space.size(), Qt.AspectRatioMode.KeepAspectRatio)
        target = QRect(space.topLeft(), size)
        target.moveCenter(space.center())
        painter.drawPixmap(target, self._pixmap)
        if self._crop is not None:
            dim_rest(painter, target, kept_part(target, *self._crop))

    def _paint_caption(self, painter: QPainter, place: QRect) -> None:
        """The file's name where it has no thumbnail, else the name of the well."""
        look = colours(self.palette())
        colour = ON_STAGE.text if self._has_picture else look.text if self._path else look.faint
        painter.setPen(QColor(colour))
        name = self._name
        if self._path and self._pixmap.isNull():
            name = self._path.name
        text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, place.width())
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)


class KeyframeWell(PictureWell):
    """A picture, or while `takes_clips` a clip."""

    takes_clips = False

    @property
    def holds_clip(self) -> bool:
        """Whether what it holds is a clip."""
        return self._path is not None and is_film(self._path)

    def set_takes_clips(self, takes: bool) -> None:
        """Take clips too, or no more of them."""
        self.takes_clips = takes
        self.files = f"Pictures and clips ({_ENDINGS} {_FILMS})" if takes else _FILTER

    def thumbnail(self, path: Path) -> QPixmap:
        if not self.takes_clips or not is_film(path):
            return super().thumbnail(path)
        check_clip(path)
        return QPixmap()


class ClipWell(PictureWell):
    """The same for a clip, shown by its name: its frames are the worker's to read."""

    kind = "clip"
    empty = "film"
    files = f"Clips ({_FILMS} *.gif);;All files (*)"

    def given(self, mime: QMimeData) -> Path | None:
        return next(iter(files_in(mime)), None)

    def thumbnail(self, path: Path) -> QPixmap:
        check_clip(path)
        return QPixmap()
