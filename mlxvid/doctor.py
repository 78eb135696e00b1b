"""Whether this machine and this installation are well: ``python -m mlxvid.doctor``.

The checks are those of :mod:`mlxvid.run.checkup`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from .cli import parser as cli
from .run.checkup import Finding, checkup

EXAMPLES = """examples:
  python -m mlxvid.doctor          what is good, what could be better, what is wrong
  python -m mlxvid.doctor --json   the same as one JSON object

The exit code is 1 where something is wrong, else 0."""

EXIT_WRONG = 1
MARKS = {"good": " ", "note": "-", "wrong": "!"}


def parser() -> cli.Parser:
    """The flags."""
    p = cli.Parser(
        prog="python -m mlxvid.doctor",
        description=(__doc__ or "").split("\n")[0],
        epilog=EXAMPLES,
    )
    p.add_argument("--json", action="store_true", help="print one JSON object")
    return p


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    findings = checkup()
    if args.json:
        print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        print(text(findings))
    return EXIT_WRONG if any(finding.state == "wrong" for finding in findings) else 0


def text(findings: Sequence[Finding]) -> str:
    """The findings, one a line, and what to do about each on the line below."""
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.state]} {finding.name:<13}{finding.value}")
        if finding.advice:
            lines.append(f"{'':<15}-> {finding.advice}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
