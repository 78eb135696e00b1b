"""Score mini by looking at its clips: colour, shape and motion of what was asked for, on seen and
on never seen combinations.

    python scripts/score_mini.py --count 300 --json scores.json --sheet scores.png

The prompts are captions of freshly drawn scenes; half of them pair attributes that training never
shows together. Each clip is judged by ``mini/detect.py``, which doesn't know the prompt. The same
is done to the drawn scenes themselves (what the detector can see at best) and to their passage
through the VAE (what the transformer could reach at best). Then the three ways of attention are
compared by how steadily a thing keeps its colour, its size and its path.

Whatever makes clips is a function ``(prompt, seed) -> uint8 frames [F, H, W, 3]`` to everything in
this file except :func:`main`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mini import detect, world
from tqdm import tqdm

Make = Callable[[str, int], np.ndarray]
MODES = ("factored", "full", "spatial")
VAE_CLIPS = 100  # the VAE's row and PSNR are taken on the first so many scenes: they settle long before the transformer's scores
# Where colour and size should not change, and with enough throws and bounces to speak of their
# physics.
STEADY = ("left", "throw", "rise", "bounce", "right", "throw", "orbit", "bounce")


@dataclass
class Case:
    """One prompt to be scored: the scene whose caption it is, and the seed that its clip is made
    with.
    """

    scene: world.Scene
    seed: int
    unseen: bool

    @property
    def prompt(self) -> str:
        return self.scene.caption


@dataclass
class Verdict:
    """What was right in one clip. `second_colour` is None where the prompt names one thing only."""

    case: Case
    seen: detect.Seen
    colour: bool
    shape: bool
    motion: bool
    second_colour: bool | None


def cases(count: int, frames: int, height: int, width: int, seed: int = 0) -> list[Case]:
    """`count` prompts, every second one of an unseen combination. The same arguments give the same
    prompts.
    """
    rng = np.random.default_rng([seed, 1])
    return [
        Case(world.sample(rng, frames, height, width, unseen=bool(i % 2)), seed + i, bool(i % 2))
        for i in range(count)
    ]


def steady_cases(count: int, frames: int, height: int, width: int, seed: int = 0) -> list[Case]:
    """`count` prompts for :func:`steadiness`, of seen combinations, their motions taken from
    `STEADY` in turn.
    """
    rng = np.random.default_rng([seed, 2])
    return [
        Case(
            world.sample(rng, frames, height, width, motion=STEADY[i % len(STEADY)]),
            seed + i,
            False,
        )
        for i in range(count)
    ]


def drawn(some: Sequence[Case]) -> Make:
    """The maker that knows the answers: for the seed of one of the cases, its scene as drawn."""
    scenes = {case.seed: case.scene for case in some}
    return lambda prompt, seed: np.uint8(
        np.clip((world.draw(scenes[seed]) + 1) * 127.5 + 0.5, 0, 255)
    )


def judge(case: Case, frames: np.ndarray) -> Verdict:
    """Compare what a clip shows with what its prompt said. A direction counts where the caption
    names one.
    """
    scene, seen = case.scene, detect.detect(frames)
    sided = scene.motion in ("throw", "pan", "shadow")
    motion = scene.frames == 1 or (
        seen.motion == scene.motion and (not sided or seen.direction == scene.direction)
    )
    second = (
        None
        if scene.second_colour is None or scene.frames == 1
        else seen.second_colour == scene.second_colour
    )
    return Verdict(
        case, seen, seen.colour == scene.colour, seen.shape == scene.shape, motion, second
    )


def score(
    make: Make, some: Iterable[Case], keep: Callable[[Case, np.ndarray], None] | None = None
) -> list[Verdict]:
    """Make and judge a clip for each case; `keep(case, frames)`, if given, is shown every clip."""
    verdicts = []
    for case in some:
        frames = make(case.prompt, case.seed)
        if keep is not None:
            keep(case, frames)
        verdicts.append(judge(case, frames))
    return verdicts


def shares(verdicts: Sequence[Verdict]) -> dict[str, float | int]:
    """Part of the clips with the right colour, shape, motion, and all of them (0..1, NaN of
    nothing), and how many clips there were.
    """
    told = {what: [getattr(v, what) for v in verdicts] for what in ("colour", "shape", "motion")}
    told["all"] = [v.colour and v.shape and v.motion for v in verdicts]
    return {
        what: float(np.mean(right)) if right else float("nan") for what, right in told.items()
    } | {"count": len(verdicts)}


def steadiness(make: Make, some: Iterable[Case]) -> dict[str, float]:
    """How steadily things keep their look and path, averaged over the clips in which that can be
    measured; NaN where in none.

    `there`: share of frames with the thing in them; `colour`, `size`, `jitter`: see
    :func:`detect.consistency` (jitter without the bounces, which turn sharply by right);
    `throw_r2`: R² of a parabola through each throw's height; `bounce_lower`: share of the bounces
    whose every rebound is lower than the last, of those that show a whole one: `bounces`, a share
    of those asked for.
    """
    found: dict[str, list[float]] = {
        what: []
        for what in ("there", "colour", "size", "jitter", "throw_r2", "bounce_lower", "bounces")
    }
    for case in some:
        track = detect.detect(make(case.prompt, case.seed)).track
        found["there"].append(float(track.seen.mean()))
        for what, value in detect.consistency(track).items():
            if what != "jitter" or case.scene.motion != "bounce":
                found[what].append(value)
        if case.scene.motion == "throw":
            found["throw_r2"].append(detect.parabola_fit(track))
        if case.scene.motion == "bounce":
            _, lower = detect.bounce_heights(track)
            found["bounces"].append(lower is not None)
            found["bounce_lower"].append(np.nan if lower is None else lower)
    return {
        what: float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
        for what, values in found.items()
    }


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio of two uint8 arrays of one shape, dB."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


# --- what is printed ------------------------------------------------------------------------------


def accuracy_table(rows: dict[str, Sequence[Verdict]]) -> str:
    """One line for the seen and one for the unseen combinations of each named list of verdicts."""
    lines = [f"{'':28}{'clips':>6}{'colour':>9}{'shape':>9}{'motion':>9}{'all':>9}"]
    for name, verdicts in rows.items():
        for kind, unseen in (("seen", False), ("unseen", True)):
            some = shares([v for v in verdicts if v.case.unseen == unseen])
            if some["count"]:
                lines.append(
                    f"{name + ', ' + kind:28}{some['count']:6}"
                    + "".join(f"{some[w]:9.1%}" for w in ("colour", "shape", "motion", "all"))
                )
    return "\n".join(lines)


def motion_table(verdicts: Sequence[Verdict]) -> str:
    """How each motion fared."""
    lines = [f"{'':28}{'clips':>6}{'colour':>9}{'shape':>9}{'motion':>9}{'all':>9}"]
    for act in world.MOTIONS:
        some = shares([v for v in verdicts if v.case.scene.motion == act])
        if some["count"]:
            lines.append(
                f"{act:28}{some['count']:6}"
                + "".join(f"{some[w]:9.0%}" for w in ("colour", "shape", "motion", "all"))
            )
    pairs = [v.second_colour for v in verdicts if v.second_colour is not None]
    if pairs:
        lines.append(f"{'colour of the one in front':28}{len(pairs):6}{np.mean(pairs):9.0%}")
    return "\n".join(lines)


def miss(verdict: Verdict) -> str | None:
    """One line on a clip that isn't as asked, or None."""
    if verdict.colour and verdict.shape and verdict.motion:
        return None
    seen = verdict.seen
    what = f"{seen.colour or 'no colour'} {seen.shape or 'nothing'}, {seen.motion or 'no motion that has a name'}"
    side = (
        {1: " right", -1: " left", 0: ""}[seen.direction]
        if seen.motion in ("throw", "pan", "shadow")
        else ""
    )
    return f"seed {verdict.case.seed}: {verdict.case.prompt!r} showed {what}{side}"


