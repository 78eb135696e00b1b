"""mlxvid beside its references on this machine's CPU: time and memory of one call.

Both have mid-size random weights of the same shapes. Each side runs in processes of its own, by
turns; the time is the median of the calls, the memory the most that the process took beyond its
imports, weights included.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from mlxvid.errors import MlxvidError

from .families import Case, family_bench
from .timing import seconds

ROOT = Path(__file__).resolve().parents[2]
CALLS = 3  # timed calls a process
OURS = "mlxvid"
THEIRS = "reference"
# What a side imports before its memory is first looked at.
IMPORTS = {OURS: "mlxvid.weights.loading", THEIRS: "diffusers.models"}


class Found(NamedTuple):
    """Seconds of every call of a process, and the bytes that it took at most."""

    seconds: list[float]
    size: int


def bench(families: Sequence[str], rounds: int, threads: int) -> None:
    """Compare every case of the families, and measure what they have at its real size."""
    for family in families:
        module = family_bench(family)
        for case in module.CASES:
            compare(family, case, rounds, threads)
        if hasattr(module, "at_real_size"):
            # In a process of its own: what it holds would count as the next ones' peak.
            subprocess.run([sys.executable, "-m", __name__, family], cwd=ROOT, check=True)


def compare(family: str, case: str, rounds: int, threads: int) -> None:
    """Measure both sides by turns in `rounds` processes each; print their medians and ratios."""
    found: dict[str, list[Found]] = {OURS: [], THEIRS: []}
    for _ in range(rounds):
        for side, results in found.items():
            results.append(in_a_process(family, case, side, threads))
    name = f"{family}-{case}"
    times = {}
    sizes = {}
    for side, results in found.items():
        times[side] = statistics.median(t for result in results for t in result.seconds)
        sizes[side] = max(result.size for result in results) / 2**20
        print(f"{name:<15}{side:<10}{times[side]:8.3f} s{sizes[side]:8.0f} MiB")
    time_ratio = times[OURS] / times[THEIRS]
    size_ratio = sizes[OURS] / sizes[THEIRS]
    how = f"({OURS} / {THEIRS}, {threads} threads)"
    print(f"{name:<15}{'ratio':<10}{time_ratio:8.2f}  {size_ratio:8.2f}   {how}", flush=True)


def in_a_process(family: str, case: str, side: str, threads: int) -> Found:
    """Measure one side in a process of its own."""
    count = str(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
    command = [sys.executable, "-m", __name__, family, case, side]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if run.returncode:
        reason = run.stderr.strip().splitlines()[-1]
        raise MlxvidError(f"{side} failed at {family}-{case}: {reason}")
    return Found(**json.loads(run.stdout.splitlines()[-1]))


def measure(case: Case, side: str) -> Found:
    """Measure one side in this process."""
    import_module(IMPORTS[side])
    before = peak_bytes()
    if side == OURS:
        call = case.ours()
    else:
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.set_grad_enabled(False)
        call = case.theirs()
    times = seconds(call, CALLS)
    return Found(times, peak_bytes() - before)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, kilobytes here
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Measure the side that the command line names and print it as JSON, or the real size."""
    family, *one = sys.argv[1:]
    module = family_bench(family)
    if one:
        case, side = one
        print(json.dumps(measure(module.CASES[case], side)._asdict()))
    else:
        module.at_real_size()


if __name__ == "__main__":
    main()
