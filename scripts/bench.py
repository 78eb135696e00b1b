#!/usr/bin/env python3
"""How fast, and how much memory, on this machine. Every comparison is made in one run, so that ratios mean something.

examples:
  scripts/bench.py mini       command to file, a step, and step time against frames for the three ways of attention
  scripts/bench.py kernels    the Metal kernels beside plain MLX and the computed roofline
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlxvid  # first, so that OpenBLAS is loaded before MLX
from mlxvid.cli import Parser, run

LENGTHS = (9, 17, 33, 65, 129)
MODES = ("factored", "full", "spatial")


def seconds(function: Callable[[], object], repeats: int) -> float:
    """The median time of `repeats` calls, after one that is not counted."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def exponent(sizes: list[float], times: list[float]) -> float:
    """The slope of log time over log size by least squares: 1 for linear cost, 2 for quadratic."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def mini(repeats: int) -> None:
    """The embedded model: from the command to the file, and what the three ways of attention cost as clips grow longer."""
    import mlx.core as mx

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mlxvid.generate", "--progress", "none", "--seed", "1", "--prompt", "a red ball bouncing"]
        command += ["-o", str(Path(folder) / "clip.mp4")]
        whole = seconds(lambda: subprocess.run(command, check=True, capture_output=True), repeats)
    print(f"command to file, default clip: {whole:.2f} s (median of {repeats})")

    pipe = mlxvid.load("mini")
    stages: dict[str, float] = {}
    mx.reset_peak_memory()
    pipe.generate("a red ball bouncing", seed=1, on_progress=lambda p: stages.__setitem__(p.stage, p.elapsed))
    steps = pipe.family.defaults.steps
    print(f"denoise {stages['denoise'] / steps * 1000:.0f} ms a step ({steps} steps, guidance), decode {stages['decode']:.2f} s, "
          f"peak memory {mx.get_peak_memory() / 2**20:.0f} MiB")  # fmt: skip

    network = pipe.family.network("transformer")
    text, mask = mx.zeros((1, 8, network.config.text_dim)), mx.ones((1, 8), dtype=mx.bool_)
    channels = network.config.in_channels
    table: dict[str, list[float]] = {mode: [] for mode in MODES}
    print(f"\none call of the transformer at 96x96, milliseconds (median of {repeats})")
    print(f"{'frames':>8}{'tokens':>8}" + "".join(f"{mode:>10}" for mode in MODES) + f"{'full/factored':>16}")
    for frames in LENGTHS:
        latent = pipe.family.geometry.latent_shape(frames, 96, 96)
        x, condition = mx.random.normal((1, *latent, channels)), mx.zeros((1, *latent, channels + 1))
        for mode in MODES:
            call = lambda mode=mode: mx.eval(network(x, condition, mx.array([0.5]), text, mask, mode))  # noqa: E731, B023
            table[mode].append(seconds(call, repeats))
        tokens = latent[0] * latent[1] * latent[2] // 4
        row = "".join(f"{table[mode][-1] * 1000:10.1f}" for mode in MODES)
        print(f"{frames:8}{tokens:8}{row}{table['full'][-1] / table['factored'][-1]:16.2f}")
    grown = [1 + (frames - 1) // 4 for frames in LENGTHS]
    print(
        "exponent" + " " * 8 + "".join(f"{exponent(grown, table[mode]):10.2f}" for mode in MODES) + "   (time ~ latent frames ^ exponent)"
    )


def kernels(repeats: int) -> None:
    """The Metal kernels."""
    import bench_kernels

    bench_kernels.main([])


@run
def main(argv: list[str] | None = None) -> int:
    """Run the named benches; returns the exit code."""
    parser = Parser(prog="scripts/bench.py", description=__doc__)
    parser.add_argument("what", nargs="+", choices=("mini", "kernels"))
    parser.add_argument("--repeats", type=int, default=5)
    args: argparse.Namespace = parser.parse_args(argv)
    for what in args.what:
        {"mini": mini, "kernels": kernels}[what](args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
