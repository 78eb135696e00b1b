"""The tiny decoder of a model: previews while it denoises, and whole clips as drafts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

from mlxvid.errors import SettingError, WeightsError
from mlxvid.hub.tiny import COMMAND, tiny_path
from mlxvid.layers.tiny_decoder import LEVELS, TinyDecoder
from mlxvid.model.base import Model
from mlxvid.model.tiny import FOLDER
from mlxvid.weights.files import component_files, is_index
from mlxvid.weights.tiny import read_tiny_decoder


class Tiny:
    """A model's tiny decoder, where there is one on this machine.

    It is loaded when it is first used, and stays: it is small beside anything else.
    """

    def __init__(self, model: Model):
        self._model = model
        self._network: TinyDecoder | None = None

    @property
    def files(self) -> list[Path]:
        """The file that it is in, of the model's own folder or of the cache; [] for none."""
        tiny = self._model.card.family.tiny_decoder
        if tiny is None:
            return []
        own = [path for path in component_files(self._model.path / FOLDER) if not is_index(path)]
        kept = tiny_path(tiny)
        return own or ([kept] if kept.is_file() else [])

    def require(self) -> None:
        """Raise :class:`SettingError` where there is none, or :class:`WeightsError` where it can't
        be used.
        """
        card = self._model.card
        tiny = card.family.tiny_decoder
        if tiny is None:
            raise SettingError(f"There is no tiny decoder for {card.name}; leave it out.")
        if not self.files:
            raise WeightsError(
                f"For `draft_decode` there has to be a tiny decoder: get it with {COMMAND} "
                f"{tiny.name}, or put {tiny.name}.safetensors or {tiny.name}.pth into "
                f"{self._model.path / FOLDER}."
            )
        self._loaded()

    def decode(self, latents: mx.array, side: int | None = None) -> Iterator[mx.array]:
        """Latents [1, f, h, w, C], as the model's steps have them -> the clip's frames one by one,
        [1, H, W, 3] in [-1, 1].

        side: pixels of the longer side, for pictures that are made smaller: the largest that have
        no more, and no smaller than a pixel a latent position.
        """
        network = self._loaded()
        geometry = self._model.card.geometry
        frames = geometry.pixel_frames(latents.shape[1])
        skipped = latents.shape[1] * network.config.t_factor - frames
        enlargements = LEVELS
        if side is not None:
            enlargements = enlargements_within(side, max(latents.shape[2:4]) * geometry.s_factor)
        taken = self._model.tiny_latents(latents)
        for frame in network.decode(taken, skipped, enlargements):
            yield frame[0]

    def _loaded(self) -> TinyDecoder:
        if self._network is None:
            self._network = read_tiny_decoder(self.files, self._model.card.geometry)
        return self._network


def enlargements_within(side: int, longer: int) -> int:
    """How many of its levels enlarge a picture whose longer side is to be `side` pixels at most.

    longer: where all of them do.
    """
    enlargements = LEVELS
    while longer > side and enlargements:
        longer //= 2
        enlargements -= 1
    return enlargements
