"""The menus: everything that the window can do, with the platform's shortcuts. On a Mac Qt moves
them to the top of the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QMetaObject, QUrl
from PySide6.QtGui import QAction, QActionGroup, QDesktopServices, QKeySequence
from PySide6.QtWidgets import QApplication, QMenu, QWidget

from .about import show_about
from .export_bar import fill_export_menu
from .preferences_dialog import APPEARANCES, PreferencesDialog

if TYPE_CHECKING:
    from .window import Window

Key = QKeySequence.StandardKey


class Menus:
    """Made once for a window; `help` and `window_menu` are there for other parts to add to."""

    def __init__(self, window: Window):
        self._window = window
        bar = window.menuBar()
        self.file, self.edit = bar.addMenu("&File"), bar.addMenu("&Edit")
        self.clip, self.queue = bar.addMenu("&Clip"), bar.addMenu("&Queue")
        self.playback, self.view = bar.addMenu("&Playback"), bar.addMenu("&View")
        self.window_menu, self.help = bar.addMenu("&Window"), bar.addMenu("&Help")
        self._fill_file()
        self._fill_edit()
        self.clip.addActions(window.gallery.actions_for_menu())
        self._fill_queue()
        self.playback.addActions(window.stage.player.actions_for_menu())
        self._fill_view()
        self._add(self.window_menu, "Minimize", "Ctrl+M", window.showMinimized)
        about = self._add(
            self.help, "About mlxvid", None, lambda: show_about(window.choices.machine, window)
        )
        about.setMenuRole(QAction.MenuRole.AboutRole)

    def _add(
        self,
        menu: QMenu,
        text: str,
        keys: QKeySequence.StandardKey | str | None,
        then: Callable[[], object],
    ) -> QAction:
        action = QAction(text, self._window)
        if keys is not None:
            action.setShortcut(QKeySequence(keys))
        action.triggered.connect(lambda: then())
        menu.addAction(action)
        return action

    def _fill_file(self) -> None:
        window = self._window
        self._add(self.file, "New Clip", Key.New, window.compose.clear)
        self._add(self.file, "Open…", Key.Open, window.ask_to_open)
        self.file.addSeparator()
        self._add(self.file, "Generate", "Ctrl+Return", window.compose.generate)
        self.cancel = self._add(
            self.file, "Cancel the Clip Being Made", "Ctrl+.", window.runner.cancel
        )
        window.runner.changed.connect(self._follow_runner)
        self._follow_runner()
        self.file.addSeparator()
        self.export = self.file.addMenu("Export")
        fill_export_menu(self.export, window.stage.player.export_as)
        self.file.aboutToShow.connect(
            lambda: self.export.setEnabled(window.stage.player.path is not None)
        )
        self._add(self.file, "Show Clips Folder", None, self._show_folder)
        settings = self._add(
            self.file,
            "Settings…",
            Key.Preferences,
            lambda: PreferencesDialog(window.preferences, window).open(),
        )
        settings.setMenuRole(QAction.MenuRole.PreferencesRole)
        self.file.addSeparator()
        self._add(self.file, "Close", Key.Close, window.close)
        leave = self._add(self.file, "Quit", Key.Quit, window.close)
        leave.setMenuRole(QAction.MenuRole.QuitRole)

    def _fill_edit(self) -> None:
        stack = self._window.undo_stack
        undo, redo = (
            stack.createUndoAction(self._window, "Undo"),
            stack.createRedoAction(self._window, "Redo"),
        )
        undo.setShortcuts(Key.Undo)
        redo.setShortcuts(Key.Redo)
        self.edit.addActions([undo, redo])
        self.edit.addSeparator()
        # These are for the field with the focus; one that has text takes the keys before the menu
        # sees them.
        for text, keys, slot in (
            ("Cut", Key.Cut, "cut"),
            ("Copy", Key.Copy, "copy"),
            ("Select All", Key.SelectAll, "selectAll"),
        ):
            self._add(self.edit, text, keys, lambda slot=slot: _invoke(slot))
        self._add(self.edit, "Paste", Key.Paste, lambda: _invoke("paste") or self._window.paste())

    def _fill_queue(self) -> None:
        panel = self._window.queue
        self.queue.addAction(panel.pause_action)
        self.queue.addSeparator()
        self.queue.addActions(panel.actions_on_jobs)

    def _fill_view(self) -> None:
        window = self._window
        self._add(self.view, "Clips", "Ctrl+1", lambda: window.show_side(window.gallery))
        self._add(self.view, "Queue", "Ctrl+2", lambda: window.show_side(window.queue))
        self._add(self.view, "Back to the Clip", "Esc", window.leave_compare)
        self._add(self.view, "Watch the Clip Being Made", "Ctrl+L", window.stage.watch)
        self.view.addSeparator()
        self.compose_panel = self._panel("Compose Panel", "Ctrl+Alt+1", window.compose)
        self.side_panel = self._panel("Side Panel", "Ctrl+Alt+2", window.side)
        self.view.addSeparator()
        self._fill_appearance(self.view.addMenu("Appearance"))
        self._add(self.view, "Full Screen", Key.FullScreen, self._toggle_full_screen)

    def _panel(self, text: str, keys: str, panel: QWidget) -> QAction:
        """An entry that shows a panel, or hides it."""
        action = self._add(self.view, text, keys, lambda: None)
        action.setCheckable(True)
        action.setChecked(True)
        action.toggled.connect(panel.setVisible)
        return action

    def _fill_appearance(self, menu: QMenu) -> None:
        preferences, group = self._window.preferences, QActionGroup(self._window)
        for text, appearance in APPEARANCES:
            action = self._add(
                menu,
                text,
                None,
                lambda chosen=appearance: setattr(preferences, "appearance", chosen),
            )
            action.setCheckable(True)
            action.setChecked(preferences.appearance is appearance)
            group.addAction(action)
            follow = lambda action=action, own=appearance: action.setChecked(
                preferences.appearance is own
            )  # noqa: E731
            preferences.appearance_changed.connect(follow)

    def _follow_runner(self) -> None:
        self.cancel.setEnabled(self._window.runner.current is not None)

    def _toggle_full_screen(self) -> None:
        self._window.showNormal() if self._window.isFullScreen() else self._window.showFullScreen()

    def _show_folder(self) -> None:
        folder = self._window.preferences.clips_folder
        if not folder.is_dir():
            self._window.announcements.tell(
                "There are no clips yet: the folder comes with the first one."
            )
        else:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def _invoke(slot: str) -> bool:
    """Call a slot of the widget that has the focus; False where there is none, or it has no such
    slot.
    """
    widget = QApplication.focusWidget()
    if widget is None or widget.metaObject().indexOfMethod(f"{slot}()") < 0:
        return False
    return bool(QMetaObject.invokeMethod(widget, slot))
