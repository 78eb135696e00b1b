"""Runs whose passes machines share: ``python -m tests.machines.passes CASES OUT`` on each of them.

CASES: a pickle of {name: (model, settings)}. OUT: what the first one writes, a pickle of {name:
(frames, settings)} and, as "peaks", the peak memory of each machine in bytes.
"""

from __future__ import annotations

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx

import mlxvid
from mlxvid import machines
from mlxvid.model.caching import Tea

PROMPT = "a red ball moving left"
TEA = Tea((1.0, 0.0), 0.1)  # the change itself

Cases = dict[str, tuple[str, dict[str, Any]]]


def with_tea(pipe: mlxvid.Pipeline) -> mlxvid.Pipeline:
    """The pipeline of a model that the step cache "tea" has constants for."""
    card = pipe.model.card
    defaults = replace(card.defaults, steps=12)
    pipe.model.card = replace(
        card, family=replace(card.family, tea=lambda card: TEA), defaults=defaults
    )
    return pipe


def main(cases: Path, out: Path) -> None:
    here = machines.here()
    machines.share("guidance")
    pipes: dict[str, mlxvid.Pipeline] = {}
    results = {}
    for name, (model, settings) in pickle.loads(cases.read_bytes()).items():
        if model not in pipes:
            pipes[model] = with_tea(mlxvid.load(model))
        if here.is_first:
            clip = pipes[model].generate(PROMPT, **settings)
            results[name] = (clip.frames, clip.settings)
        else:
            pipes[model].assist(PROMPT, **settings)
    peaks = here.told(mx.get_peak_memory())
    if here.is_first:
        out.write_bytes(pickle.dumps({**results, "peaks": peaks}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
