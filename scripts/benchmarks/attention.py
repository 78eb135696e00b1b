"""What factored, full and spatial attention cost as clips grow longer.

Attention pairs are counted, and one call of the same blocks is timed. The blocks are those of a
family, with random weights, narrower and fewer than the released ones so that a processor can run
them: what is compared is how the three ways grow. Prints the tables of docs/factored-attention.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from mlxvid import models
from mlxvid.model.attention_call import Blocks
from mlxvid.model.card import Card
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.run import attention_costs

from .timing import exponent

HEAD_DIM = 72
DEPTH = 2


def cards() -> dict[str, Card]:
    """A model of each family whose blocks attend in all three ways, by the family's name."""
    able = [card for card in models.cards() if "attention" in card.takes]
    return {card.family.name: card for card in able}


def families() -> tuple[str, ...]:
    """The families whose blocks attend in all three ways."""
    return tuple(cards())


def bench(
    families: Sequence[str], width: int, size: int, lengths: Sequence[int], repeats: int
) -> None:
    """Print a table for each family: `width` channels, `size` pixels, lengths in latent frames."""
    for family in families:
        table(family, width, size, lengths, repeats)


def table(family: str, width: int, size: int, lengths: Sequence[int], repeats: int) -> None:
    """Print one family's table: pairs a head and layer, and milliseconds."""
    blocks = Blocks(
        heads=width // HEAD_DIM,
        head_dim=HEAD_DIM,
        depth=DEPTH,
        channels=4,
        latent=(size // 8, size // 8),
        patch=(1, 2, 2),
    )
    what = f"{DEPTH} spatial and {DEPTH} temporal blocks of width {width}, {size}x{size} pixels"
    print(f"\n{family}: {what}; the best of {repeats} calls\n")
    measured: list[attention_costs.Row] = []

    def kept() -> Iterator[attention_costs.Row]:
        for row in attention_costs.rows(cards()[family], blocks, lengths, repeats):
            measured.append(row)
            yield row

    for line in attention_costs.table(kept()):
        print(line, flush=True)
    exponents = []
    for mode in ATTENTION_MODES:
        times = [row.milliseconds[mode] for row in measured]
        exponents.append(f"{mode} {exponent(lengths, times):.2f}")
    print(f"\nTime grows as frames to the power of: {', '.join(exponents)}.")
