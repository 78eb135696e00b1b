"""Names of modules and tensors in another spelling, by tables of their leading segments."""

from __future__ import annotations

from collections.abc import Mapping


def renamed(name: str, table: Mapping[str, str]) -> str:
    """`name` with its longest run of leading segments that is in the table replaced.

    >>> renamed("attention.dense.weight", {"attention": "x", "attention.dense": "attn.to_out"})
    'attn.to_out.weight'
    """
    segments = name.split(".")
    for count in range(len(segments), 0, -1):
        known = table.get(".".join(segments[:count]))
        if known is not None:
            return ".".join([known, *segments[count:]])
    return name


def inverse(table: Mapping[str, str]) -> dict[str, str]:
    """The table from the other spelling back."""
    return {other: own for own, other in table.items()}
