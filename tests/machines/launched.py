"""Programs started as ``mlx.launch`` does it, on this machine alone."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests import ROOT

LAUNCH = "from mlx._distributed_utils.launch import main; main()"
# One thread each: several processes share the cores.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def command(count: int, *arguments: object) -> list[str]:
    """The command line of ``mlx.launch -n COUNT -- python ARGUMENTS``."""
    flags = ["-n", str(count), "--backend", "ring", "--starting-port", str(_free_ports(count))]
    return [sys.executable, "-c", LAUNCH, *flags, "--", sys.executable, *map(str, arguments)]


def start(folder: Path, count: int, *arguments: object) -> subprocess.Popen[str]:
    """Start them in a folder, in a group of processes of their own."""
    return subprocess.Popen(
        command(count, *arguments),
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def launched(folder: Path, count: int, *arguments: object, **how: Any) -> tuple[str, str]:
    """What they print on standard output and standard error."""
    return said(start(folder, count, *arguments), how.get("timeout", 120))


def said(process: subprocess.Popen[str], timeout: float = 60) -> tuple[str, str]:
    """What they have printed at their end; those that don't come to it are killed."""
    with process:
        try:
            return process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


def _free_ports(count: int) -> int:
    """The first of as many ports that nobody listens at."""
    while True:
        first = random.randrange(20_000, 30_000)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
        return first


def told(folder: Path, count: int, *arguments: object) -> list[dict[str, Any]]:
    """What each prints as a line of JSON that begins with its "rank", by that."""
    out, err = launched(folder, count, *arguments)
    lines = [line for line in out.splitlines() if line.startswith('{"rank"')]
    assert len(lines) == count, out + err
    return sorted(map(json.loads, lines), key=lambda found: found["rank"])
