#!/usr/bin/env python3
"""How fast mlxvid is, and how much memory it takes, on this machine.

What is compared is measured in one run, so that ratios mean something.

examples:
  scripts/bench.py mini                       the embedded model, from command to file
  scripts/bench.py kernels                    the Metal kernels: computed and, on a Mac, measured
  scripts/bench.py kernels --markdown         the table of docs/kernels.md
  scripts/bench.py heads                      whether to set MLXVID_PADDED_HEADS on this Mac
  scripts/bench.py attention                  the tables of docs/factored-attention.md
  scripts/bench.py attention --width 1152 --size 256 --frames 5 10 15     nearer to released sizes
  scripts/bench.py reference                  every family beside its reference
  scripts/bench.py reference FAMILY --rounds 5 --threads 1
  scripts/bench.py previews                   what rough previews cost, and how good they are
  scripts/bench.py speed                      fewer evaluations: the table of docs/speed.md
  scripts/bench.py graph                      launches and bytes of a block: the other table there
  scripts/bench.py gui                        the window's stalls while a clip is made
  scripts/bench.py gallery                    the gallery of a library of 3,000 clips
  scripts/bench.py gui --idle clip.mp4        the same on one clip, while nothing is made
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where scripts/ stands

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from mlxvid.cli import parser as cli
from scripts.benchmarks import attention, graph, heads, kernels, mini, previews, reference, savings
from scripts.benchmarks.families import benched_families


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments; `run` is the function of the bench that is asked for."""
    parser = cli.Parser(prog="scripts/bench.py", description=__doc__)
    benches = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    add_mini(benches.add_parser("mini", help="the embedded model", description=mini.__doc__))
    add_kernels(
        benches.add_parser("kernels", help="the Metal kernels", description=kernels.__doc__)
    )
    add_heads(benches.add_parser("heads", help="wider heads", description=heads.__doc__))
    add_attention(
        benches.add_parser(
            "attention", help="three ways of attention", description=attention.__doc__
        )
    )
    add_reference(
        benches.add_parser(
            "reference", help="families beside their references", description=reference.__doc__
        )
    )
    add_previews(
        benches.add_parser("previews", help="rough previews", description=previews.__doc__)
    )
    add_speed(benches.add_parser("speed", help="fewer evaluations", description=savings.__doc__))
    add_graph(benches.add_parser("graph", help="bytes of a block", description=graph.__doc__))
    add_gui(benches.add_parser("gui", help="the app's window"))
    add_gallery(benches.add_parser("gallery", help="the gallery of a large library"))
    return parser.parse_args(argv)


def add_mini(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=cli.whole, default=5, metavar="N")
    parser.set_defaults(run=lambda args: mini.bench(args.repeats))


def add_kernels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=cli.whole, default=10, metavar="N", help="of ten calls")
    parser.add_argument("--markdown", action="store_true", help="print only the computed table")
    parser.set_defaults(run=lambda args: kernels.bench(args.repeats, args.markdown))


def add_heads(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=cli.whole, default=20, metavar="N")
    parser.set_defaults(run=lambda args: heads.bench(args.repeats))


def add_attention(parser: argparse.ArgumentParser) -> None:
    families = attention.families()
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"of {', '.join(families)} (default: all)"
    )
    parser.add_argument(
        "--width",
        type=cli.whole,
        default=2 * attention.HEAD_DIM,
        metavar="N",
        help=f"a multiple of {attention.HEAD_DIM}, a head's size (default: %(default)s)",
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

    def run(args: argparse.Namespace) -> None:
        names = chosen(parser, args.families, families)
        if args.width % attention.HEAD_DIM:
            parser.error(f"--width must be a multiple of {attention.HEAD_DIM}, not {args.width}")
        attention.bench(names, args.width, args.size, args.frames, args.repeats)

    parser.set_defaults(run=run)


def add_reference(parser: argparse.ArgumentParser) -> None:
    families = benched_families()
    parser.add_argument(
        "families", nargs="*", metavar="FAMILY", help=f"of {', '.join(families)} (default: all)"
    )
    parser.add_argument("--rounds", type=cli.whole, default=3, metavar="N", help="processes a side")
    parser.add_argument("--threads", type=cli.whole, default=os.cpu_count() or 1, metavar="N")

    def run(args: argparse.Namespace) -> None:
        names = chosen(parser, args.families, families)
        reference.bench(names, args.rounds, args.threads)

    parser.set_defaults(run=run)


def add_previews(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=cli.whole, default=10, metavar="N")
    parser.set_defaults(run=lambda args: previews.bench(args.repeats))


def add_gallery(parser: argparse.ArgumentParser) -> None:
    """Arguments of the bench of the gallery."""
    parser.add_argument("--clips", type=int, default=3000, help="in the library (%(default)s)")
    parser.set_defaults(run=run_gallery)


def run_gallery(args: argparse.Namespace) -> None:
    """The bench of the gallery, which needs Qt."""
    from scripts.benchmarks import gallery

    gallery.bench(args.clips)


def add_speed(parser: argparse.ArgumentParser) -> None:
    """Arguments of the bench of fewer evaluations."""
    parser.add_argument("--count", type=cli.whole, default=300, metavar="N", help="prompts")
    parser.add_argument("--size", type=cli.size, default=(64, 64), metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=cli.frames, default=17, metavar="N")
    parser.add_argument(
        "--results", type=Path, default=Path("speed.jsonl"), help="kept clip by clip (%(default)s)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.set_defaults(
        run=lambda args: savings.bench(args.count, args.size, args.frames, args.results, args.plot)
    )


def add_graph(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=lambda args: graph.bench())


def add_gui(parser: argparse.ArgumentParser) -> None:
    parser.description = "How long the app's window stands still while it plays and makes clips."
    parser.add_argument(
        "clips", nargs="*", type=Path, metavar="CLIP", help="to play (default: two made for it)"
    )
    parser.add_argument(
        "--seconds", type=cli.positive, default=10, metavar="S", help="for each clip"
    )
    parser.add_argument("--idle", action="store_true", help="while nothing is being made")
    parser.add_argument("--display", action="store_true", help="in a window that can be seen")

    def run(args: argparse.Namespace) -> None:
        from scripts.benchmarks import window  # the only one that needs PySide6

        window.bench(args.clips, args.seconds, args.idle, args.display)

    parser.set_defaults(run=run)


def chosen(
    parser: argparse.ArgumentParser, names: Sequence[str], families: Sequence[str]
) -> Sequence[str]:
    """The families that are named, or all of them."""
    for name in names:
        if name not in families:
            parser.error(f"there is no bench of {name!r}, only of {', '.join(families)}")
    return names or families


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run one bench; returns the exit code."""
    args = parse(argv)
    args.run(args)
    return 0


if __name__ == "__main__":
    sys.exit(main(None))
