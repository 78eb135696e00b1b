"""Conditions: what steers the network in one pass, and which of it has an axis of latent frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import mlx.core as mx


class Conditions(Mapping[str, mx.array]):
    """Arrays by name, such as the text encoder's states, whose first axis is the batch.

    frame_axes: of those arrays that have one, the axis of latent frames: they are cut where a
    window or a piece of the clip is denoised. The others hold for every frame.
    """

    def __init__(self, arrays: Mapping[str, mx.array], frame_axes: Mapping[str, int] | None = None):
        self._arrays = dict(arrays)
        self.frame_axes = {
            name: axis for name, axis in (frame_axes or {}).items() if name in self._arrays
        }

    def __getitem__(self, name: str) -> mx.array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def with_arrays(self, **arrays: mx.array) -> Conditions:
        """These conditions with some arrays added, or put in the place of others."""
        return Conditions({**self._arrays, **arrays}, self.frame_axes)

    def joined(self, others: Conditions) -> Conditions:
        """These conditions and `others`, which win where both have a name."""
        return Conditions({**self, **others}, {**self.frame_axes, **others.frame_axes})

    def only(self, *names: str) -> Conditions:
        """The arrays of these names."""
        return Conditions({name: self._arrays[name] for name in names}, self.frame_axes)

    def row(self, index: int) -> Conditions:
        """Those of one row of the batch."""
        rows = {name: array[index : index + 1] for name, array in self._arrays.items()}
        return Conditions(rows, self.frame_axes)

    def window(self, start: int, stop: int) -> Conditions:
        """Those of the latent frames from `start` to before `stop`."""
        arrays = dict(self._arrays)
        for name, axis in self.frame_axes.items():
            frames = [slice(None)] * arrays[name].ndim
            frames[axis] = slice(start, stop)
            arrays[name] = arrays[name][tuple(frames)]
        return Conditions(arrays, self.frame_axes)

    @staticmethod
    def stacked(rows: Sequence[Conditions]) -> Conditions:
        """Several as one batch: all of them have the same names and shapes."""
        names = rows[0]
        arrays = {name: mx.concatenate([row[name] for row in rows]) for name in names}
        return Conditions(arrays, rows[0].frame_axes)
