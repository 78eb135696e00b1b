"""What clips of one model cost on a machine: weights, memory and operations, at any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlxvid.model.card import Card, Stage
from mlxvid.model.geometry import Counts, plan_geometry
from mlxvid.model.machine import Machine
from mlxvid.model.memory import (
    DTYPE_BYTES,
    VALUE_BYTES,
    Load,
    Weights,
    in_one_batch,
    loaded_weights,
    stage_weights,
    stages,
    value_bytes,
)
from mlxvid.model.operations import stage_operations
from mlxvid.model.sharing import sent_bytes, shared_weights


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What clips of one model cost on a machine, at any size and bits a weight.

    weights: as stored. passes: rows of conditions that may go through the network at once.
    most_passes: all that a step may have. cache: the step cache. from_clip: whether they are made
    from others. follows: whether they follow others, whose tokens go through the network with
    theirs. options: of the family's, those that have a value. machines: that share the denoisers'
    layers.
    """

    card: Card
    weights: Weights
    attention: str
    dtype: str | None
    passes: int
    most_passes: int
    cache: str
    from_clip: bool
    follows: bool
    machine: Machine
    options: Mapping[str, Any]
    machines: int = 1

    def loaded(self, bits: int | None) -> Weights:
        """The weights in a machine's memory."""
        card = self.card
        machine = self.machine
        slow = machine.bfloat16_is_slow
        weights = loaded_weights(
            self.weights, card.family, self.dtype, bits, machine.metal, slow, card.precise
        )
        return shared_weights(weights, card, self.machines)

    def stages(self, counts: Counts, bits: int | None) -> dict[Stage, int]:
        """Estimated bytes at the peak of each stage."""
        return stages(self.load(counts, bits), self.loaded(bits), self.card, self.machine)

    def load(self, counts: Counts, bits: int | None) -> Load:
        """What a clip asks of the stages."""
        geometry = self.card.geometry
        options, _ = self.card.settled(self.options, counts.frames, "")
        size = self.card.worked_size(counts.width, counts.height, options)
        together = self.card.together(counts.frames, *size, options)
        piece = plan_geometry(*together, geometry)
        scores = {"full": piece.pairs_full, "spatial": piece.pairs_spatial}
        factored = max(piece.pairs_spatial, piece.pairs_temporal)
        transformer = stage_weights("denoise", self.loaded(bits), self.card.family)
        clips = 2 if self.follows else 1
        tokens = clips * piece.tokens
        batched = in_one_batch(
            tokens, self.passes, transformer, self.card, self.dtype, self.machine
        )
        return Load(
            frames=counts.frames,
            latent_frames=counts.latent_shape[0],
            t_factor=geometry.t_factor,
            width=size[0],
            height=size[1],
            tokens=tokens,
            scores=clips**2 * scores.get(self.attention, factored),
            batch=self.passes if batched else 1,
            dtype=self.dtype,
            from_clip=self.from_clip,
            cached=self._cached(piece),
            machines=self.machines,
        )

    def sent(self, counts: Counts) -> int:
        """Bytes that a machine sends the others in one pass."""
        tokens = self.load(counts, None).tokens
        return sent_bytes(self.card, tokens, self.dtype, self.machine.metal, self.machines)

    def _cached(self, piece: Counts) -> int:
        """Bytes that the step cache keeps of what is denoised together."""
        if self.cache == "off":
            return 0
        if self.cache == "easy":  # the last input, the last that was computed, each pass's output
            return (2 + self.most_passes) * piece.latent_values * VALUE_BYTES
        # The stack's input, what it adds in each pass, and the signal; of the latter two also those
        # of the state that is saved.
        clips = 2 if self.follows else 1
        hidden = clips * piece.tokens * self.card.width
        values = hidden * (1 + 2 * self.most_passes + 2)
        return int(values * value_bytes(self.card, self.dtype, self.machine.metal))

    def operations(self, counts: Counts) -> dict[Stage, float]:
        """Floating-point operations by stage; of denoise those of one pass."""
        options, _ = self.card.settled(self.options, counts.frames, "")
        size = self.card.worked_size(counts.width, counts.height, options)
        frames, width, height = self.card.together(counts.frames, *size, options)
        piece = plan_geometry(frames, width, height, self.card.geometry)
        pieces = size[0] * size[1] * counts.frames / (width * height * frames)
        clips = 2 if self.follows else 1
        pairs = {"full": piece.pairs_full, "spatial": piece.pairs_spatial}
        own_pairs = pairs.get(self.attention, piece.pairs_factored)
        parameters = {
            name: sum(size / DTYPE_BYTES.get(kind, 0.5) for kind, size in types.items())
            for name, types in self.weights.items()
        }
        return stage_operations(
            self.card,
            self.card.parameters or parameters,
            tokens=round(pieces * clips * piece.tokens),
            pairs=round(pieces * clips**2 * own_pairs),
            pixels=counts.frames * size[0] * size[1],
        )


def most_passes(card: Card, given: Mapping[str, Any]) -> int:
    """The most passes of any step of a clip of these settings."""
    anywhere = {"skip_start": 0.0, "skip_stop": 1.0, "guidance_start": 0.0, "guidance_stop": 1.0}
    known = {name: value for name, value in given.items() if value is not None}
    stages = card.counted({**known, **anywhere, "frames": 1, "video": None})
    return max(len(passes) for stage in stages for passes in stage.steps)
