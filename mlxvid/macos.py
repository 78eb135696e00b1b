"""What the system is asked for while a clip is made and when it is done: macOS, and on Linux the
desktops that have the same.
"""

from __future__ import annotations

import html
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger("mlxvid")

CAFFEINATE = Path("/usr/bin/caffeinate")
OSASCRIPT = Path("/usr/bin/osascript")
TMUTIL = Path("/usr/bin/tmutil")
SYSTEMD = Path("/run/systemd/system")
INHIBIT = Path("/usr/bin/systemd-inhibit")
NOTIFY_SEND = Path("/usr/bin/notify-send")
# The text comes as an argument, so that nothing in it is read as AppleScript.
NOTIFY = (
    "on run argv",
    "display notification (item 1 of argv) with title (item 2 of argv)",
    "end run",
)


@contextmanager
def awake() -> Iterator[None]:
    """Keep the machine from going to sleep inside: a context, and a decorator of what takes long.

    The display may go dark, and should: while it is on, a Mac's GPU watchdog ends long work. Where
    this process is killed the helper ends by itself. ``MLXVID_AWAKE=0`` leaves sleep as it is.
    """
    helper = _start_helper()
    try:
        yield
    finally:
        if helper is not None:
            # With what it has started itself.
            with suppress(ProcessLookupError):
                os.killpg(helper.pid, signal.SIGTERM)
            helper.wait()


def _start_helper() -> subprocess.Popen[bytes] | None:
    command = _keeps_awake(str(os.getpid()))
    if os.environ.get("MLXVID_AWAKE") == "0" or not command:
        return None
    quiet = subprocess.DEVNULL
    try:
        # A session of its own: Ctrl-C in the terminal is for the run, which may go on saving.
        return subprocess.Popen(command, stdin=quiet, stderr=quiet, start_new_session=True)
    except OSError as error:
        name = Path(command[0]).name
        log.warning(f"The machine may go to sleep: {name} can't be started ({error.strerror}).")
        return None


def _keeps_awake(pid: str) -> list[str]:
    """A command that keeps the machine awake until the process `pid` ends; none on some systems."""
    if CAFFEINATE.exists():
        # -i: no idle sleep; -s: none on mains power either.
        return [str(CAFFEINATE), "-i", "-s", "-w", pid]
    if SYSTEMD.exists() and INHIBIT.exists():
        reason = ["--what=idle:sleep", "--who=mlxvid", "--why=A clip is being made"]
        return [str(INHIBIT), *reason, "tail", f"--pid={pid}", "-f", "/dev/null"]
    return []


def notify(text: str) -> None:
    """Show a notification on the screen, if it can be shown."""
    command = _shows(text)
    if not command:
        return
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError as error:
        log.info(f"No notification: {error.strerror}.")


def _shows(text: str) -> list[str]:
    """A command that shows a notification; none on some systems."""
    if OSASCRIPT.exists():
        script = [word for line in NOTIFY for word in ("-e", line)]
        return [str(OSASCRIPT), *script, "--", text, "mlxvid"]
    if NOTIFY_SEND.exists():
        # Some desktops read tags in it.
        return [str(NOTIFY_SEND), "--app-name=mlxvid", "--", "mlxvid", html.escape(text)]
    return []


def leave_out_of_backups(folder: Path) -> None:
    """Have Time Machine leave a folder of downloads out, which can be had again."""
    if not TMUTIL.exists() or not folder.is_dir():
        return
    asked = subprocess.run([str(TMUTIL), "isexcluded", str(folder)], capture_output=True, text=True)
    if asked.returncode or asked.stdout.startswith("[Excluded]"):
        return
    done = subprocess.run([str(TMUTIL), "addexclusion", str(folder)], capture_output=True)
    if done.returncode == 0:
        log.info(f"Time Machine leaves {folder} out from now on: its models can be had again.")
