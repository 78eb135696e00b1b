#!/usr/bin/env python3
"""What factored, full and spatial attention cost as clips grow longer: attention pairs, and the time of one call of the same blocks.

The blocks are Latte's and Open-Sora's (STDiT3), with random weights, narrower and fewer than the released ones so that a processor can
run them: what is compared is how the three ways grow. Prints the tables of docs/factored-attention.md.

examples:
  scripts/bench_attention.py                       the tables of the page, in less than a minute
  scripts/bench_attention.py --width 1152 --size 256 --frames 5 10 15 --models opensora   nearer to the released size
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
from bench import MODES, exponent
from mlx.utils import tree_map

from mlxvid import cli
from mlxvid.geometry import Geometry, plan_geometry
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.latte.transformer import LatteTransformer3DModel
from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.transformer import STDiT3

HEAD_DIM, DEPTH, TEXT, TEXT_WIDTH = 72, 2, 20, 64
# Latent frames as they are denoised: pixels a latent position on each side, none in time.
GEOMETRY = Geometry(t_factor=1, s_factor=8, channels=4, patch=(1, 2, 2), causal=False)

Call = Callable[[mx.array, str], mx.array]


def randomised(network: nn.Module) -> nn.Module:
    network.update(tree_map(lambda weight: mx.random.normal(weight.shape) * 0.02, network.parameters()))
    mx.eval(network.parameters())
    return network


def latte(width: int, frames: int, size: int) -> Call:
    """One call of Latte's transformer, made for clips of `frames`."""
    config = LatteConfig(
        num_attention_heads=width // HEAD_DIM, attention_head_dim=HEAD_DIM, in_channels=4, out_channels=8, num_layers=DEPTH,
        cross_attention_dim=width, attention_bias=True, activation_fn="gelu-approximate", norm_type="ada_norm_single",
        norm_elementwise_affine=False, caption_channels=TEXT_WIDTH, video_length=frames,
    )  # fmt: skip
    network, text = randomised(LatteTransformer3DModel(config)), mx.random.normal((1, TEXT, TEXT_WIDTH))
    return lambda x, mode: network(x, mx.array([500.0]), text, mode)


def opensora(width: int, frames: int, size: int) -> Call:
    """One call of Open-Sora's transformer, for clips of size x size pixels."""
    config = STDiT3Config(hidden_size=width, depth=DEPTH, num_heads=width // HEAD_DIM, caption_channels=TEXT_WIDTH)
    network, text = randomised(STDiT3(config)), mx.random.normal((1, TEXT, TEXT_WIDTH))
    return lambda x, mode: network(x, mx.array([500.0]), text, None, mx.array([24.0]), size, size, attention=mode)


MODELS = {"latte": latte, "opensora": opensora}


def milliseconds(calls: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The shortest time of each call, which are made in turn: what else the machine does can only add to it.

    On the CPU it is the processor's time, which other programs take no part of; on a GPU time as it passes.
    """
    clock = time.process_time if mx.default_device() == mx.cpu else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + repeats):
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(1000 * (clock() - start))
    return {name: min(taken[1:]) for name, taken in times.items()}  # the first is not counted


def table(name: str, width: int, size: int, lengths: list[int], repeats: int) -> None:
    """Print one model's table: pairs a head and layer, and milliseconds."""
    print(f"\n{name}: {DEPTH} spatial and {DEPTH} temporal blocks of width {width}, {size}x{size} pixels; the best of {repeats} calls\n")
    columns = ["latent frames", "tokens", *(f"pairs, {mode}" for mode in MODES), *(f"ms, {mode}" for mode in MODES), "full / factored"]
    print(f"| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}")
    taken: dict[str, list[float]] = {mode: [] for mode in MODES}
    for frames in lengths:
        counts = plan_geometry(frames, size, size, GEOMETRY)
        pairs = {"factored": counts.pairs_factored, "full": counts.pairs_full, "spatial": counts.pairs_spatial}
        call, x = MODELS[name](width, frames, size), mx.random.normal((1, *counts.latent_shape, 4))
        times = milliseconds({mode: lambda mode=mode: mx.eval(call(x, mode)) for mode in MODES}, repeats)  # noqa: B023
        for mode in MODES:
            taken[mode].append(times[mode])
        cells = [*(f"{pairs[mode]:,}" for mode in MODES), *(f"{times[mode]:.0f}" for mode in MODES)]
        print(f"| {frames} | {counts.tokens:,} | {' | '.join(cells)} | {times['full'] / times['factored']:.2f} |", flush=True)
    print(f"\nTime grows as frames to the power of: {', '.join(f'{mode} {exponent(lengths, taken[mode]):.2f}' for mode in MODES)}.")


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Print the tables; returns the exit code."""
    parser = cli.Parser(prog="scripts/bench_attention.py", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=sorted(MODELS))
    parser.add_argument("--width", type=cli.whole, default=2 * HEAD_DIM, metavar="N", help=f"a multiple of {HEAD_DIM}, a head's size")
    parser.add_argument("--size", type=cli.side, default=128, metavar="PIXELS", help="of the square frames")
    parser.add_argument("--frames", nargs="+", type=cli.frames, default=[4, 8, 16, 32, 64], metavar="N", help="latent frames")
    parser.add_argument("--repeats", type=cli.whole, default=3, metavar="N")
    args = parser.parse_args(argv)
    if args.width % HEAD_DIM:
        parser.error(f"--width must be a multiple of {HEAD_DIM}, not {args.width}")
    for name in args.models:
        table(name, args.width, args.size, args.frames, args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