def steadiness_table(rows: dict[str, dict[str, float]]) -> str:
    """One line for each way of making clips."""
    heads = ("there", "colour", "size", "jitter", "throw R²", "whole bounces", "each lower")
    keys = (
        ("there", "0%"),
        ("colour", ".2f"),
        ("size", ".2%"),
        ("jitter", ".2f"),
        ("throw_r2", ".4f"),
        ("bounces", "0%"),
        ("bounce_lower", "0%"),
    )
    lines = [f"{'':16}" + "".join(f"{head:>15}" for head in heads)]
    lines += [
        f"{name:16}" + "".join(f"{row[key]:>15{spec.replace('0%', '.0%')}}" for key, spec in keys)
        for name, row in rows.items()
    ]
    return "\n".join(
        [
            *lines,
            "colour: RGB distance from frame to frame, 0..255; size: change from frame to frame; jitter: pixels (see detect.py)",
        ]
    )


def sheet(clips: Sequence[tuple[str, np.ndarray]], columns: int = 9):
    """A contact sheet as a Pillow image: for each (prompt, frames) a row of `columns` frames,
    evenly spaced, under its prompt.
    """
    from PIL import Image, ImageDraw

    _, high, wide, _ = clips[0][1].shape
    page = Image.new("RGB", (columns * (wide + 2), len(clips) * (high + 16)), "white")
    pen = ImageDraw.Draw(page)
    for row, (prompt, frames) in enumerate(clips):
        pen.text((2, row * (high + 16) + 2), prompt, fill="black")
        for column, i in enumerate(np.linspace(0, len(frames) - 1, columns).round().astype(int)):
            page.paste(Image.fromarray(frames[i]), (column * (wide + 2), row * (high + 16) + 15))
    return page


