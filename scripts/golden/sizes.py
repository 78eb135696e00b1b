"""Open-Sora's names for sizes and lengths: size_tables.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlxvid.models.opensora.sizes import SIZES, named_length, named_size

from .files import Check, mismatches, read_json


def check(folder: Path) -> Iterator[Check]:
    """Of the sizes, those that aspects are names for: the tables by area alone have none, and give
    way to height and width.
    """
    tables = read_json(folder / "size_tables.json")
    aspects = tables["aspect_ratio_key"]
    named = {
        name: table["sizes"]
        for name, table in tables["resolutions"].items()
        if set(aspects.values()) <= set(table["sizes"])
    }
    pairs = [(set(SIZES), set(named))]
    pairs += [
        (named_size(name, aspect), tuple(sizes[key]))
        for name, sizes in named.items()
        for aspect, key in aspects.items()
    ]
    yield Check(f"size_tables.json: {len(pairs) - 1} sizes, wrong", mismatches(pairs), 0)
    lengths = tables["num_frames_names"]
    yield Check(
        f"size_tables.json: {len(lengths)} lengths, wrong",
        mismatches([(named_length(k), v) for k, v in lengths.items()]),
        0,
    )
