"""The command line: ``python -m mlxvid.convert SOURCE --out DIR``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from mlxvid.cli import parser as cli
from mlxvid.cli.console import console
from mlxvid.errors import CancelledError

from .convert import convert
from .look import look

DESCRIPTION = """\
Import a model: an original release, or a folder in the Diffusers layout, becomes a folder that
mlxvid loads. PyTorch is not needed, and no code in a checkpoint is run. An interrupted import is
resumed by running it again."""
EXAMPLES = """examples:
  python -m mlxvid.convert Wan-AI/Wan2.1-T2V-1.3B --out wan-1.3b
  python -m mlxvid.convert Wan2.1-I2V-14B-480P --out wan-i2v --quantize 4 --quantize-text 8
  python -m mlxvid.convert runs/mini/model --out my-mini --dtype float16
"""
STOPPED = "Stopped; run it again to resume after the last weight file that was finished."
# What --quantize-text stands for in :func:`convert`.
TEXT_BITS = {None: None, "none": 0, "4": 4, "8": 8}


def parser() -> cli.Parser:
    """The flags."""
    p = cli.Parser(prog="python -m mlxvid.convert", description=DESCRIPTION, epilog=EXAMPLES)
    p.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder, a hub repository (owner/name), or a name of mlxvid's catalog",
    )
    p.add_argument(
        "--out",
        metavar="DIR",
        help="the folder to write; a model in it is replaced",
    )
    p.add_argument(
        "--dtype",
        default="bfloat16",
        metavar="TYPE",
        help="float32, bfloat16 or float16 (default: bfloat16)",
    )
    p.add_argument(
        "--quantize",
        type=int,
        choices=(4, 8),
        help="bits per weight: to fit in memory, not for speed",
    )
    p.add_argument(
        "--quantize-text",
        choices=[name for name in TEXT_BITS if name],
        help="bits per weight of the text encoder (default: as --quantize)",
    )
    p.add_argument("--revision", metavar="REV", help="revision of the hub repository")
    p.add_argument(
        "--look",
        action="store_true",
        help="say what SOURCE is, a folder or a file here, and write nothing",
    )
    cli.add_progress(p)
    return p


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    p = parser()
    args = p.parse_args(argv)
    if args.look:
        _say_what_it_is(args.source, args.progress)
        return 0
    if not args.out:
        p.error("the following arguments are required: --out")
    start = time.monotonic()
    with console(args.progress) as (emit, on_progress):
        try:
            out = convert(
                args.source,
                args.out,
                args.dtype,
                quantize=args.quantize,
                quantize_text=TEXT_BITS[args.quantize_text],
                revision=args.revision,
                on_progress=on_progress,
            )
        except KeyboardInterrupt as stop:  # one during a download has its own message
            raise CancelledError(str(stop) or STOPPED) from None
        emit("converted", path=str(out), seconds=round(time.monotonic() - start, 2))
    if args.progress != "json":
        print(out)
    return 0


def _say_what_it_is(source: str, progress: str) -> None:
    with console(progress) as (emit, _):
        title = look(source)
        emit("recognised", title=title)
    if progress != "json":
        print(title)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
