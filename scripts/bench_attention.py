#!/usr/bin/env python3
"""What factored, full and spatial attention cost as clips grow longer: attention pairs, and the
time of one call of the same blocks.

The blocks are Latte's and Open-Sora's (STDiT3), with random weights, narrower and fewer than the
released ones so that a processor can run them: what is compared is how the three ways grow. Prints
the tables of docs/factored-attention.md.

examples:
  scripts/bench_attention.py                       the tables of the page, in less than a minute
  scripts/bench_attention.py --width 1152 --size 256 --frames 5 10 15 --models opensora   nearer to
  the released size
"""

from __future__ import annotations

import sys

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from bench import exponent

from mlxvid.cli import parser as cli
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.run import attention_costs as growth

HEAD_DIM, DEPTH = 72, 2
MODELS = ("latte", "opensora")


def table(name: str, width: int, size: int, lengths: list[int], repeats: int) -> None:
    """Print one model's table: pairs a head and layer, and milliseconds."""
    print(
        f"\n{name}: {DEPTH} spatial and {DEPTH} temporal blocks of width {width}, {size}x{size} pixels; the best of {repeats} calls\n"
    )
    blocks = growth.Blocks(
        name,
        width // HEAD_DIM,
        HEAD_DIM,
        DEPTH,
        channels=4,
        latent=(size // 8, size // 8),
        patch=(1, 2, 2),
    )
    measured = []
    for line in growth.lines(
        measured.append(row) or row for row in growth.rows(blocks, lengths, repeats)
    ):
        print(line, flush=True)
    exponents = (
        f"{mode} {exponent(lengths, [row.milliseconds[mode] for row in measured]):.2f}"
        for mode in ATTENTION_MODES
    )
    print(f"\nTime grows as frames to the power of: {', '.join(exponents)}.")


@cli.run
def main(argv: list[str] | None = None) -> int:
    """Print the tables; returns the exit code."""
    parser = cli.Parser(prog="scripts/bench_attention.py", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument(
        "--width",
        type=cli.whole,
        default=2 * HEAD_DIM,
        metavar="N",
        help=f"a multiple of {HEAD_DIM}, a head's size",
    )
    parser.add_argument(
        "--size", type=cli.side, default=128, metavar="PIXELS", help="of the square frames"
    )
    parser.add_argument(
        "--frames",
        nargs="+",
        type=cli.frames,
        default=[4, 8, 16, 32, 64],
        metavar="N",
        help="latent frames",
    )
    parser.add_argument("--repeats", type=cli.whole, default=3, metavar="N")
    args = parser.parse_args(argv)
    if args.width % HEAD_DIM:
        parser.error(f"--width must be a multiple of {HEAD_DIM}, not {args.width}")
    for name in args.models:
        table(name, args.width, args.size, args.frames, args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
