"""The noise that the decoder of LTX-Video 0.9.1 adds."""

from __future__ import annotations

from functools import partial

import mlx.core as mx

from .vae_blocks import Noise as Drawn


class Noise:
    """Noise of a picture, for each block of a decoder and each of its two convolutions.

    It is the same for all frames and channels, and every time that it is drawn; a tile's is cut
    out of the picture's.
    """

    def __init__(
        self,
        key: mx.array,
        height: int,
        width: int,
        top: int = 0,
        left: int = 0,
        tile_height: int | None = None,
    ):
        """height, width: of the picture, as the rest in latent positions. top, left, tile_height:
        of the tile.
        """
        self._key = key
        self._size = (height, width)
        self._corner = (top, left)
        self._tile_height = tile_height or height

    def of_block(self) -> Drawn:
        """The noise of the next block."""
        self._key, *keys = mx.random.split(self._key, 3)
        return partial(self._drawn, keys)

    def _drawn(self, keys: list[mx.array], convolution: int, x: mx.array) -> mx.array:
        scale = x.shape[2] // self._tile_height
        size = [side * scale for side in self._size]
        noise = mx.random.normal(size, key=keys[convolution])
        top, left = (place * scale for place in self._corner)
        cut = noise[top : top + x.shape[2], left : left + x.shape[3]]
        return cut.astype(x.dtype)[..., None]
