"""Copies get the suffix of their format, and the menu has every format."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QFileDialog, QMenu

from mlxvid.gui.widgets.export_formats import FORMATS, ask_target, fill_export_menu


@pytest.mark.parametrize(
    ("form", "typed", "expected"),
    [
        (0, "a", "a.mp4"),
        (0, "a.gif", "a.gif"),
        (1, "a.GIF", "a.GIF"),
        (2, "a.b", "a.b.webm"),
        (3, "a", "a.mov"),
        (0, "a.mov", "a.mov"),
        (4, "frames", "frames"),
        (0, "", None),
    ],
)
def test_names_get_the_suffix_of_the_format(tmp_path, qtbot, monkeypatch, form, typed, expected):
    asked = {}

    def answer(parent, title, start, name_filter):
        asked.update(title=title, start=start)
        return (str(tmp_path / typed) if typed else ""), name_filter

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    target = ask_target(None, tmp_path / "clip.mp4", FORMATS[form])
    assert target == (tmp_path / expected if expected else None)
    assert asked["start"] == str(tmp_path / f"clip copy{FORMATS[form].suffix}")


def test_the_menu_has_every_format(qtbot):
    menu = QMenu()
    chosen = []
    qtbot.addWidget(menu)
    fill_export_menu(menu, chosen.append)
    for entry in menu.actions():
        entry.trigger()
    assert chosen == list(FORMATS)
