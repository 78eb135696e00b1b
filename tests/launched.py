"""Scripts that `mlx.launch` runs in several processes of this machine, as on several machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LAUNCH = "from mlx._distributed_utils.launch import main; main()"


def launched(
    script: Path, machines: int, *given: str, timeout: float = 300
) -> list[dict[str, Any]]:
    """What each machine's process prints as its last line, JSON with its "rank", by rank."""
    command = [sys.executable, "-c", LAUNCH, "-n", str(machines), "--backend", "ring"]
    command += ["--python", sys.executable, "--", str(script), *given]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"rank"')]
    assert len(lines) == machines, done.stdout + done.stderr
    return sorted(map(json.loads, lines), key=lambda found: found["rank"])
