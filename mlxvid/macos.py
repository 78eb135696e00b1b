"""What macOS is asked for while a clip is made and when it is done; nothing on other systems."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("mlxvid")

CAFFEINATE = Path("/usr/bin/caffeinate")
OSASCRIPT = Path("/usr/bin/osascript")
TMUTIL = Path("/usr/bin/tmutil")
# The text comes as an argument, so that nothing in it is read as AppleScript.
NOTIFY = (
    "on run argv",
    "display notification (item 1 of argv) with title (item 2 of argv)",
    "end run",
)


@contextmanager
def awake() -> Iterator[None]:
    """Keep a Mac from going to sleep inside: a context, and a decorator of what takes long.

    The display may go dark, and should: while it is on, the GPU's watchdog ends long work. Where
    this process is killed the helper ends by itself. ``MLXVID_AWAKE=0`` leaves sleep as it is.
    """
    helper = _caffeinate()
    try:
        yield
    finally:
        if helper is not None:
            helper.terminate()
            helper.wait()


def _caffeinate() -> subprocess.Popen[bytes] | None:
    if os.environ.get("MLXVID_AWAKE") == "0" or not CAFFEINATE.exists():
        return None
    # -i: no idle sleep; -s: none on mains power either; -w: until this process ends.
    command = [str(CAFFEINATE), "-i", "-s", "-w", str(os.getpid())]
    try:
        # A session of its own: Ctrl-C in the terminal is for the run, which may go on saving.
        return subprocess.Popen(command, start_new_session=True)
    except OSError as error:
        log.warning(f"The Mac may go to sleep: caffeinate can't be started ({error.strerror}).")
        return None


def notify(text: str) -> None:
    """Show a notification on a Mac's screen, if it can be shown."""
    if not OSASCRIPT.exists():
        return
    script = [word for line in NOTIFY for word in ("-e", line)]
    quiet = subprocess.DEVNULL
    try:
        subprocess.Popen(
            [str(OSASCRIPT), *script, "--", text, "mlxvid"],
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            start_new_session=True,
        )
    except OSError as error:
        log.info(f"No notification: {error.strerror}.")


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
