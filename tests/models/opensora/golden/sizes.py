"""Comparisons of the names for sizes and lengths: size_tables.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlxvid.models.opensora.sizes import SIZES, named_length, named_size
from tests.golden.files import Check, mismatches, read_json


def check(folder: Path) -> Iterator[Check]:
    """All sizes with an aspect's name, and all lengths.

    The reference's tables by area alone have no aspects, and give way to height and width.
    """
    tables = read_json(folder / "size_tables.json")
    aspects = tables["aspect_ratio_key"]
    named = {}
    for name, table in tables["resolutions"].items():
        if set(aspects.values()) <= set(table["sizes"]):
            named[name] = table["sizes"]
    pairs: list[tuple[object, object]] = [(set(SIZES), set(named))]
    for name, sizes in named.items():
        for aspect, key in aspects.items():
            pairs.append((named_size(name, aspect), tuple(sizes[key])))
    yield Check(f"size_tables.json: {len(pairs) - 1} sizes, wrong", mismatches(pairs), 0)
    lengths = tables["num_frames_names"]
    wrong = mismatches((named_length(name), frames) for name, frames in lengths.items())
    yield Check(f"size_tables.json: {len(lengths)} lengths, wrong", wrong, 0)
