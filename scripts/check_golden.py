#!/usr/bin/env python3
"""Compare this machine's mlxvid with golden data: inputs, weights and outputs of the reference
implementations at tiny sizes.

Prints a line for each comparison, the worst of them last, and exits with 1 if any is beyond its
tolerance or can't be made.

examples:
  scripts/check_golden.py tests/golden/opensora12
  scripts/check_golden.py some/other/folder/in/that/format
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from golden import latte, pieces, rflow, sizes, stdit3, text, vae
from golden.files import Check

# How the names of the files begin that each check is made for.
CHECKS: dict[str, Callable[[Path], Iterator[Check]]] = {
    "latte": latte.check,
    "ops": pieces.check,
    "rflow_": rflow.check,
    "size_tables": sizes.check,
    "stdit3_": stdit3.check,
    "text_and_strategy": text.check,
    "vae": vae.check,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a folder of golden data")
    folder = parser.parse_args(arguments).folder
    names = sorted(
        path.name
        for path in folder.glob("*")
        if path.suffix in (".json", ".safetensors") and path.name != "manifest.json"
    )
    strange = [name for name in names if not name.startswith(tuple(CHECKS))]
    if strange:
        print(f"not compared, since nothing here knows them: {', '.join(strange)}")
    results, failed = [], False
    for prefix, check in CHECKS.items():
        if any(name.startswith(prefix) for name in names):
            try:
                for result in check(folder):
                    results.append(Check(*result))
                    print(line(results[-1]), flush=True)
            except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
                failed = True
                print(f"{prefix}*: can't be read or compared: {type(error).__name__}: {error}")
    if not results:
        print(f"{folder} holds no golden data that could be compared.")
        return 1
    worst = max(results, key=excess)
    print(f"worst: {line(worst)}")
    return int(failed or excess(worst) > 1)


def excess(result: Check) -> float:
    """The error as a share of its tolerance, above 1 if it is too far off; infinite where it should
    be 0 and is not.
    """
    if result.tolerance:
        return result.error / result.tolerance
    return math.inf if result.error else 0.0


def line(result: Check) -> str:
    verdict = "ok" if excess(result) <= 1 else "TOO FAR"
    return f"{result.name:<72} {result.error:8.2g} of {result.tolerance:<6g} {verdict}"


if __name__ == "__main__":
    sys.exit(main())
