"""Actions of menus and of panels, and their buttons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QToolButton, QWidget

from .icons import icon


def add_action(
    menu: QMenu,
    text: str,
    keys: QKeySequence.StandardKey | str | None,
    then: Callable[[], object],
    window: QWidget,
) -> QAction:
    """Add an action to a menu of `window`, with a shortcut or None."""
    action = QAction(text, window)
    if keys is not None:
        action.setShortcut(QKeySequence(keys))
    # Without the signal's `checked`, which `then` doesn't take.
    action.triggered.connect(lambda: then())
    menu.addAction(action)
    return action


def panel_action(
    panel: QWidget,
    text: str,
    picture: str,
    keys: Sequence[str | Qt.Key],
    then: Callable[[], object],
    tip: str,
) -> QAction:
    """Give a panel an action whose keys work while the focus is in it."""
    action = QAction(icon(picture), text, panel)
    action.setShortcuts([QKeySequence(key) for key in keys])
    action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
    action.setToolTip(tip)
    action.triggered.connect(lambda: then())
    panel.addAction(action)
    return action


def action_button(action: QAction, with_text: bool = False) -> QToolButton:
    """A button for an action, with its icon, and beside that its text if so wanted."""
    button = QToolButton()
    button.setDefaultAction(action)
    button.setAccessibleName(action.text().rstrip("…"))
    if with_text:
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return button
