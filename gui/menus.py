"""The menus: everything that the window can do, with the platform's shortcuts.

On a Mac, Qt moves them to the top of the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QMetaObject, QObject, Qt, QUrl, Signal
from PySide6.QtGui import QAction, QActionGroup, QDesktopServices, QKeySequence, QUndoStack
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QTabWidget, QWidget

from mlxvid.gui.compose.panel import ComposePanel
from mlxvid.gui.core.preferences import Appearance, Preferences
from mlxvid.gui.core.runner import Runner
from mlxvid.gui.dialogs.general_page import APPEARANCES
from mlxvid.gui.gallery.panel import GalleryPanel
from mlxvid.gui.player.stage import Stage
from mlxvid.gui.queue.panel import QueuePanel
from mlxvid.gui.widgets.actions import add_action

from .undo import UndoActions

Key = QKeySequence.StandardKey


@dataclass(frozen=True)
class Panels:
    """The parts of a window whose actions are in its menus; `side` holds the last two."""

    compose: ComposePanel
    stage: Stage
    gallery: GalleryPanel
    queue: QueuePanel
    side: QTabWidget


class Menus(QObject):
    """The menu bar of one window; `help` and `window_menu` are there for other parts to add to.

    The window handles open_chosen, paste_chosen, back_chosen (from the comparison to the clip) and
    side_chosen (the panel to bring to the front), settings_chosen. message: a sentence for the
    user.
    """

    open_chosen = Signal()
    paste_chosen = Signal()
    back_chosen = Signal()
    side_chosen = Signal(QWidget)
    settings_chosen = Signal()
    message = Signal(str)

    def __init__(
        self,
        window: QMainWindow,
        panels: Panels,
        runner: Runner,
        preferences: Preferences,
        undo_stack: QUndoStack,
    ):
        super().__init__(window)
        self._window = window
        self._panels = panels
        self._runner = runner
        self._preferences = preferences
        self._undo_stack = undo_stack
        bar = window.menuBar()
        self.file = bar.addMenu("&File")
        self.edit = bar.addMenu("&Edit")
        self.clip = bar.addMenu("&Clip")
        self.queue = bar.addMenu("&Queue")
        self.playback = bar.addMenu("&Playback")
        self.view = bar.addMenu("&View")
        self.window_menu = bar.addMenu("&Window")
        self.help = bar.addMenu("&Help")
        self._fill_file()
        self._fill_edit()
        self.clip.addActions(panels.gallery.actions_for_menu())
        self._fill_queue()
        self._fill_playback()
        self.playback.aboutToShow.connect(self._fill_playback)
        self._fill_view()
        self._add(self.window_menu, "Minimize", "Ctrl+M", window.showMinimized)

    def _add(
        self,
        menu: QMenu,
        text: str,
        keys: QKeySequence.StandardKey | str | None,
        then: Callable[[], object],
    ) -> QAction:
        return add_action(menu, text, keys, then, self._window)

    def _fill_file(self) -> None:
        window = self._window
        panels = self._panels
        runner = self._runner
        self._add(self.file, "New Clip", Key.New, panels.compose.clear)
        self._add(self.file, "Open…", Key.Open, self.open_chosen.emit)
        self.file.addSeparator()
        self._add(self.file, "Generate", "Ctrl+Return", panels.compose.generate)
        self.cancel = self._add(
            self.file, "Cancel Current Clip", "Ctrl+.", panels.queue.cancel_current
        )
        runner.changed.connect(self._follow_runner)
        self._follow_runner()
        self.file.addSeparator()
        self.file.addAction(panels.stage.player.export)
        self._add(self.file, "Show Clips Folder", None, self._show_folder)
        # Qt has keys for these on a Mac alone.
        settings = self._add(self.file, "Settings…", "Ctrl+,", self.settings_chosen.emit)
        settings.setMenuRole(QAction.MenuRole.PreferencesRole)
        self.file.addSeparator()
        self._add(self.file, "Close", "Ctrl+W", window.close)
        leave = self._add(self.file, "Quit", "Ctrl+Q", window.close)
        leave.setMenuRole(QAction.MenuRole.QuitRole)

    def _fill_edit(self) -> None:
        self.undo = UndoActions(self.edit, self._undo_stack, self._window)
        self.edit.addSeparator()
        # These act on the focused field; a text field takes the keys before the menu sees them.
        for text, keys, slot in (
            ("Cut", Key.Cut, "cut"),
            ("Copy", Key.Copy, "copy"),
            ("Select All", Key.SelectAll, "selectAll"),
        ):
            self._add(self.edit, text, keys, partial(_invoke, slot))
        self._add(self.edit, "Paste", Key.Paste, self._paste)
        self.edit.addSeparator()
        self._add(self.edit, "Find Clips", Key.Find, self._find)
        self._add(self.edit, "Prompts…", "Ctrl+Shift+P", self._panels.compose.prompts.open_list)

    def _find(self) -> None:
        self.side_chosen.emit(self._panels.gallery)
        self._panels.gallery.begin_search()

    def _paste(self) -> None:
        if not _invoke("paste"):
            self.paste_chosen.emit()

    def _fill_queue(self) -> None:
        panel = self._panels.queue
        self.queue.addActions([panel.pause_action, panel.history_action])
        self.queue.addSeparator()
        self.queue.addActions(panel.actions_on_jobs)
        self.queue.addSeparator()

    def _fill_playback(self) -> None:
        """Show what can be done with what is in view: a clip, or two compared."""
        self.playback.clear()
        self.playback.addActions(self._panels.stage.actions_for_menu())

    def _fill_view(self) -> None:
        panels = self._panels
        self._add(self.view, "Clips", "Ctrl+1", lambda: self.side_chosen.emit(panels.gallery))
        self._add(self.view, "Queue", "Ctrl+2", lambda: self.side_chosen.emit(panels.queue))
        self._add(self.view, "Close Comparison", "Esc", self.back_chosen.emit)
        self._add(self.view, "Watch Current Clip", "Ctrl+L", panels.stage.watch)
        self.view.addSeparator()
        self.compose_panel = self._panel("Compose Panel", "Ctrl+Alt+1", panels.compose)
        self.side_panel = self._panel("Side Panel", "Ctrl+Alt+2", panels.side)
        self.view.addAction(panels.stage.info)
        self.view.addSeparator()
        self.view.addMenu(panels.gallery.options.menu)
        self._fill_appearance(self.view.addMenu("Appearance"))
        self._full_screen = self._add(
            self.view, "Enter Full Screen", Key.FullScreen, self._toggle_full_screen
        )
        self.view.aboutToShow.connect(self._name_full_screen)

    def _panel(self, text: str, keys: str, panel: QWidget) -> QAction:
        """An entry that shows or hides a panel."""
        action = self._add(self.view, text, keys, lambda: None)
        action.setCheckable(True)
        action.setChecked(True)
        action.toggled.connect(panel.setVisible)
        return action

    def _fill_appearance(self, menu: QMenu) -> None:
        preferences = self._preferences
        group = QActionGroup(self._window)
        for text, appearance in APPEARANCES:
            action = self._add(menu, text, None, partial(self._choose_appearance, appearance))
            action.setCheckable(True)
            action.setChecked(preferences.appearance is appearance)
            group.addAction(action)
            preferences.appearance_changed.connect(
                partial(self._follow_appearance, action, appearance)
            )

    def _choose_appearance(self, appearance: Appearance) -> None:
        self._preferences.appearance = appearance

    def _follow_appearance(self, action: QAction, appearance: Appearance) -> None:
        action.setChecked(self._preferences.appearance is appearance)

    def _follow_runner(self) -> None:
        self.cancel.setEnabled(self._runner.current is not None)

    def _toggle_full_screen(self) -> None:
        """A maximized window is that again afterwards."""
        self._window.setWindowState(self._window.windowState() ^ Qt.WindowState.WindowFullScreen)

    def _name_full_screen(self) -> None:
        word = "Exit" if self._window.isFullScreen() else "Enter"
        self._full_screen.setText(f"{word} Full Screen")

    def _show_folder(self) -> None:
        folder = self._preferences.clips_folder
        if not folder.is_dir():
            self.message.emit("There is no clips folder yet: it is made with the first clip.")
        else:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _invoke(slot: str) -> bool:
    """Call a slot of the widget that has the focus; False if there is no such slot."""
    widget = QApplication.focusWidget()
    if widget is None or widget.metaObject().indexOfMethod(f"{slot}()") < 0:
        return False
    return bool(QMetaObject.invokeMethod(widget, slot))