def as_json(name: str, verdicts: Sequence[Verdict]) -> dict:
    """A list of verdicts as JSON-able numbers: the shares over all, seen, unseen and each motion,
    and the misses.
    """
    kinds = {
        "seen": [v for v in verdicts if not v.case.unseen],
        "unseen": [v for v in verdicts if v.case.unseen],
    }
    acts = {
        act: shares(some)
        for act in world.MOTIONS
        if (some := [v for v in verdicts if v.case.scene.motion == act])
    }
    misses = [line for v in verdicts if (line := miss(v))]
    return {
        "name": name,
        "overall": shares(verdicts),
        **{k: shares(v) for k, v in kinds.items()},
        "motions": acts,
        "misses": misses,
    }


def _plain(value):
    """The same with None for every NaN, which JSON doesn't have."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value


# --- the command ----------------------------------------------------------------------------------


def parse(argv: Sequence[str] | None):
    from mlxvid.cli import parser as cli

    parser = cli.Parser(prog="score_mini.py", description=__doc__)
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
        choices=MODES,
        default=list(MODES),
        help="ways to compare; the first is the one scored (default: all)",
    )
    parser.add_argument("--seed", type=cli.seed, default=0, help="first seed (default: 0)")
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
    from mlxvid.errors import MediaError

    if path is not None and (
        path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)
    ):
        raise MediaError(
            f"{path} can't be written: name a file in an existing folder that is yours to write in."
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Score a model, print the tables, and write what was asked for."""
    args = parse(argv)
    for path in (args.json, args.sheet):
        check_target(path)
    import mlxvid

    pipe = mlxvid.load(args.model)
    width, height = args.size
    options = {
        "width": width,
        "height": height,
        "frames": args.frames,
        "steps": args.steps,
        "guidance": args.guidance,
    }

    def maker(attention: str) -> Make:
        return lambda prompt, seed: (
            pipe.generate(prompt, seed=seed, attention=attention, **options).frames
        )

    some = cases(args.count, args.frames, height, width, args.seed)
    kept: list[tuple[str, np.ndarray]] = []
    keep = (
        (lambda case, frames: kept.append((case.prompt, frames)) if len(kept) < 24 else None)
        if args.sheet
        else None
    )
    truth = drawn(some)
    rows = {"drawn": score(truth, tqdm(some, "drawn"))}
    noise: list[float] = []

    def through_vae(prompt: str, seed: int) -> np.ndarray:
        clip = truth(prompt, seed)
        again = pipe.reconstruct(clip)
        noise.append(psnr(clip, again))
        return again

    rows["drawn, through the VAE"] = score(through_vae, tqdm(some[:VAE_CLIPS], "VAE"))
    rows[args.model] = score(maker(args.attention[0]), tqdm(some, args.model), keep)
    print(accuracy_table(rows), motion_table(rows[args.model]), sep="\n\n")
    for line in filter(None, map(miss, rows[args.model])):
        print(line)
    print(f"\nVAE: {np.mean(noise):.2f} dB PSNR over {len(noise)} clips")
    steady: dict[str, dict[str, float]] = {}
    if args.consistency:
        plain = steady_cases(args.consistency, args.frames, height, width, args.seed)
        makers = {"drawn": drawn(plain)} | {mode: maker(mode) for mode in args.attention}
        steady = {
            name: steadiness(make, tqdm(plain, f"{name}, steadiness"))
            for name, make in makers.items()
        }
        print("\n" + steadiness_table(steady))
    if args.json:
        told = {
            "settings": options | {"model": args.model, "seed": args.seed},
            "scores": [as_json(name, v) for name, v in rows.items()],
        }
        told |= {"vae_psnr": float(np.mean(noise)), "steadiness": steady}
        args.json.write_text(json.dumps(_plain(told), indent=1) + "\n")
    if args.sheet:
        sheet(kept).save(args.sheet, format="PNG")


if __name__ == "__main__":
    from mlxvid.cli.parser import run

    sys.exit(run(main)(None))
