"""The log has everything that mlxvid logs, from any thread."""

from __future__ import annotations

import logging
import threading

import pytest
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QWidget

from mlxvid.gui.dialogs.about import licences, show_about
from mlxvid.gui.dialogs.log import KEPT, LogBook, LogView
from mlxvid.gui.dialogs.reporting import Diagnostics


@pytest.fixture
def book(qapp):
    book = LogBook()
    yield book
    book.close()


def test_what_is_logged_is_kept_and_shown_as_it_comes(book, preferences, qtbot, themed):
    log = logging.getLogger("mlxvid.gui")
    log.info("before %s", "it was opened")
    view = LogView(book, Diagnostics(preferences, list, list))
    qtbot.addWidget(view)
    thread = threading.Thread(target=lambda: log.warning("from a thread,\nin two lines"))
    thread.start()
    thread.join()
    logging.getLogger("other").warning("somebody else's")
    log.debug("too much")
    qtbot.waitUntil(lambda: "two lines" in view.text.toPlainText())
    lines = view.text.toPlainText().splitlines()
    assert [line.split("  ", 1)[1].split(None, 1) for line in lines] == [
        ["INFO", "before it was opened"],
        ["WARNING", "from a thread, in two lines"],
    ]


def test_the_oldest_lines_go(book):
    for number in range(KEPT + 5):
        logging.getLogger("mlxvid").info("line %d", number)
    assert len(book.lines) == KEPT and book.lines[0].endswith("line 5")


def test_copy_diagnostics_asks_a_process_for_the_device(book, preferences, qtbot, themed):
    logging.getLogger("mlxvid").info("made a red ball")
    diagnostics = Diagnostics(preferences, lambda: list(book.lines), lambda: ["a red ball"])
    view = LogView(book, diagnostics)
    qtbot.addWidget(view)
    for with_prompts, line in ((False, "made <prompt>"), (True, "made a red ball")):
        view.with_prompts.setChecked(with_prompts)
        view.copy.click()
        qtbot.waitUntil(view.copy.isEnabled, timeout=20_000)
        text = QGuiApplication.clipboard().text()
        assert text.endswith(f"{line}\n") and "kernel" in text and "Device(" in text


def test_about_names_the_licences_that_matter(machine, qtbot, themed):
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = show_about(machine, parent)
    assert dialog.isVisible()
    text = licences()
    for words in (
        "Apache License 2.0",
        "x264 and x265",
        "GNU General Public License",
        "LGPL-3.0-only",
        "mlx 0.",
        "huggingface_hub ",
    ):
        assert words in text, words
    assert "see its web page" not in text and "not installed" not in text
