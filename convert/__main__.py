"""``python -m mlxvid.convert SOURCE --out DIR --dtype float16``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mlxvid import cli

from .convert import convert

EXAMPLES = """examples:
  python -m mlxvid.convert runs/mini/model --out my-mini --dtype float16
"""


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = cli.Parser(prog="python -m mlxvid.convert", description="Rewrite a model folder in another type.", epilog=EXAMPLES)
    parser.add_argument("source", type=Path, help="a model folder in the Diffusers layout")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder to write")
    parser.add_argument("--dtype", default="bfloat16", metavar="TYPE", help="float32, bfloat16 or float16 (default: bfloat16)")
    args = parser.parse_args(argv)
    print(convert(args.source, args.out, args.dtype))
    return 0


if __name__ == "__main__":
    sys.exit(main())
