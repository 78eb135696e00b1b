"""Previews: what a clip looks like before it is done.

Made by the model's tiny decoder where there is one (:mod:`.tiny`). Else decoded where the VAE has
room beside the denoiser, and of every other model by a linear map, at one pixel a latent position
(:mod:`.latent_map`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import mlx.core as mx
import numpy as np

from mlxvid.errors import MlxvidError
from mlxvid.model.base import Model
from mlxvid.progress import Preview, Watch

from . import latent_map
from .frames import to_uint8
from .tiny import Tiny
from .turns import note_thread

log = logging.getLogger("mlxvid")

# Pixels of the longer side of a rough preview at most, where it is no larger than the latents.
SIDE = 256


class Previews:
    """The previews of one run."""

    def __init__(self, model: Model, tiny: Tiny):
        self._model = model
        self._tiny: Tiny | None = tiny if _usable(tiny) else None
        self._map = latent_map.read(model)
        self._failed = False

    @property
    def _decoder_stays(self) -> bool:
        model = self._model
        return model.components.fit(model.denoiser, model.decoder)

    def prepare(self, watch: Watch) -> None:
        """See that there will be some, before the denoiser is loaded: without room beside it, the
        VAE can't be asked later.
        """
        if self._tiny is None and self._map is None and not self._decoder_stays:
            log.warning(
                "The previews of this model are being prepared, which is done once; they show its "
                "clips small and roughly."
            )
            self._fit(watch)

    def of(self, latents: mx.array) -> Preview | None:
        """What shows latents [1, F, H, W, C], roughly or as well as there is room for; None where
        nothing can.
        """
        decoder_stays = self._decoder_stays
        if self._tiny is None and not decoder_stays and self._map is None:
            return None
        latents = latents.astype(mx.float32)
        mx.eval(latents)  # a preview may be asked for by another thread

        def show(rough: bool) -> np.ndarray | None:
            note_thread()
            if self._tiny is not None:
                return _joined(self._tiny.decode(latents, SIDE if rough else None))
            return self._decoded(latents) if decoder_stays and not rough else self._rough(latents)

        return show

    def _decoded(self, latents: mx.array) -> np.ndarray:
        return _joined(self._model.decode(latents))

    def _rough(self, latents: mx.array) -> np.ndarray | None:
        if self._map is None and not self._failed:
            self._fit(None)
        if self._map is None:
            return None
        return self._map.frames(np.array(latents[0]), self._model.card.geometry)

    def _fit(self, watch: Watch | None) -> None:
        """Make the map, and keep it. A run goes on without one."""
        try:
            self._map = latent_map.fitted(self._model, watch)
        except (RuntimeError, ValueError) as error:
            self._failed = True
            log.warning("There are no rough previews, since %s.", error)
            return
        latent_map.keep(self._model, self._map)


def _usable(tiny: Tiny) -> bool:
    """Whether there is a tiny decoder; a run goes on without one that can't be used."""
    try:
        if tiny.files:
            tiny.require()
        return bool(tiny.files)
    except MlxvidError as error:
        log.warning("%s Previews are made without it.", error)
        return False


def _joined(parts: Iterable[mx.array]) -> np.ndarray:
    return np.concatenate([to_uint8(part) for part in parts])
