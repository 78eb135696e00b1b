"""Comparisons of the reading of prompts and mask strategies: text_and_strategy.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

from mlxvid.models.opensora.strategy import (
    aligned,
    parse_strategy,
    prompt_of,
    split_prompt,
    with_scores,
)
from mlxvid.text.clean import clean_caption
from tests.golden.files import Check, mismatches, read_json

# The reference's names for the arguments of with_scores.
ARGUMENTS = {"aes": "aesthetic", "flow": "motion", "camera_motion": "camera"}

Pairs = list[tuple[object, object]]


def check(folder: Path) -> Iterator[Check]:
    """Every kind of text that the file has."""
    golden = read_json(folder / "text_and_strategy.json")
    kinds = {
        "cleaned prompts": _cleaned(golden),
        "mask strategies": _strategies(golden),
        "roundings": _roundings(golden),
        "scored prompts": _scored(golden),
        "loops' prompts": _loops(golden),
    }
    for what, pairs in kinds.items():
        name = f"text_and_strategy.json: {len(pairs)} {what}, wrong"
        yield Check(name, mismatches(pairs), 0)


def _cleaned(golden: dict[str, Any]) -> Pairs:
    return [(clean_caption(case["in"]), case["out"]) for case in golden["caption_cleaning"]]


def _strategies(golden: dict[str, Any]) -> Pairs:
    pairs: Pairs = []
    for case in golden["mask_strategy"]:
        parsed = [list(astuple(part)) for part in parse_strategy(case["text"])]
        pairs.append((parsed, case["parsed"]))
    return pairs


def _roundings(golden: dict[str, Any]) -> Pairs:
    pairs: Pairs = []
    for value, align, length, result in golden["align_rounding"]["rows"]:
        pairs.append((aligned(value, align, length), result))
    return pairs


def _scored(golden: dict[str, Any]) -> Pairs:
    pairs: Pairs = []
    for case in golden["score_suffix"]:
        scores = {ARGUMENTS[key]: value for key, value in case["args"].items()}
        for prompt, result in zip(case["in"], case["out"], strict=True):
            pairs.append((with_scores(prompt, **scores), result))
    return pairs


def _loops(golden: dict[str, Any]) -> Pairs:
    pairs: Pairs = []
    for case in golden["loop_prompts"]:
        parts = split_prompt(case["prompt"])
        texts = [text for _, text in parts]
        starts = [loop for loop, _ in parts]
        pairs.append(([texts, starts], case["split"]))
        for loop, text in enumerate(case["per_loop"]):
            pairs.append((prompt_of(parts, loop), text))
    return pairs
