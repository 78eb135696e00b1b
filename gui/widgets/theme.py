"""How the app looks: two sets of colours, and the rules that Qt's Fusion style lacks.

It is quiet, so that the clip stands out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from .icons import icon_side

AnyWidget = TypeVar("AnyWidget", bound=QWidget)


@dataclass(frozen=True)
class Colours:
    """One set of colours.

    stage: behind the clip, the same in both so that its colours look the same. window: between
    panels. panel: side panels. field: inputs. line: borders. text, faint: text. accent: what is
    chosen, or the button to press; on_accent: text on it. link: the same where it is text. danger,
    warning, good: messages. All text has a contrast of 4.5 or more to what it stands on.
    """

    stage: str
    window: str
    panel: str
    field: str
    hover: str
    line: str
    text: str
    faint: str
    accent: str
    on_accent: str
    link: str
    danger: str
    warning: str
    good: str


DARK = Colours(
    stage="#131315",
    window="#1a1b1d",
    panel="#202124",
    field="#2a2b2f",
    hover="#34363b",
    line="#393b40",
    text="#e7e7ea",
    faint="#a0a2a9",
    accent="#3b72dc",
    on_accent="#ffffff",
    link="#6a9bf5",
    danger="#ff7a70",
    warning="#e3a94f",
    good="#6cc08b",
)
LIGHT = Colours(
    stage="#131315",
    window="#ededf0",
    panel="#f7f7f8",
    field="#ffffff",
    hover="#e6e7ea",
    line="#d0d2d7",
    text="#1c1d20",
    faint="#62646c",
    accent="#2a67d6",
    on_accent="#ffffff",
    link="#2560c8",
    danger="#bf2f24",
    warning="#8f5a00",
    good="#1c7040",
)


# What stands on the stage: text, and places that wait for a picture.
ON_STAGE = DARK


def colours(palette: QPalette) -> Colours:
    """The set that a palette was made from."""
    return DARK if palette.color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT


def apply_theme(app: QApplication, dark: bool) -> None:
    """Set the appearance of the whole app, at any time."""
    chosen = DARK if dark else LIGHT
    app.setStyle("Fusion")
    app.setPalette(_palette(chosen))
    app.setStyleSheet(_sheet(chosen, icon_side(app.font())))


def system_is_dark(app: QApplication) -> bool:
    """Whether the system asks for dark windows."""
    return app.styleHints().colorScheme() == Qt.ColorScheme.Dark


def small(widget: AnyWidget, factor: float = 0.9) -> AnyWidget:
    """Give a widget a smaller font, and return it.

    It is relative to the app's font, so that a larger one makes this larger too.
    """
    widget.setFont(small_font(QApplication.font(), factor))
    return widget


def small_font(font: QFont, factor: float = 0.9) -> QFont:
    """A smaller font of the same kind, for secondary text."""
    smaller = QFont(font)
    smaller.setPointSizeF(font.pointSizeF() * factor)
    return smaller


def set_role(widget: QWidget, role: str) -> None:
    """Set the role by which the style sheet below styles a widget, or "" for none."""
    if widget.property("role") != role:
        widget.setProperty("role", role)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def faint_label(text: str = "") -> QLabel:
    """A label for secondary text: smaller and fainter."""
    label = QLabel(text)
    label.setProperty("role", "faint")
    small(label)
    return label


def _palette(c: Colours) -> QPalette:
    role = QPalette.ColorRole
    palette = QPalette()
    for key, colour in {
        role.Window: c.window,
        role.WindowText: c.text,
        role.Base: c.field,
        role.AlternateBase: c.panel,
        role.Text: c.text,
        role.Button: c.field,
        role.ButtonText: c.text,
        role.BrightText: c.danger,
        role.ToolTipBase: c.field,
        role.ToolTipText: c.text,
        role.Highlight: c.accent,
        role.HighlightedText: c.on_accent,
        role.Accent: c.accent,
        role.PlaceholderText: c.faint,
        role.Link: c.link,
        role.LinkVisited: c.link,
        role.Light: c.hover,
        role.Midlight: c.hover,
        role.Mid: c.line,
        role.Dark: c.line,
        role.Shadow: c.stage,
    }.items():
        palette.setColor(key, QColor(colour))
    dim = QColor(c.faint)
    dim.setAlphaF(0.55)
    for key in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, key, dim)
    return palette


def _sheet(c: Colours, icon: int) -> str:
    return f"""
