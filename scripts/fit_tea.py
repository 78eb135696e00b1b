#!/usr/bin/env python3
"""Fit TeaCache's constants to a model: by how much its stack of blocks makes something else, where
its input has changed by a share.

Clips are made without a cache. Of each two evaluations that follow each other the relative L1
change of the stack's signal and that of its output are taken, and a polynomial of degree 4 is
fitted, as ali-vilab/TeaCache was (its issues 2 and 20). Printed are its coefficients, for a
family's tea.py, and what thresholds would have left out of these runs. Prompts that a model is
measured with should be others.

examples:
  scripts/fit_tea.py mini --steps 12 20 40
  scripts/fit_tea.py latte-1 --prompts prompts.txt
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where scripts/ stands

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
from tqdm import tqdm

from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.cli import parser as cli
from mlxvid.layers import stack
from mlxvid.model.caching import Tea
from scripts.training import scores, world

DEGREE = 4
THRESHOLDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)


@dataclass
class Change:
    """Shares by which a stack's signal and its output differ from those of the call before."""

    signal: float
    output: float


@dataclass
class Watched:
    """The changes of one run, in a row, as a hook of :func:`mlxvid.layers.stack.hooked` hears them.

    The first stack of each evaluation is watched, by which TeaCache decides: of passes that follow
    each other the first one.
    """

    changes: list[Change] = field(default_factory=list)
    time: float = 0.0
    is_first: bool = False
    last: tuple[mx.array, mx.array] | None = None

    def evaluation(self, time: float) -> None:
        """Hear of a call of the network at a time, from 1 to 0; one pass of several."""
        if time > self.time:  # another stage
            self.last = None
        self.is_first = time != self.time
        self.time = time

    def hook(self, x: mx.array, signal: stack.Signal, blocks: stack.Blocks) -> mx.array:
        """What stands in the place of blocks(x): the same, watched."""
        y = blocks(x)
        if not self.is_first:
            return y
        self.is_first = False
        now = (signal(), y)
        mx.eval(now)
        if self.last is not None and self.last[0].shape == now[0].shape:
            before_signal, before_output = self.last
            self.changes.append(Change(share(now[0], before_signal), share(y, before_output)))
        self.last = now
        return y


def share(now: mx.array, before: mx.array) -> float:
    """The mean change of an array, relative to its mean size."""
    return float(mx.abs(now - before).mean() / mx.abs(before).mean())


def watched(
    model: str, prompts: Sequence[str], seed: int, steps: Sequence[int | None], size: dict[str, Any]
) -> list[Watched]:
    """The runs of a model's clips, the first with the first number of steps, and so on in turn."""
    pipe = mlxvid.load(model)
    predict = pipe.model.predict
    runs = []
    for number, prompt in enumerate(tqdm(prompts)):
        run = Watched()

        def watching(x: mx.array, time: float, *known: Any, run: Watched = run) -> mx.array:
            run.evaluation(time)
            return predict(x, time, *known)

        pipe.model.predict = watching
        with stack.hooked(run.hook):
            pipe.generate(prompt, seed=seed + number, steps=steps[number % len(steps)], **size)
        runs.append(run)
    return runs


def fitted(runs: Sequence[Watched]) -> tuple[tuple[float, ...], float]:
    """The polynomial's coefficients, the highest power first, and what share of the variance of the
    outputs it tells.
    """
    changes = [change for run in runs for change in run.changes]
    signals = np.array([change.signal for change in changes])
    outputs = np.array([change.output for change in changes])
    coefficients = np.polyfit(signals, outputs, DEGREE)
    missed = outputs - np.polyval(coefficients, signals)
    return tuple(
        float(f"{factor:.9g}") for factor in coefficients
    ), 1 - missed.var() / outputs.var()


def left_out(run: Watched, tea: Tea) -> int:
    """Evaluations that a threshold would have left out of a run, by its own changes."""
    count = 0
    error = 0.0
    for change in run.changes[:-1]:  # the last step is computed
        error += tea.distance(change.signal)
        if error < tea.threshold:
            count += 1
        else:
            error = 0.0
    return count


def report(runs: Sequence[Watched]) -> Iterator[str]:
    """The lines that are printed."""
    coefficients, explained = fitted(runs)
    changes = [change for run in runs for change in run.changes]
    signals = sorted(change.signal for change in changes)
    yield f"{len(changes)} changes of {len(runs)} clips, of {signals[0]:.3f} to {signals[-1]:.3f}"
    yield f"coefficients: {coefficients}"
    yield f"explained: {explained:.1%} of the variance"
    yield ""
    yield "| threshold | evaluations left out |"
    yield "| ---: | ---: |"
    for threshold in THRESHOLDS:
        tea = Tea(coefficients, threshold)
        mean = np.mean([left_out(run, tea) / (1 + len(run.changes)) for run in runs])
        yield f"| {threshold:g} | {mean:.0%} |"


def drawn_prompts(count: int) -> list[str]:
    """Captions of the embedded model's world, of combinations that it was trained with, none of
    which it is scored or measured by.
    """
    held_out = {case.prompt for case in scores.cases(1000, 33, 96, 96)}
    rng = np.random.default_rng([0, 3])  # scores draw with 1 and 2
    prompts: list[str] = []
    while len(prompts) < count:
        caption = world.sample(rng, 33, 96, 96).caption
        if caption not in held_out:
            prompts.append(caption)
    return prompts


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments."""
    parser = cli.Parser(prog="scripts/fit_tea.py", description=__doc__)
    parser.add_argument("model", help="catalog name or folder")
    parser.add_argument(
        "--prompts", type=Path, metavar="FILE", help="one a line (mini: captions of its world)"
    )
    parser.add_argument("--count", type=cli.whole, default=48, metavar="N", help="mini's prompts")
    parser.add_argument("--size", type=cli.size, metavar="WIDTHxHEIGHT")
    parser.add_argument("--frames", type=cli.frames, metavar="N")
    parser.add_argument(
        "--steps",
        type=cli.whole,
        nargs="+",
        default=[None],
        metavar="N",
        help="in turn: several numbers make constants that hold for all of these",
    )
    parser.add_argument("--seed", type=int, default=5000, help="of the first clip (%(default)s)")
    args = parser.parse_args(argv)
    if args.prompts is None and args.model != DEFAULT_MODEL:
        parser.error("give --prompts, a text file with a prompt a line")
    return args


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Fit and print; returns the exit code."""
    args = parse(argv)
    lines = args.prompts.read_text().splitlines() if args.prompts else drawn_prompts(args.count)
    prompts = [line.strip() for line in lines if line.strip()]
    width, height = args.size or (None, None)
    size = {"width": width, "height": height, "frames": args.frames}
    for line in report(watched(args.model, prompts, args.seed, args.steps, size)):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(None))
