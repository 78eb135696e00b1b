#!/usr/bin/env python3
"""Score the embedded model by its clips: colour, shape and motion of what was asked for.

The prompts are captions of newly drawn scenes; half of them pair attributes that training never
shows together. Each clip is judged by detect.py, which doesn't know the prompt. The same is done to
the drawn scenes themselves (what the detector can see at best) and to their passage through the VAE
(what the transformer could reach at best). Then the three ways of attention are compared by how
steadily a thing keeps its colour, its size and its path.

example:
  python scripts/training/score.py --count 300 --json scores.json --sheet scores.png
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # where scripts/ stands

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
from mlxvid.cli import parser as cli
from mlxvid.errors import MediaError
from mlxvid.model.geometry import ATTENTION_MODES
from scripts.training import scores, tables
from scripts.training.scores import Case, Make, Verdict

# The VAE's row and PSNR are taken on the first scenes: they settle long before the transformer's.
VAE_CLIPS = 100
SHEET_CLIPS = 24


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = cli.Parser(prog="scripts/training/score.py", description=__doc__)
    parser.add_argument("--model", default="mini", help="catalog name or folder (default: mini)")
    parser.add_argument(
        "--count",
        type=cli.whole,
        default=300,
        help="prompts, half of them of unseen combinations (default: 300)",
    )
    parser.add_argument(
        "--consistency",
        type=int,
        default=40,
        help="clips for each way of attention in the second table, 0 for none (default: 40)",
    )
    parser.add_argument(
        "--size", type=cli.size, default=(96, 96), help="WIDTHxHEIGHT (default: 96x96)"
    )
    parser.add_argument("--frames", type=cli.frames, default=33, help="frames a clip (default: 33)")
    parser.add_argument("--steps", type=cli.whole, help="denoising steps (default: the model's)")
    parser.add_argument(
        "--guidance", type=cli.not_negative, help="guidance scale (default: the model's)"
    )
    parser.add_argument(
        "--attention",
        nargs="+",
        choices=ATTENTION_MODES,
        default=list(ATTENTION_MODES),
        help="ways to compare; the first is the one scored (default: all)",
    )
    parser.add_argument("--seed", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write every number and miss here"
    )
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.png",
        help="write a contact sheet of the first 24 clips here",
    )
    args = parser.parse_args(argv)
    if args.consistency < 0:
        parser.error(f"--consistency must be a whole number from 0 up, not {args.consistency}")
    return args


def check_target(path: Path | None) -> None:
    """Raise MediaError now, not after an hour of scoring, where a file can't be written."""
    if path is None:
        return
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise MediaError(
            f"{path} can't be written: name a file in an existing folder that is yours to write in."
        )


class Scoring:
    """A model's scoring: prompts, what makes clips, and what comes of them."""

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.pipe = mlxvid.load(args.model)
        self.width, self.height = args.size
        self.options: dict[str, Any] = {
            "width": self.width,
            "height": self.height,
            "frames": args.frames,
            "steps": args.steps,
            "guidance": args.guidance,
        }
        self.sheet: list[tuple[str, np.ndarray]] = []
        self.noise: list[float] = []  # dB PSNR of each clip through the VAE

    def maker(self, attention: str) -> Make:
        """What makes the model's clips in one of the ways of attention."""
        return lambda prompt, seed: (
            self.pipe.generate(prompt, seed=seed, attention=attention, **self.options).frames
        )

    def keep(self, case: Case, frames: np.ndarray) -> None:
        """Keep the first clips for the sheet."""
        if len(self.sheet) < SHEET_CLIPS:
            self.sheet.append((case.prompt, frames))

    def accuracy(self) -> dict[str, Sequence[Verdict]]:
        """The verdicts on drawn scenes, on these through the VAE, and on the model's clips."""
        args = self.args
        some = scores.cases(args.count, args.frames, self.height, self.width, args.seed)
        truth = scores.drawn(some)

        def through_vae(prompt: str, seed: int) -> np.ndarray:
            clip = truth(prompt, seed)
            again = self.pipe.reconstruct(clip)
            self.noise.append(scores.psnr(clip, again))
            return again

        make = self.maker(args.attention[0])
        return {
            "drawn": scores.score(truth, shown(some, "drawn")),
            "drawn, through the VAE": scores.score(through_vae, shown(some[:VAE_CLIPS], "VAE")),
            args.model: scores.score(make, shown(some, args.model), self.keep),
        }

    def steadiness(self) -> dict[str, dict[str, float]]:
        """The steadiness of drawn clips and of each way of attention."""
        args = self.args
        some = scores.steady_cases(
            args.consistency, args.frames, self.height, self.width, args.seed
        )
        makers = {"drawn": scores.drawn(some)}
        for mode in args.attention:
            makers[mode] = self.maker(mode)
        rows = {}
        for name, make in makers.items():
            rows[name] = scores.steadiness(make, shown(some, f"{name}, steadiness"))
        return rows


def shown(some: Sequence[Case], name: str) -> Iterable[Case]:
    """The cases, with a progress bar."""
    return tqdm(some, name)


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Score a model, print the tables, and write what was asked for; returns the exit code."""
    args = parse(argv)
    for path in (args.json, args.sheet):
        check_target(path)
    scoring = Scoring(args)
    rows = scoring.accuracy()
    verdicts = rows[args.model]
    print(tables.accuracy_table(rows), tables.motion_table(verdicts), sep="\n\n")
    for line in filter(None, map(tables.miss, verdicts)):
        print(line)
    psnr = float(np.mean(scoring.noise))
    print(f"\nVAE: {psnr:.2f} dB PSNR over {len(scoring.noise)} clips")
    steady = scoring.steadiness() if args.consistency else {}
    if steady:
        print("\n" + tables.steadiness_table(steady))
    if args.json:
        results = {
            "settings": scoring.options | {"model": args.model, "seed": args.seed},
            "scores": [tables.as_json(name, some) for name, some in rows.items()],
            "vae_psnr": psnr,
            "steadiness": steady,
        }
        args.json.write_text(json.dumps(tables.plain(results), indent=1) + "\n")
    if args.sheet:
        tables.sheet(scoring.sheet).save(args.sheet, format="PNG")
    return 0


if __name__ == "__main__":
    sys.exit(main(None))