QToolTip {{ background: {c.field}; color: {c.text}; border: 1px solid {c.line}; padding: 4px 6px; }}
QWidget[role="panel"], QScrollArea[role="panel"],
QScrollArea[role="panel"] > QWidget > QWidget {{
    background: {c.panel};
}}
QFrame[role="card"] {{
    background: {c.panel}; border: 1px solid {c.line}; border-radius: 10px;
}}
QPushButton[role="link"] {{
    background: transparent; border: none; color: {c.link}; padding: 2px 0; text-align: left;
}}
QPushButton[role="link"]:hover, QPushButton[role="link"]:focus {{ text-decoration: underline; }}
QWidget[role="stage"] {{ background: {c.stage}; }}
QWidget[role="notices"] {{
    background: {c.panel}; border: 1px solid {c.line}; border-radius: 8px;
}}
QLabel[role="faint"] {{ color: {c.faint}; }}
QLabel[role="danger"] {{ color: {c.danger}; }}
QLabel[role="warning"] {{ color: {c.warning}; }}
QLabel[role="heading"] {{ font-weight: 600; }}
QFrame[role="popup"] {{ background: {c.panel}; border: 1px solid {c.line}; }}
QFrame[role="line"] {{ background: {c.line}; border: none; }}

QLineEdit, QPlainTextEdit, QSpinBox, QDoubleSpinBox, QComboBox {{
    background: {c.field}; border: 1px solid {c.line}; border-radius: 5px; padding: 3px 6px;
    selection-background-color: {c.accent}; selection-color: {c.on_accent};
}}
QPlainTextEdit {{ padding: 3px; }}
QLineEdit {{ padding: 3px 4px; }}
QLineEdit:focus, QPlainTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{
    border-color: {c.accent};
}}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{
    color: {c.faint}; background: {c.panel};
}}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button,
QDoubleSpinBox::down-button {{
    width: 0; border: none;
}}
QComboBox {{ padding-right: 20px; }}
QComboBox::drop-down {{ border: none; width: 20px; }}
QComboBox QAbstractItemView {{
    background: {c.field}; border: 1px solid {c.line}; padding: 3px; outline: none;
}}

QPushButton, QToolButton, QListView {{ icon-size: {icon}px; }}
QPushButton {{
    background: {c.field}; border: 1px solid {c.line}; border-radius: 5px; padding: 4px 12px;
}}
QPushButton:hover {{ background: {c.hover}; }}
QPushButton:pressed, QPushButton:checked {{ background: {c.line}; }}
QPushButton:focus {{ border-color: {c.accent}; }}
QPushButton[role="primary"] {{
    background: {c.accent}; color: {c.on_accent}; border-color: {c.accent}; font-weight: 600;
    padding: 7px 14px;
}}
QDialog QPushButton[role="primary"] {{ padding: 4px 12px; }}
QPushButton[role="primary"]:hover {{ border-color: {c.text}; }}
QPushButton[role="primary"]:focus {{ border-color: {c.text}; }}
QPushButton[role="primary"]:disabled {{
    background: {c.field}; color: {c.faint}; border-color: {c.line};
}}
QToolButton {{
    background: transparent; border: 1px solid transparent; border-radius: 5px; padding: 4px;
}}
QToolButton:hover {{ background: {c.hover}; }}
QToolButton:pressed, QToolButton:checked {{ background: {c.line}; }}
QToolButton:focus {{ border-color: {c.accent}; }}
QToolButton::menu-indicator {{ image: none; }}
QToolButton[role="fold"] {{ padding: 4px 8px 4px 0; margin-left: -5px; }}
QToolButton[role="fold"]:checked {{ background: transparent; }}
QCheckBox:focus, QRadioButton:focus {{ color: {c.link}; }}
QCheckBox {{ spacing: 7px; }}
QCheckBox::indicator {{
    width: {icon - 4}px; height: {icon - 4}px; background: {c.field}; border: 1px solid {c.faint};
    border-radius: 4px;
}}
QCheckBox::indicator:checked {{ background: {c.accent}; border-color: {c.accent}; }}

QTabWidget::pane {{ border: none; }}
QTabBar {{ background: {c.panel}; }}
QTabBar::tab {{
    background: transparent; color: {c.faint}; padding: 8px 12px; border: none;
    border-bottom: 2px solid transparent;
}}
QTabBar::tab:selected {{ color: {c.text}; border-bottom-color: {c.accent}; }}
QTabBar::tab:focus {{ color: {c.link}; }}

QListView {{ background: {c.panel}; border: none; outline: none; }}
QListWidget::item {{ padding: 5px 4px; border-radius: 4px; color: {c.text}; }}
QListWidget::item:selected {{ background: {c.hover}; }}
QProgressBar {{
    background: {c.line}; border: none; border-radius: 2px; max-height: 4px; min-height: 4px;
}}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 2px; }}
QProgressBar[role="danger"]::chunk {{ background: {c.danger}; }}
QSplitter::handle {{ background: {c.line}; }}
QStatusBar {{ background: {c.window}; color: {c.faint}; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 0; }}
QScrollBar::handle {{
    background: {c.line}; border-radius: 3px; margin: 2px; min-height: 28px; min-width: 28px;
}}
QScrollBar::handle:hover {{ background: {c.faint}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
"""
