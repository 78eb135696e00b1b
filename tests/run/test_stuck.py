"""A process that answers no signal ends all the same, and one that does is left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from mlxvid.run import stuck

PROGRAM = """
import logging, os, signal, sys, threading, time
from mlxvid.run import stuck

def stop(*_):
    raise KeyboardInterrupt

logging.basicConfig(format="%(message)s")
stuck.GRACE = 0.3
signal.signal(signal.SIGTERM, {handler})
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    with stuck.ended_by_signals("another is gone"):
        time.sleep(20)
except KeyboardInterrupt:
    time.sleep(1)  # to keep what is done
    sys.exit(7)
"""


def ended(handler: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM.format(handler=handler)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_what_is_stuck_ends_with_a_line():
    done = ended("lambda *_: None")
    assert done.returncode == stuck.SIGNALLED + signal.SIGTERM
    assert done.stderr == "another is gone\n"


def test_what_answers_ends_by_itself():
    done = ended("stop")
    assert (done.returncode, done.stderr) == (7, "")


def test_other_threads_and_those_who_listened_before_are_left_alone():
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    entered = []

    def enter() -> None:
        with stuck.ended_by_signals(""):
            entered.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    enter()
    after = signal.set_wakeup_fd(before)
    assert (entered, after) == ([True, True], before)
