"""The log's file, and how the next session learns of a crash."""

from __future__ import annotations

import logging
import os
import sys
import threading

import pytest

from mlxvid.gui.core.session_log import SessionLog, last_lines, log_file


@pytest.fixture
def open_log(home):
    """A function that begins a session; whatever it began is ended after the test."""
    opened = []

    def make() -> SessionLog:
        opened.append(SessionLog(home / "data"))
        return opened[-1]

    yield make
    for session in opened:
        session.close()


def test_what_is_logged_is_in_the_file(open_log, home):
    assert not open_log().crashed
    logging.getLogger("mlxvid.gui").info("generator: [metal] words\nin two lines")
    logging.getLogger("mlxvid").debug("too much")
    logging.getLogger("other").warning("somebody else's")
    text = log_file(home / "data").read_text()
    assert "INFO     generator: [metal] words\nin two lines\n" in text
    assert "too much" not in text and "somebody" not in text


def test_a_session_that_did_not_end_is_told_of_by_the_next(open_log, home):
    first = open_log()
    first.close()
    assert not open_log().crashed
    # That one is not closed: it crashes here, and Python writes down where.
    (home / "data" / "log" / "crash.txt").write_text("Fatal Python error: Aborted\n")
    third = open_log()
    assert third.crashed
    # Both sessions write: the one that crashed is still in this process.
    lines = "".join(last_lines(log_file(home / "data"), 4))
    assert "ended unexpectedly" in lines and "Aborted" in lines


def test_faults_of_the_app_are_logged_with_where_they_were(open_log, home, capsys, qtbot):
    told = []
    open_log().failed.connect(lambda: told.append(threading.current_thread()))
    try:
        raise RuntimeError("odd")
    except RuntimeError as error:
        sys.excepthook(RuntimeError, error, error.__traceback__)
    thread = threading.Thread(target=lambda: 1 // 0)
    thread.start()
    thread.join()
    text = log_file(home / "data").read_text()
    assert "RuntimeError('odd')" in text and "ZeroDivisionError" in text
    assert "test_session_log.py" in text
    qtbot.waitUntil(lambda: len(told) == 2)
    assert set(told) == {threading.main_thread()}
    assert "RuntimeError: odd" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written_costs_only_the_file(open_log, home):
    (home / "data").mkdir()
    (home / "data").chmod(0o500)
    assert not open_log().crashed


def test_a_file_in_the_place_of_the_folder_costs_only_the_file(open_log, home):
    (home / "data").mkdir()
    (home / "data" / "log").write_text("")
    session = open_log()
    logging.getLogger("mlxvid").info("heard")
    assert not session.crashed
