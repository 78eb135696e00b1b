"""The row of controls under a clip: play, step, speed, loop and marks.

They are actions, which buttons, keys and menus share.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QActionGroup, QFont, QIcon, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QSizePolicy, QToolButton, QWidget

from mlxvid.gui.core.playhead import SPEEDS, Playhead
from mlxvid.gui.widgets.icons import icon, icon_side


class TransportBar(QWidget):
    """Controls for a playhead.

    playback: the actions, for the widget in which their keys work and for the window's menu.
    """

    def __init__(self, playhead: Playhead, marks: bool = True, parent: QWidget | None = None):
        super().__init__(parent)
        self._playhead = playhead
        self.play = action(self, "Play", "play", None, playhead.toggle, hint="Space")
        self.back = action(self, "Previous Frame", "first", "Left", partial(playhead.step, -1))
        self.forward = action(self, "Next Frame", "next", "Right", partial(playhead.step, 1))
        self.to_start = action(self, "Go to Start", None, "Home", self._to_start)
        self.to_end = action(self, "Go to End", None, "End", self._to_end)
        self.slower = action(self, "Slower", None, "[", playhead.slower)
        self.faster = action(self, "Faster", None, "]", playhead.faster)
        self.loop = action(self, "Loop", "loop", "Shift+L", None)
        self.loop.setCheckable(True)
        self.loop.setChecked(playhead.loop)
        self.loop.toggled.connect(playhead.set_loop)
        mark_in = partial(self._mark, playhead.mark_in)
        mark_out = partial(self._mark, playhead.mark_out)
        self.mark_in = action(self, "Mark In", None, "I", mark_in, label="In")
        self.mark_out = action(self, "Mark Out", None, "O", mark_out, label="Out")
        for mark in (self.mark_in, self.mark_out):  # beside the keys that play, which do too
            mark.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        self.clear_marks = action(self, "Clear Marks", "close", "X", playhead.clear_marks)
        self.playback = [
            self.play,
            self.back,
            self.forward,
            self.to_start,
            self.to_end,
            self.slower,
            self.faster,
            self.loop,
        ]
        if marks:
            self.playback += [self.mark_in, self.mark_out, self.clear_marks]

        self._place = PlaceLabel(playhead)
        self._speed = self._speed_button()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(4, 2, 4, 6)
        self._layout.setSpacing(2)
        self._play_button = button(self.play)
        for control in (button(self.back), self._play_button, button(self.forward)):
            self._layout.addWidget(control)
        self._layout.addSpacing(4)
        self._layout.addWidget(self._place)
        self._layout.addSpacing(4)
        loop = button(self.loop)
        self._layout.addWidget(self._speed)
        self._layout.addWidget(loop)
        self._spares: list[QWidget] = [loop, self._speed]  # the first goes last
        if marks:
            self._layout.addSpacing(4)
            for mark in (self.mark_in, self.mark_out):
                self._layout.addWidget(button(mark))
        self._clear_button = button(self.clear_marks)
        self._clear_button.setObjectName("clear-marks")
        policy = self._clear_button.sizePolicy()
        policy.setRetainSizeWhenHidden(marks)  # or a mark would widen the row, and push the panels
        self._clear_button.setSizePolicy(policy)
        self._layout.addWidget(self._clear_button)

        playhead.length_changed.connect(self._update_enabled)
        playhead.playing_changed.connect(self._update_play)
        playhead.marks_changed.connect(self._update_marks)
        playhead.speed_changed.connect(self._update_speed)
        playhead.loop_changed.connect(self.loop.setChecked)
        self._update_enabled()
        self._update_marks()

    def add(self, widget: QWidget, stretch: int = 0) -> None:
        """Add another control at the right end."""
        self._layout.addWidget(widget, stretch)

    def add_spare(self, widget: QWidget) -> None:
        """Add one that goes first where the row has no room for all; the menu has it too."""
        self._spares.append(widget)
        self.add(widget)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._least(), super().minimumSizeHint().height())

    def _least(self) -> int:
        """The width of the row without what can be spared."""
        shown = [spare for spare in self._spares if not spare.isHidden()]
        return self._layout.minimumSize().width() - sum(map(self._width_of, shown))

    def _width_of(self, widget: QWidget) -> int:
        own = max(widget.minimumWidth(), widget.sizeHint().width())
        return own + self._layout.spacing()

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            room = self.width() - self._least()
            for spare in self._spares:
                room -= self._width_of(spare)
                spare.setVisible(room >= 0)
        return super().event(event)

    def _speed_button(self) -> QToolButton:
        menu = QMenu(self)
        group = QActionGroup(menu)
        self._speeds: dict[float, QAction] = {}
        for speed in SPEEDS:
            entry = group.addAction(f"{speed:g}×")
            entry.setCheckable(True)
            entry.setChecked(speed == self._playhead.speed)
            entry.setData(speed)
            self._speeds[speed] = entry
        menu.addActions(group.actions())
        group.triggered.connect(self._choose_speed)
        speeds = menu_button(menu, "Speed")
        speeds.setObjectName("speed")
        speeds.setText("1×")
        # As wide as its longest text, or the row would shift when the speed changes.
        speeds.setMinimumWidth(speeds.fontMetrics().horizontalAdvance("0.25×") + 16)
        return speeds

    def _choose_speed(self, chosen: QAction) -> None:
        self._playhead.set_speed(chosen.data())

    def _mark(self, mark: Callable[[], None]) -> None:
        """Mark the frame in view; while another page is shown, none is."""
        if self.isVisible():
            mark()

    def _to_start(self) -> None:
        self._playhead.seek(self._playhead.first)

    def _to_end(self) -> None:
        self._playhead.pause()
        self._playhead.seek(self._playhead.last)

    # --- following the playhead -------------------------------------------------------------------

    def _update_enabled(self) -> None:
        for control in self.playback:
            control.setEnabled(self._playhead.count > 0)
        self._update_marks()

    def _update_play(self, playing: bool) -> None:
        self.play.setIcon(icon("pause" if playing else "play"))
        name_action(self.play, "Pause" if playing else "Play", hint="Space")
        self._play_button.setAccessibleName(self.play.text())

    def _update_marks(self) -> None:
        self.clear_marks.setEnabled(self._playhead.trimmed)
        self._clear_button.setVisible(self._playhead.trimmed)

    def _update_speed(self, speed: float) -> None:
        self._speed.setText(f"{speed:g}×".replace("-", "−"))
        for of, entry in self._speeds.items():
            entry.setChecked(of == self._playhead.speed)


class PlaceLabel(QLabel):
    """The frame, counted from 1, of how many; and its time, if there is room for it."""

    def __init__(self, playhead: Playhead, parent: QWidget | None = None):
        super().__init__(parent)
        self._playhead = playhead
        self.setAccessibleName("Position")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        digits = QFont(self.font())
        digits.setFeature(QFont.Tag("tnum"), 1)  # digits of one width, so that nothing jitters
        self.setFont(digits)
        playhead.moved.connect(self._update)
        playhead.length_changed.connect(self._measure)

    def sizeHint(self) -> QSize:
        return self._size(with_time=True)

    def minimumSizeHint(self) -> QSize:
        return self._size(with_time=False)

    def _size(self, with_time: bool) -> QSize:
        """The size of the longest text, so that nothing beside the label moves."""
        longest = self._text_at(self._playhead.count - 1, with_time)
        return QSize(self.fontMetrics().horizontalAdvance(longest) + 2, super().sizeHint().height())

    def _text_at(self, index: int, with_time: bool) -> str:
        if not self._playhead.count:
            return ""
        frame = f"{index + 1} / {self._playhead.count}"
        return f"{frame}   {clock_text(index / self._playhead.fps)}" if with_time else frame

    def _update(self) -> None:
        self.setText(self._text_at(self._playhead.index, self.width() >= self.sizeHint().width()))

    def _measure(self) -> None:
        self.updateGeometry()
        self._update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._update()


def clock_text(seconds: float) -> str:
    """A time in seconds as minutes and seconds: 0:03.38."""
    minutes, rest = divmod(round(seconds * 100), 6000)
    return f"{minutes}:{rest / 100:05.2f}"


def action(
    owner: QWidget,
    text: str,
    name: str | None,
    key: str | QKeySequence.StandardKey | None,
    slot: Callable[[], None] | None,
    hint: str = "",
    label: str = "",
) -> QAction:
    """An action whose key works inside the `owner` widget.

    name: of its icon. hint: a key that is handled elsewhere. label: the text on its button.
    """
    made = QAction(icon(name) if name else QIcon(), text, owner)
    made.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    if key is not None:
        made.setShortcut(QKeySequence(key))
    if label:
        made.setIconText(label)
    if slot is not None:
        made.triggered.connect(lambda: slot())
    name_action(made, text, hint)
    return made


def name_action(made: QAction, text: str, hint: str = "") -> None:
    """Set the action's name, and a tooltip with its key."""
    key = hint or made.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    made.setText(text)
    made.setToolTip(f"{text} ({key})" if key else text)


def button(of: QAction) -> QToolButton:
    """A flat button for an action, with its icon or else its short label.

    A click leaves the focus where it is; the Tab key reaches the button.
    """
    made = QToolButton()
    made.setDefaultAction(of)
    made.setAutoRaise(True)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    # A text button is as high as one with an icon.
    made.setMinimumHeight(icon_side(made.font()) + 13)
    style = Qt.ToolButtonStyle
    text_only = of.icon().isNull()
    made.setToolButtonStyle(style.ToolButtonTextOnly if text_only else style.ToolButtonIconOnly)
    made.setAccessibleName(of.text())
    return made


def menu_button(menu: QMenu, name: str, picture: QIcon | None = None) -> QToolButton:
    """A flat button that opens a menu."""
    made = QToolButton()
    made.setMenu(menu)
    made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    made.setIcon(picture or QIcon())
    made.setAutoRaise(True)
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.setAccessibleName(name)
    made.setToolTip(name)
    return made
