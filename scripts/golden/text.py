"""What Open-Sora reads of a prompt and a mask strategy: text_and_strategy.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from mlxvid.models.opensora.strategy import (
    aligned,
    parse_strategy,
    prompt_of,
    split_prompt,
    with_scores,
)
from mlxvid.text.clean import clean_caption

from .files import Check, mismatches, read_json

ARGUMENTS = {
    "aes": "aesthetic",
    "flow": "motion",
    "camera_motion": "camera",
}  # the reference's names -> with_scores'


def check(folder: Path) -> Iterator[Check]:
    golden = read_json(folder / "text_and_strategy.json")
    cleaned = [(clean_caption(case["in"]), case["out"]) for case in golden["caption_cleaning"]]
    parsed = [
        ([list(astuple(part)) for part in parse_strategy(case["text"])], case["parsed"])
        for case in golden["mask_strategy"]
    ]
    rounded = [
        (aligned(value, align, length), result)
        for value, align, length, result in golden["align_rounding"]["rows"]
    ]
    scored = []
    for case in golden["score_suffix"]:
        tags = {ARGUMENTS[key]: value for key, value in case["args"].items()}
        scored += [
            (with_scores(prompt, **tags), result)
            for prompt, result in zip(case["in"], case["out"], strict=True)
        ]
    loops = []
    for case in golden["loop_prompts"]:
        parts = split_prompt(case["prompt"])
        loops += [
            (
                [
                    list(column)
                    for column in zip(*((text, loop) for loop, text in parts), strict=True)
                ],
                case["split"],
            )
        ]
        loops += [(prompt_of(parts, loop), text) for loop, text in enumerate(case["per_loop"])]
    for what, pairs in (
        ("cleaned prompts", cleaned),
        ("mask strategies", parsed),
        ("roundings", rounded),
        ("scored prompts", scored),
        ("loops' prompts", loops),
    ):
        yield Check(f"text_and_strategy.json: {len(pairs)} {what}, wrong", mismatches(pairs), 0)
