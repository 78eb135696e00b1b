"""What this is, in which versions, on which machine, and under whose licences."""

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

LICENCES = """mlxvid is free software under the Apache License 2.0. It stands on:

{packages}

PyAV's packages carry FFmpeg with x264 and x265, which encode the clips and are free software under the GNU General Public License, \
version 2 or later. Whoever passes on an app bundle with them passes it on under that licence's terms.
Qt and PySide6 are free software under the GNU Lesser General Public License, version 3: they are separate libraries here, which may \
be replaced by others of the same interface.
The model that comes with mlxvid is under the Apache License 2.0; every other model has a licence of its own, which the model manager \
names.
"""
# Where a package's metadata doesn't say it in few words.
_LICENCES = {
    "PySide6-Essentials": "LGPL-3.0-only",
    "av": "BSD-3-Clause, with FFmpeg, x264 and x265: GPL-2.0-or-later",
}
_PACKAGES = (
    "mlx",
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
    """(what, its version or value) of all that matters; MLX is asked for its version without being
    loaded.
    """
    return [
        ("mlxvid", __version__),
        ("MLX", version_of("mlx")),
        ("Qt", qVersion()),
        ("Python", platform.python_version()),
        ("Machine", machine.name),
        ("Device", "GPU (Metal)" if machine.metal else "CPU"),
        (
            "Memory",
            f"{machine.total / GIB:.1f} GiB, of which a clip may take {machine.usable / GIB:.1f}",
        ),
    ]


def licences() -> str:
    """The licences, as text."""
    return LICENCES.format(
        packages="\n".join(f"{name} {version_of(name)}: {_licence(name)}" for name in _PACKAGES)
    )


def _licence(package: str) -> str:
    if package in _LICENCES:
        return _LICENCES[package]
    try:
        facts = metadata(package)
    except PackageNotFoundError:
        return "see its own page"
    stated = facts.get("License-Expression") or facts.get("License") or ""
    classes = [
        line.rpartition(" :: ")[2]
        for line in facts.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    return (
        stated
        if stated and "\n" not in stated and len(stated) < 60
        else ", ".join(classes) or "see its own page"
    )


def show_about(machine: Machine, parent: QWidget) -> QDialog:
    """Open the window; its texts can be selected and copied."""
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
    sign, name = QLabel(), QLabel("mlxvid")
    sign.setPixmap(icon("film").pixmap(44, 44))
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
