#!/usr/bin/env python3
"""Compare mlxvid on this machine with golden data of the reference implementations.

Prints a line for each comparison, the worst of them last, and exits with 1 if any error is beyond
its tolerance or a file can't be compared. tests/golden/README.md describes the format.

example:
  scripts/check_golden.py FOLDER
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where tests/ stands

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from tests.golden.compare import compare


def main(argv: Sequence[str] | None = None) -> int:
    """Compare the folder that is named; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a folder of golden data")
    return 0 if compare(parser.parse_args(argv).folder) else 1


if __name__ == "__main__":
    sys.exit(main())
