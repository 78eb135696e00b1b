#!/usr/bin/env python3
"""How fast, and how much memory, on this machine. Every comparison is made in one run, so that
ratios mean something.

examples:
  scripts/bench.py mini       command to file, a step, and step time against frames for the three
  ways of attention scripts/bench.py kernels    the Metal kernels beside plain MLX and the computed
  roofline scripts/bench.py wan        a step and a decode beside Diffusers; a step of the 1.3B at
  its real size, whole and in 4 bits scripts/bench.py latte opensora   a step of each beside
  Diffusers' Latte
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mlxvid  # first, so that OpenBLAS is loaded before MLX
from mlxvid.cli.parser import Parser, run

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
    """The embedded model: from the command to the file, and what the three ways of attention cost
    as clips grow longer.
    """
    import mlx.core as mx

    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "mlxvid.generate",
            "--progress",
            "none",
            "--seed",
            "1",
            "--prompt",
            "a red ball bouncing",
        ]
        command += ["-o", str(Path(folder) / "clip.mp4")]
        whole = seconds(lambda: subprocess.run(command, check=True, capture_output=True), repeats)
    print(f"command to file, default clip: {whole:.2f} s (median of {repeats})")

    pipe = mlxvid.load("mini")
    stages: dict[str, float] = {}
    mx.reset_peak_memory()
    pipe.generate(
        "a red ball bouncing", seed=1, on_progress=lambda p: stages.__setitem__(p.stage, p.elapsed)
    )
    steps = pipe.model.defaults.steps
    print(
        f"denoise {stages['denoise'] / steps * 1000:.0f} ms a step ({steps} steps, guidance), decode {stages['decode']:.2f} s, "
        f"peak memory {mx.get_peak_memory() / 2**20:.0f} MiB"
    )

    network = pipe.model.network("transformer")
    text, mask = mx.zeros((1, 8, network.config.text_dim)), mx.ones((1, 8), dtype=mx.bool_)
    channels = network.config.in_channels
    table: dict[str, list[float]] = {mode: [] for mode in MODES}
    print(f"\none call of the transformer at 96x96, milliseconds (median of {repeats})")
    print(
        f"{'frames':>8}{'tokens':>8}"
        + "".join(f"{mode:>10}" for mode in MODES)
        + f"{'full/factored':>16}"
    )
    for frames in LENGTHS:
        latent = pipe.model.geometry.latent_shape(frames, 96, 96)
        x, condition = (
            mx.random.normal((1, *latent, channels)),
            mx.zeros((1, *latent, channels + 1)),
        )
        for mode in MODES:
            call = lambda mode=mode: mx.eval(
                network(x, condition, mx.array([0.5]), text, mask, mode)
            )  # noqa: E731, B023
            table[mode].append(seconds(call, repeats))
        tokens = latent[0] * latent[1] * latent[2] // 4
        row = "".join(f"{table[mode][-1] * 1000:10.1f}" for mode in MODES)
        print(f"{frames:8}{tokens:8}{row}{table['full'][-1] / table['factored'][-1]:16.2f}")
    grown = [1 + (frames - 1) // 4 for frames in LENGTHS]
    print(
        "exponent"
        + " " * 8
        + "".join(f"{exponent(grown, table[mode]):10.2f}" for mode in MODES)
        + "   (time ~ latent frames ^ exponent)"
    )


def kernels(repeats: int) -> None:
    """The Metal kernels."""
    import bench_kernels

    bench_kernels.main([])


def wan(repeats: int) -> None:
    """Wan 2.1 beside Diffusers on mid-size random weights, and the 1.3B's transformer at its real
    size.
    """
    import bench_reference

    for case in ("wan-step", "wan-decode"):
        bench_reference.compare(case, max(1, repeats // 2), os.cpu_count() or 1)
    wan_real_size()


def wan_real_size() -> None:
    """One call of the 1.3B transformer with random weights on a small latent, in float32 and in 4
    bits: that it runs, time and memory.
    """
    import mlx.core as mx
    import mlx.nn as nn
    from mlx.utils import tree_map

    from mlxvid.models.wan.config import WanTransformerConfig
    from mlxvid.models.wan.transformer import WanTransformer3DModel

    # Few tokens and words: MLX's quantized product takes about a second a token on a CPU.
    x, text = mx.random.normal((1, 1, 4, 8, 16)), mx.random.normal((1, 8, 4096))
    network = WanTransformer3DModel(
        WanTransformerConfig(num_attention_heads=12, ffn_dim=8960, num_layers=30)
    )
    network.update(
        tree_map(lambda p: mx.random.uniform(-0.03, 0.03, p.shape), network.parameters())
    )
    for name in ("float32", "4-bit"):
        if name == "4-bit":
            nn.quantize(network, 64, 4, class_predicate=network.quantizable)
        mx.eval(network.parameters())
        mx.clear_cache()
        mx.reset_peak_memory()
        start = time.perf_counter()
        mx.eval(network(x, mx.array([500.0]), text))
        taken = time.perf_counter() - start
        print(
            f"1.3B {name:<8} 8 tokens: {taken:6.1f} s a call, peak memory {mx.get_peak_memory() / 2**30:.2f} GiB"
        )


def latte(repeats: int) -> None:
    """Latte beside Diffusers on mid-size random weights."""
    import bench_reference

    bench_reference.compare("latte-step", max(1, repeats // 2), os.cpu_count() or 1)


def opensora(repeats: int) -> None:
    """Open-Sora's blocks beside those of Diffusers' Latte, at the same size."""
    import bench_reference

    bench_reference.compare("opensora-step", max(1, repeats // 2), os.cpu_count() or 1)


BENCHES = {"mini": mini, "kernels": kernels, "wan": wan, "latte": latte, "opensora": opensora}


@run
def main(argv: list[str] | None = None) -> int:
    """Run the named benches; returns the exit code."""
    parser = Parser(prog="scripts/bench.py", description=__doc__)
    parser.add_argument("what", nargs="+", choices=tuple(BENCHES))
    parser.add_argument("--repeats", type=int, default=5)
    args: argparse.Namespace = parser.parse_args(argv)
    for what in args.what:
        BENCHES[what](args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
