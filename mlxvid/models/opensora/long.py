"""The pieces of a long clip, denoised one after the other, each overlapping the one before.

The shared latents are given to the later piece unchanged. (The reference decodes each piece and
encodes it again for the next: the same frames, with what decoding and encoding lose.)
"""

from __future__ import annotations


def pieces(latents: int, overlap: int, longest: int) -> list[range]:
    """The latent frames of each piece of a clip of `latents` latent frames.

    There are as few pieces as possible, all about equally long. overlap: latent frames that a piece
    shares with the one before; this is a chunk of the VAE, and pieces begin where chunks do.
    longest: latent frames of a piece at most, several chunks.
    """
    new_chunks = -(-latents // overlap) - 1  # all but the first chunk
    new_at_most = longest // overlap - 1  # in one piece
    count = max(1, -(-new_chunks // new_at_most))
    made = []
    for number in range(count):
        start = new_chunks * number // count * overlap
        end = new_chunks * (number + 1) // count * overlap
        made.append(range(start, min(end + overlap, latents)))
    return made
