"""The About window: versions, machine and licences."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, metadata

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from mlxvid import __version__
from mlxvid.gui.widgets.icons import icon
from mlxvid.gui.widgets.theme import faint_label
from mlxvid.model.machine import GIB, Machine

from .diagnostics import version_of

LICENCES = """\
mlxvid is free software under the Apache License 2.0. It uses:

{packages}

PyAV's packages contain FFmpeg with x264 and x265, which encode the clips. They are free software \
under the GNU General Public License, version 2 or later. Whoever distributes an app bundle that \
contains them does so under that licence's terms.
Qt and PySide6 are free software under the GNU Lesser General Public License, version 3. They are \
separate libraries here, and may be replaced by others with the same interface.
The model that comes with mlxvid is under the Apache License 2.0. Every other model has its own \
licence, which the model manager shows.
"""
# Licences that a package's metadata doesn't give in a few words.
_LICENCES = {
    "PySide6-Essentials": "LGPL-3.0-only",
    "av": "BSD-3-Clause, with FFmpeg, x264 and x265: GPL-2.0-or-later",
}
_UNKNOWN = "see its web page"
_PACKAGES = (
    "mlx",
    "mlx-lm",
    "numpy",
    "huggingface_hub",
    "tokenizers",
    "sentencepiece",
    "ftfy",
    "pillow",
    "av",
    "platformdirs",
    "tqdm",
    "PySide6-Essentials",
)


def about_facts(machine: Machine) -> list[tuple[str, str]]:
    """Versions and machine, as pairs of label and value.

    MLX's version is read without loading MLX.
    """
    usable = machine.usable / GIB
    memory = f"{machine.total / GIB:.1f} GiB, of which a clip may use {usable:.1f} GiB"
    return [
        ("mlxvid", __version__),
        ("MLX", version_of("mlx")),
        ("Qt", qVersion()),
        ("Python", platform.python_version()),
        ("Machine", machine.name),
        ("Device", "GPU (Metal)" if machine.metal else "CPU"),
        ("Memory", memory),
    ]


def licences() -> str:
    """The text about licences."""
    lines = [f"{name} {version_of(name)}: {_licence(name)}" for name in _PACKAGES]
    return LICENCES.format(packages="\n".join(lines))


def _licence(package: str) -> str:
    if package in _LICENCES:
        return _LICENCES[package]
    try:
        fields = metadata(package)
    except PackageNotFoundError:
        return _UNKNOWN
    for field in ("License-Expression", "License"):
        for text in fields.get_all(field) or []:
            if text and "\n" not in text and len(text) < 60:
                return text
    classifiers = fields.get_all("Classifier") or []
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License ::")]
    return ", ".join(names) or _UNKNOWN


def show_about(machine: Machine, parent: QWidget) -> QDialog:
    """Open the About window; its texts can be selected and copied."""
    dialog = QDialog(parent)
    dialog.setWindowTitle("About mlxvid")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    tabs = QTabWidget()
    tabs.setDocumentMode(True)
    tabs.tabBar().setDrawBase(False)
    for part in (tabs, tabs.tabBar()):
        part.setAccessibleName("Versions or licences")
    tabs.addTab(_facts(machine), "Versions")
    text = QPlainTextEdit(licences())
    text.setReadOnly(True)
    text.setAccessibleName("Licences")
    tabs.addTab(text, "Licences")
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    column = QVBoxLayout(dialog)
    column.setContentsMargins(20, 20, 20, 16)
    column.setSpacing(12)
    column.addLayout(_head())
    column.addWidget(tabs, 1)
    column.addWidget(buttons)
    dialog.resize(560, 420)
    dialog.open()
    return dialog


def _head() -> QHBoxLayout:
    sign = QLabel()
    sign.setPixmap(icon("film").pixmap(44, 44))
    name = QLabel("mlxvid")
    large = QFont(name.font())
    large.setPointSizeF(large.pointSizeF() * 1.7)
    large.setWeight(QFont.Weight.DemiBold)
    name.setFont(large)
    words = QVBoxLayout()
    words.setSpacing(2)
    words.addWidget(name)
    words.addWidget(faint_label("Text to video on your own Mac, with open weights, in MLX."))
    row = QHBoxLayout()
    row.setSpacing(14)
    row.addWidget(sign)
    row.addLayout(words, 1)
    return row


def _facts(machine: Machine) -> QWidget:
    page = QWidget()
    form = QFormLayout(page)
    form.setContentsMargins(2, 14, 2, 2)
    form.setHorizontalSpacing(18)
    form.setVerticalSpacing(8)
    for name, value in about_facts(machine):
        label = QLabel(value)
        label.setWordWrap(True)
        label.setAccessibleName(f"{name}: {value}")
        label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        form.addRow(faint_label(name), label)
    return page
