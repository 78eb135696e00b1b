"""A place for a picture or a clip: drop one on it, paste one, or click to choose a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from PySide6.QtCore import QMimeData, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
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
from mlxvid.gui.core.drops import (
    check_clip,
    check_no_film,
    files_in,
    is_film,
    keep_picture,
    picture_thumbnail,
    pixels_in,
)
from mlxvid.gui.core.messages import shown
from mlxvid.gui.core.tasks import Task, Tasks
from mlxvid.gui.widgets.icons import icon, icon_side
from mlxvid.gui.widgets.theme import ON_STAGE, colours, small_font

from .crop import dim_rest, kept_part

_SIDE = 60
_ENDINGS = "*.png *.jpg *.jpeg *.heic *.heif *.webp *.avif *.bmp *.tif *.tiff *.gif"
_FILMS = "*.mp4 *.webm *.mov *.m4v *.mkv *.avi"
_FILTER = f"Pictures ({_ENDINGS});;All files (*)"
# How much of the picture before is seen while another one is read.
_FADED = 0.35


@cache
def _readers() -> Tasks:
    """What reads the pictures of all wells."""
    return Tasks(2)


class PictureWell(QAbstractButton):
    """Holds the path of one picture, or none.

    A picture is read out of the window's thread, and the last one that was given stays. changed: it
    holds another. read: its picture can be seen now, or never. message: why something can't be
    taken. kind: what it holds, in words. empty: the icon of a place that holds none. files: the
    filter of the file dialog.
    """

    changed = Signal()
    read = Signal()
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
        self._task: Task | None = None  # which reads what was given last
        self._before: Path | None = None  # what its picture, still shown, is of
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
    def busy(self) -> bool:
        """Whether its picture is still being read."""
        return self._task is not None

    @property
    def pixmap(self) -> QPixmap:
        """Its picture, small; a null one where it shows none."""
        return QPixmap() if self.busy else self._pixmap

    @property
    def sides(self) -> tuple[int, int] | None:
        """Width and height of its picture, in proportion; None where it shows none."""
        pixmap = self.pixmap
        return None if pixmap.isNull() else (pixmap.width(), pixmap.height())

    def show_crop(self, ratio: float, focus: float) -> None:
        """Darken what a clip of this width to height doesn't keep (:func:`kept_part`)."""
        if self._crop != (ratio, focus):
            self._crop = (ratio, focus)
            self.update()

    def set_path(self, path: Path | None, thumbnail: QImage | None = None) -> None:
        """Hold this picture, or none. thumbnail: what is seen of it, where it was read already.

        Where it is no picture, `message` says so and what was there before stays, or comes back
        once that shows.
        """
        try:
            has_picture = path is not None and self.check(path)
        except MlxvidError as error:
            self.message.emit(shown(error))
            return
        if path is not None and has_picture and thumbnail is None:
            self._begin(lambda task: (path, picture_thumbnail(path)), path)
            return
        self._stop()
        self._pixmap = QPixmap() if thumbnail is None else QPixmap.fromImage(thumbnail)
        self._hold(path)

    def _hold(self, path: Path | None) -> None:
        self._path = path
        self._describe()
        self.update()
        self.changed.emit()

    # --- reading ----------------------------------------------------------------------------------

    def _begin(self, work: Callable[[Task], tuple[Path, QImage]], path: Path | None) -> None:
        """Read a picture; `path` where it is known already."""
        if not self.busy:
            self._before = self._path
        self._stop()
        self._task = _readers().run(work, done=self._show, failed=self._refuse)
        self._hold(path or self._before)

    def _stop(self) -> None:
        """Forget what is being read."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _show(self, task: Task, found: tuple[Path, QImage]) -> None:
        if task is not self._task:
            return
        path, image = found
        self._task = None
        self._pixmap = QPixmap.fromImage(image)
        if path == self._path:
            self._describe()
            self.update()
        else:
            self._hold(path)
        self.read.emit()

    def _refuse(self, task: Task, message: str) -> None:
        if task is self._task:
            self._task = None
            self._hold(self._before)
            self.message.emit(message)
            self.read.emit()

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
        """Take the first file that was dropped or pasted, or else the pixels.

        Returns False where there was nothing to take.
        """
        files = files_in(mime)
        if files:
            self.set_path(files[0])
            return True
        image = pixels_in(mime) if self.kind == "picture" else None
        if image is None:
            return False
        self._begin(lambda task: _kept(image), None)
        return True

    # --- for subclasses ---------------------------------------------------------------------------

    def check(self, path: Path) -> bool:
        """Whether there is a picture to be read of a file.

        Raises :class:`MlxvidError` for a file that is not for this place, as far as that shows at
        once.
        """
        check_no_film(path)
        return True

    # --- painting ---------------------------------------------------------------------------------

    def _hover(self, over: bool) -> None:
        self._over = over
        self.update()

    def _describe(self) -> None:
        """Update what screen readers and the tooltip say."""
        self.setAccessibleName(self._name)
        name = self._path.name if self._path else "none"
        self.setAccessibleDescription(f"reading {name}" if self.busy else name)
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
        if self._pixmap.isNull():
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
        painter.setBrush(QColor(look.field if self._pixmap.isNull() else look.stage))
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
        painter.setOpacity(_FADED if self.busy else 1)
        painter.drawPixmap(target, self._pixmap)
        painter.setOpacity(1)
        if self._crop is not None and not self.busy:
            dim_rest(painter, target, kept_part(target, *self._crop))

    def _paint_caption(self, painter: QPainter, place: QRect) -> None:
        """The file's name where it has no picture, else the name of the well."""
        look = colours(self.palette())
        colour = look.text if self._path else look.faint
        if not self._pixmap.isNull():
            colour = ON_STAGE.text
        painter.setPen(QColor(colour))
        name = self._name
        if self.busy:
            name = "Reading…"
        elif self._path and self._pixmap.isNull():
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

    def check(self, path: Path) -> bool:
        if not self.takes_clips or not is_film(path):
            return super().check(path)
        check_clip(path)
        return False


class ClipWell(PictureWell):
    """The same for a clip, shown by its name: its frames are the worker's to read."""

    kind = "clip"
    empty = "film"
    files = f"Clips ({_FILMS} *.gif);;All files (*)"

    def check(self, path: Path) -> bool:
        check_clip(path)
        return False


def _kept(image: QImage) -> tuple[Path, QImage]:
    """Pasted pixels as a file, and what is shown of it."""
    path = keep_picture(image)
    return path, picture_thumbnail(path)
