"""What the player and the comparison share: pictures, a filmstrip and controls on one playhead."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QAction, QCloseEvent, QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from mlxvid.gui.core.frames import BUDGET
from mlxvid.gui.core.playhead import Playhead
from mlxvid.gui.core.reel import Reel
from mlxvid.gui.core.tasks import Tasks

from .canvas import Canvas
from .filmstrip import Filmstrip
from .transport import TransportBar, action


class ClipView(QWidget):
    """A canvas over a filmstrip over a row of controls, for `reels` clips that share the memory of
    one.

    Whoever derives from it shows frame `index` in show_frame(), and follows the reels.
    """

    message = Signal(str)

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
        self._go_on = False  # whether it played when it was hidden
        self.arrangement = QVBoxLayout(self)
        self.arrangement.setContentsMargins(0, 0, 0, 0)
        self.arrangement.setSpacing(0)
        self.arrangement.addWidget(canvas, 1)
        self.arrangement.addWidget(self.filmstrip)
        self.arrangement.addWidget(self.transport)
        self.setFocusProxy(canvas)
        self.addActions(self.actions_for_menu())
        canvas.clicked.connect(self.playhead.toggle)
        self.playhead.moved.connect(self.show_frame)

    def actions_for_menu(self) -> list[QAction]:
        """What the window's menu may offer for what is in view."""
        return [*self.transport.playback, self.actual]

    def show_frame(self, index: int) -> None:
        """Put the frame at this place of the playhead on the canvas."""
        raise NotImplementedError

    def clear(self, text: str) -> None:
        """Show nothing but a few words, and give the memory back."""
        for reel in self.reels:
            reel.close()
        self.playhead.pause()
        self.playhead.set_length(0, self.playhead.fps)
        self.canvas.clear(text)
        self.filmstrip.refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space plays, unless a button that has the focus took it for itself."""
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            self.playhead.toggle()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        """What nobody sees need not play."""
        self._go_on = self.playhead.playing
        self.playhead.pause()
        super().hideEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        if self._go_on:
            self.playhead.play()
        super().showEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.clear("")
        super().closeEvent(event)
