"""What fewer evaluations cost: of the embedded model, the scores of clips and their likeness to the
whole run's, by step caches, guidance in part of the steps, fewer steps and second-order samplers.

Every way makes the same prompts with the same seeds. Results are kept clip by clip, so a run that
is stopped goes on where it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
from PIL import Image, ImageDraw

from mlxvid.run.savings import SKIPPED
from scripts.training import scores

WHOLE = "whole run"
# What is seen here is what plain fewer steps are: whatever is no better than these saves nothing.
FEWER = ("16 steps", "12 steps", "8 steps")
WAYS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    **{name: {"steps": int(name.split()[0])} for name in FEWER},
    "easy 0.05": {"cache": "easy", "cache_threshold": 0.05},
    "easy 0.1": {"cache": "easy", "cache_threshold": 0.1},
    "easy 0.2": {"cache": "easy", "cache_threshold": 0.2},
    "tea 0.1": {"cache": "tea", "cache_threshold": 0.1},
    "tea 0.2": {"cache": "tea", "cache_threshold": 0.2},
    "tea 0.3": {"cache": "tea", "cache_threshold": 0.3},
    "guidance to 0.7": {"guidance_stop": 0.7},
    "guidance 0.2-0.7": {"guidance_start": 0.2, "guidance_stop": 0.7},
    "easy 0.1, guidance to 0.7": {"cache": "easy", "cache_threshold": 0.1, "guidance_stop": 0.7},
    "heun, 10 steps": {"sampler": "heun", "steps": 10},
    "cfg-zero": {"guidance_method": "cfg-zero"},
    "apg": {"guidance_method": "apg"},
}


@dataclass
class Made:
    """What a way's clips of the first prompts came to: by clip, evaluations of the network, whether
    all that was asked for is there, and the PSNR in dB to the whole run's clip.
    """

    evaluations: list[int]
    right: list[bool]
    likeness: list[float]

    def row(self, name: str) -> str:
        """A line of the table."""
        share = np.mean(self.right)
        error = np.sqrt(share * (1 - share) / len(self.right))
        like = "" if name == WHOLE else f"{np.mean(self.likeness):.1f}"
        mean = np.mean(self.evaluations)
        return f"| {name} | {mean:.1f} | {share:.1%} ± {error:.1%} | {like} |"


def bench(count: int, size: tuple[int, int], frames: int, results: Path, plot: Path | None) -> None:
    """Make what is missing in `results` for `count` prompts; print the table and draw the plot."""
    made = read(results)
    make_missing(made, count, size, frames, results)
    least = min(len(way.right) for way in made.values())
    print(f"{least} prompts, {size[0]}x{size[1]}, {frames} frames\n")
    for line in table(made):
        print(line)
    if plot is not None:
        Plot(made).drawn().save(plot)


def table(made: dict[str, Made]) -> list[str]:
    """A table in Markdown, the shares with their standard error."""
    head = ["| way | evaluations a clip | all as asked | PSNR to the whole run, dB |"]
    return [*head, "| --- | ---: | ---: | ---: |", *(made[name].row(name) for name in WAYS)]


def read(results: Path) -> dict[str, Made]:
    """The results so far."""
    made = {name: Made([], [], []) for name in WAYS}
    if results.is_file():
        for line in results.read_text().splitlines():
            name, *facts = json.loads(line)
            for kept, fact in zip(vars(made[name]).values(), facts, strict=True):
                kept.append(fact)
    return made


def make_missing(
    made: dict[str, Made], count: int, size: tuple[int, int], frames: int, results: Path
) -> None:
    """Prompt after prompt, so that a run that is stopped has as many of each way."""
    pipe = mlxvid.load("mini")
    rows = counted_rows(pipe)
    width, height = size
    for number, case in enumerate(scores.cases(count, frames, height, width)):
        missing = [name for name in WAYS if len(made[name].right) <= number]
        whole = None
        for name in [WHOLE, *missing] if missing and WHOLE not in missing else missing:
            rows.clear()
            asked = {"width": width, "height": height, "frames": frames, **WAYS[name]}
            made_clip = pipe.generate(case.prompt, seed=case.seed, **asked)
            clip = made_clip.frames
            whole = clip if whole is None else whole
            if name not in missing:
                continue
            verdict = scores.judge(case, clip)
            right = bool(verdict.colour and verdict.shape and verdict.motion)
            facts = [
                evaluations(rows, made_clip.settings),
                right,
                float(scores.psnr(whole, clip)) if name != WHOLE else 0.0,
            ]
            for kept, fact in zip(vars(made[name]).values(), facts, strict=True):
                kept.append(fact)
            with results.open("a") as file:
                file.write(json.dumps([name, *facts]) + "\n")


def evaluations(rows: list[int], settings: Mapping[str, Any]) -> int:
    """The evaluations of a clip whose calls of the network had so many rows: TeaCache calls it in
    every step, and leaves out its blocks.
    """
    if settings.get("cache") != "tea":
        return sum(rows)
    skipped, of = settings[SKIPPED]
    return round(sum(rows) * (1 - skipped / of))


def counted_rows(pipe: mlxvid.Pipeline) -> list[int]:
    """The rows of conditions of each call of the network, from now on."""
    rows: list[int] = []
    predict = pipe.model.predict

    def counting(x: Any, *known: Any) -> Any:
        rows.append(len(x))
        return predict(x, *known)

    pipe.model.predict = counting
    return rows


# --- the plot ------------------------------------------------------------------------------------

WIDTH = 900
HEIGHT = 480
MARGIN = 60
LOWEST = 20  # dB
COLOURS = {"easy": "#c2410c", "tea": "#7e22ce", "guidance": "#1d4ed8", "heun": "#15803d"}


class Plot:
    """Likeness to the whole run over evaluations: fewer steps as a line, the other ways as dots."""

    def __init__(self, made: dict[str, Made]):
        self.made = made
        self.image = Image.new("RGB", (WIDTH, HEIGHT), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.most = 5 + max(float(np.mean(way.evaluations)) for way in made.values())
        likeness = (float(np.mean(made[name].likeness)) for name in WAYS if name != WHOLE)
        self.top = 3 + max(likeness)
        self.labels: list[tuple[float, float, float, float]] = []

    def drawn(self) -> Image.Image:
        """The plot."""
        self.axes()
        self.draw.line([self.place(name) for name in FEWER], fill="#777777", width=2)
        for name in WAYS:
            if name != WHOLE:
                self.dot(name)
        return self.image

    def across(self, evaluations: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * evaluations / self.most

    def down(self, likeness: float) -> float:
        share = (likeness - LOWEST) / (self.top - LOWEST)
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * share

    def place(self, name: str) -> tuple[float, float]:
        way = self.made[name]
        evaluations = float(np.mean(way.evaluations))
        return self.across(evaluations), self.down(float(np.mean(way.likeness)))

    def axes(self) -> None:
        frame = (MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN)
        self.draw.rectangle(frame, outline="#999999")
        low = HEIGHT - MARGIN + 8
        for value in range(0, int(self.most) + 1, 10):
            at = (self.across(value), low)
            self.draw.text(at, str(value), fill="#555555", anchor="ma", font_size=13)
        for value in range(LOWEST, int(self.top) + 1, 10):
            beside = (MARGIN - 8, self.down(value))
            self.draw.text(beside, str(value), fill="#555555", anchor="rm", font_size=13)
        name = "evaluations of the network a clip"
        below = (WIDTH / 2, HEIGHT - 20)
        self.draw.text(below, name, fill="#333333", anchor="mm", font_size=14)
        name = "PSNR to the whole run, dB"
        self.draw.text((MARGIN, MARGIN - 26), name, fill="#333333", font_size=14)

    def dot(self, name: str) -> None:
        """A way's dot, and its name where there is room: above it, below it, or to the left."""
        x, y = self.place(name)
        colour = next((COLOURS[word] for word in COLOURS if name.startswith(word)), "#777777")
        self.draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)
        places = [(6, -4, "ld"), (6, 4, "la"), (-6, 4, "ra"), (-6, -4, "rd")]
        for dx, dy, anchor in places[1:] if name in FEWER else places:  # a line goes on above these
            box = self.draw.textbbox((x + dx, y + dy), name, anchor=anchor, font_size=13)
            if not any(overlap(box, other) for other in self.labels):
                break
        self.labels.append(box)
        self.draw.text((x + dx, y + dy), name, fill=colour, anchor=anchor, font_size=13)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes (left, top, right, bottom) share a place."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
