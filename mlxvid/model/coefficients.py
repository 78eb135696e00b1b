"""What a family's networks hold and compute besides their weights, for plans."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Block:
    """What a transformer block holds at its peaks: values a token and row of conditions, in units
    of the transformer's width.

    attention: around its attention, besides scores where attention isn't fused. forward: around its
    feed-forward, besides inner times the feed-forward's own width.
    """

    attention: float
    forward: float
    inner: float = 0.0

    def values(
        self, width: int, inner_width: int, scores: float = 0.0, machines: int = 1, whole: float = 0
    ) -> float:
        """Values a token and row at the larger of the two peaks. scores: a token's, on a machine.
        machines: that share the block's layers, each of which holds so much `whole`, in units of
        the width.
        """
        attention = self.attention
        forward = self.forward
        if machines > 1:
            attention = whole + max(attention - whole, 0) / machines
            forward = whole + max(forward - whole, 0) / machines
        at_attention = attention * width + scores
        return max(at_attention, forward * width + self.inner * inner_width / machines)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What of a family's transformer several machines share, for plans: all its parameters, but for
    so many `squares` of its width and `rows` of it, which stand outside of its blocks.

    sums: how often in a block the tokens are summed over the machines, at the transformer's width.
    others: inputs of shared layers besides the tokens' and the feed-forward's.
    """

    squares: float
    rows: float
    sums: float
    others: tuple[int, ...] = ()

    def whole(self, width: int) -> int:
        """Parameters that each machine has."""
        return int(width * (self.squares * width + self.rows))


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What the stages of a family's models hold besides their weights.

    metal: a block on Metal, in values of the transformer's type, counted in traced graphs
    (``scripts/benchmarks/traced.py``). cpu: on MLX's CPU backend, in values of four bytes, measured
    with ``mx.get_peak_memory()``, as the rest is. decode_values: values a pixel of the piece that
    the VAE decodes at a time. decode_chunk: latent frames of that piece. decode_tile: pixels of its
    side; decode_halo: those read beyond it on either side. small_tile: pixels of the side, halo
    included, of the tiles that the VAE takes where its usual piece is too large. tiled_values:
    values a pixel of the clip that are held then, of a VAE whose tiles go through all frames one
    after another. decode_operations: floating-point operations a pixel of the clip, counted in the
    reference's decoder by torch's FlopCounterMode on 9 frames of 256x256.
    """

    metal: Block
    cpu: Block
    decode_values: float
    decode_chunk: int
    decode_tile: int
    decode_halo: int
    small_tile: int | None = None
    tiled_values: float = 0.0
    decode_operations: float = 10e6
