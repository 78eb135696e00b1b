#!/usr/bin/env python3
"""A contact sheet of the embedded model, as in the README: one row a prompt, time to the right.

example:
  scripts/sheet.py docs/mini.png --seed 7
"""

from __future__ import annotations

import argparse

import mlxvid
from mlxvid.media.clip import contact_sheet

PROMPTS = (
    "a red ball bouncing on a navy background",
    "a large yellow star spinning on a dusk background",
    "a small green cross thrown through the air to the right on a white background",
    "a blue ring orbiting on a beige background",
    "an orange ball passing behind a purple square on a gray background",
    "a pink triangle, its shadow follows the light moving right on a black background",
)


def main() -> None:
    """Make the clips and write the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", help="the PNG to write")
    parser.add_argument(
        "--prompt",
        action="append",
        help="a row's prompt instead of the usual ones; may be given again",
    )
    parser.add_argument("--model", default="mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--columns", type=int, default=9)
    args = parser.parse_args()
    pipe = mlxvid.load(args.model)
    clips = [pipe.generate(prompt, seed=args.seed) for prompt in args.prompt or PROMPTS]
    contact_sheet(clips, args.columns).save(args.out)


if __name__ == "__main__":
    main()
