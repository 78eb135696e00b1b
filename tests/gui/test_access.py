"""Colours, names of controls, and the Tab key."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QAction,
    QKeySequence,
    QPalette,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QProgressBar,
    QScrollArea,
    QTabBar,
    QWidget,
)

from mlxvid.gui.app import apply_appearance
from mlxvid.gui.compose.wells import PictureWell
from mlxvid.gui.core.preferences import Appearance
from mlxvid.gui.dialogs.preferences import PreferencesDialog
from mlxvid.gui.widgets import icons
from mlxvid.gui.widgets.theme import DARK, LIGHT, ON_STAGE, colours


@pytest.mark.parametrize(
    ("appearance", "wanted"), [(Appearance.DARK, DARK), (Appearance.LIGHT, LIGHT)]
)
def test_appearances(qapp, appearance, wanted):
    apply_appearance(qapp, appearance)
    assert colours(qapp.palette()) is wanted
    image = icons.icon("play").pixmap(24, 24).toImage()
    drawn = [
        image.pixelColor(x, y)
        for x in range(24)
        for y in range(24)
        if image.pixelColor(x, y).alpha() == 255
    ]
    assert drawn and all(
        colour.name() == qapp.palette().color(QPalette.ColorRole.ButtonText).name()
        for colour in drawn
    )


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances, as WCAG 2 counts it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("c", [DARK, LIGHT], ids=["dark", "light"])
def test_writing_can_be_read(c):
    for ground in (c.panel, c.window, c.field):
        assert contrast(c.text, ground) > 7
    for writing in (c.faint, c.danger, c.warning):
        assert contrast(writing, c.panel) > 4.5, writing
    assert contrast(ON_STAGE.faint, c.stage) > 4.5


def named(widget: QWidget) -> bool:
    label = widget.accessibleName() or (
        widget.text() if isinstance(widget, QAbstractButton) else ""
    )
    return bool(label.strip())


def controls(root: QWidget) -> list[QWidget]:
    """What one can work with, and what shows a value; not the parts that Qt makes them of."""
    kinds = (
        QAbstractButton,
        QAbstractSpinBox,
        QComboBox,
        QLineEdit,
        QPlainTextEdit,
        QAbstractItemView,
        QProgressBar,
        QTabBar,
    )
    found = [widget for kind in kinds for widget in root.findChildren(kind)]
    inner = (QAbstractSpinBox, QComboBox, QLineEdit, QTabBar)
    return [
        w
        for w in found
        if not isinstance(w.parent(), inner)
        and not w.objectName().startswith("qt_")
        and not in_popup(w)
    ]


def in_popup(widget: QWidget) -> bool:
    return any(
        isinstance(parent, QMenu) or parent.metaObject().className() == "QComboBoxPrivateContainer"
        for parent in ancestors(widget)
    )


def ancestors(widget: QWidget):
    while (widget := widget.parentWidget()) is not None:
        yield widget


def test_every_control_has_a_name(window):
    window.compose.loras.set_value(["a.safetensors@1"])
    nameless = [
        f"{type(w).__name__} in {type(w.parent()).__name__}"
        for w in controls(window)
        if not named(w)
    ]
    assert nameless == []
    dialog = PreferencesDialog(window.preferences, window.choices, dict, window)
    assert [type(w).__name__ for w in controls(dialog) if not named(w)] == []
    window.help.show_prompts()
    window.help.show_shortcuts()
    window.tools.show_log()
    for dialog in (window.help.prompting, window.help.shortcuts, window.tools._log):
        assert [type(w).__name__ for w in controls(dialog) if not named(w)] == [], dialog


def test_every_control_is_reached_by_the_tab_key(window, qapp):
    window.activateWindow()
    window.compose.advanced.set_open(True)
    seen = set()
    widget = window.compose.prompt
    for _ in range(200):
        seen.add(widget)
        widget = widget.nextInFocusChain()
        while not (widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(window)):
            widget = widget.nextInFocusChain()
        if widget in seen:
            break
    reached = seen | {widget.focusProxy() for widget in seen} | {widget.parent() for widget in seen}
    missed = [
        w
        for w in controls(window.compose)
        if w.isVisible() and w.isEnabled() and not isinstance(w, QProgressBar) and w not in reached
    ]
    assert [f"{type(w).__name__} {w.accessibleName()}" for w in missed] == []


def test_the_tab_key_goes_down_the_form(window, qtbot, home):
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(home / "a.png")
    window.compose.advanced.set_open(True)
    for _ in range(2):
        window.compose.findChild(PictureWell, "keyframes").set_path(home / "a.png")
    qtbot.wait(50)  # until all have their places
    form = window.compose
    first = form.findChild(QComboBox, "model")
    area = form.findChild(QScrollArea)
    stops = [first, *(stop for stop in tab_stops(first) if area.isAncestorOf(stop))]
    keyframe = ["keyframe", "keyframe_number", "at_playhead"]
    names = ["image", *keyframe, *keyframe, "keyframes", "last_image"]
    begin = stops.index(form.findChild(PictureWell, "image"))
    pictures = stops[begin : begin + len(names)]
    assert [stop.objectName() for stop in pictures] == names
    rows = [
        stop.mapTo(form, stop.rect().center()).y() for stop in stops if stop not in pictures[1:]
    ]
    assert all(
        after > before - 3 for before, after in pairwise(rows)
    )  # what stands in one line is not always of one height


def tab_stops(first) -> list[QWidget]:
    """Where the Tab key goes from a widget on, until it comes round."""
    found = []
    widget = first
    while (widget := widget.nextInFocusChain()) is not first:
        inside = isinstance(
            widget.parentWidget(), (QAbstractSpinBox, QComboBox)
        )  # has the focus with what it belongs to
        if (
            widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and widget.isVisible()
            and widget.isEnabled()
            and not inside
        ):
            found.append(widget)
    return found


def test_shortcuts_are_given_once(window):
    """In one menu bar, and among what works in the whole window."""
    keys = {}
    for action in window.findChildren(QAction):
        if action.shortcutContext() == Qt.ShortcutContext.WindowShortcut:
            for key in action.shortcuts():
                keys.setdefault(key.toString(), set()).add(action.text())
    assert {key: texts for key, texts in keys.items() if len(texts) > 1} == {}
    for wanted in ("New", "Open", "Quit", "Undo", "Preferences"):
        standard = QKeySequence.keyBindings(getattr(QKeySequence.StandardKey, wanted))
        assert not standard or any(key.toString() in keys for key in standard), wanted
