"""What the player and the comparison share: canvas, filmstrip and controls on one playhead."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction, QCloseEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from mlxvid.gui.core.frames import BUDGET
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.core.tasks import Tasks

from .canvas import Canvas
from .filmstrip import Filmstrip
from .transport import TransportBar, action, button

# The longest text of the button that says the zoom.
_WIDEST = "888 %"


class ClipView(QWidget):
    """A canvas over a filmstrip over a row of controls; `beside` holds what stands beside it.

    reels: how many clips share the memory budget of one. Subclasses implement show_frame(), and
    follow the reels.
    """

    message = Signal(str)
    warning = Signal(str)

    def __init__(
        self, canvas: Canvas, reels: int = 1, marks: bool = True, parent: QWidget | None = None
    ):
        super().__init__(parent)
        self._tasks = Tasks(2, self)
        self.reels = [Reel(self._tasks, BUDGET // reels, self) for _ in range(reels)]
        self.playhead = Playhead(parent=self)
        self.canvas = canvas
        self.filmstrip = Filmstrip(self.playhead, self.reels, marks)
        self.transport = TransportBar(self.playhead, marks)
        self.actual = action(self, "Actual Size", None, "Z", None, label="1:1")
        self.actual.setCheckable(True)
        self.actual.toggled.connect(canvas.set_actual)
        canvas.zoomed.connect(self._show_zoom)
        self._play_when_shown = False  # it was playing when it was hidden
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(0)
        self.beside = QHBoxLayout()
        self.beside.setSpacing(1)
        self.beside.addWidget(canvas, 1)
        self.column.addLayout(self.beside, 1)
        self.column.addWidget(self.filmstrip)
        self.column.addWidget(self.transport)
        self.setFocusProxy(canvas)
        self.addActions([*self.transport.playback, self.actual])
        canvas.clicked.connect(self.playhead.toggle)
        self.playhead.moved.connect(self.show_frame)

    def actions_for_menu(self) -> list[QAction]:
        """The actions on the clip in view, for the window's menu."""
        return [*self.transport.playback, self.actual]

    def zoom_button(self) -> QToolButton:
        """A button that goes to actual size and back, and says how large the clip is shown."""
        made = button(self.actual)
        made.setObjectName("zoom")
        # As wide as its longest text, or the row would shift when the window is resized.
        made.setMinimumWidth(made.fontMetrics().horizontalAdvance(_WIDEST) + 24)
        return made

    def _show_zoom(self) -> None:
        zoom = self.canvas.zoom
        percent = round(100 * zoom)
        text = f"{percent} %" if percent < 1000 else f"{zoom:.0f}×"
        self.actual.setIconText(text if zoom else "1:1")

    def show_frame(self, index: int) -> None:
        """Put the frame at `index` of the playhead on the canvas."""
        raise NotImplementedError

    def clear(self, text: str) -> None:
        """Show nothing but a few words, and free the memory."""
        for reel in self.reels:
            reel.close()
        self.playhead.pause()
        self.playhead.set_length(0, self.playhead.fps)
        self.canvas.clear(text)
        self.filmstrip.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        """Pause, since nobody sees it."""
        self._play_when_shown = self.playhead.playing
        self.playhead.pause()
        super().hideEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        if self._play_when_shown:
            self.playhead.play()
        super().showEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.clear("")
        super().closeEvent(event)
