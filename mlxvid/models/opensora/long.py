"""How a long clip is made: in pieces that are denoised one after the other, each of which begins
with the end of the one before.

Those shared latents are given to the later piece as they are. (The reference decodes each piece,
encodes it again, and gives the next one that: the same frames, but for what they lose on the way.)
"""

from __future__ import annotations


def pieces(latents: int, overlap: int, longest: int) -> list[range]:
    """The latent frames of each piece of a clip of `latents`: as few pieces as can be, and all
    about as long.

    overlap: latent frames that a piece shares with the one before, a chunk of the VAE, where pieces
    begin. longest: those of a piece at most, several chunks.
    """
    chunks = -(-latents // overlap)
    new = chunks - 1  # beyond the chunk that a piece begins with
    count = max(1, -(-new // (longest // overlap - 1)))
    starts = [new * i // count * overlap for i in range(count)]
    return [
        range(start, min(end + overlap, latents))
        for start, end in zip(starts, [*starts[1:], new * overlap], strict=True)
    ]
