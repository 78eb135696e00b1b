"""What goes on inside a network: its layers are wrapped, and what goes in and comes out is kept
under the golden files' names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx

from .files import MODULES, Check, difference

Stages = dict[str, mx.array]


def watched(
    layer: Callable,
    stages: Stages,
    *,
    source: str | None = None,
    result: str | None = None,
    by_place: bool = False,
) -> Callable:
    """`layer`, which now keeps its first argument as stage `source` and its result as stage
    `result`.

    by_place: the golden file has the frames of one place together, [B, S, T, C], where the port has
    [B, T, S, C].
    """

    def call(x: mx.array, *rest) -> mx.array:
        y = layer(x, *rest)
        stages.update(
            {
                name: value.swapaxes(1, 2) if by_place else value
                for name, value in ((source, x), (result, y))
                if name
            }
        )
        return y

    return call


def stage_check(name: str, stages: Stages, case: dict[str, mx.array]) -> Iterator[Check]:
    """The comparison of all stages of a run that its golden file has too, named after the one that
    is furthest off; none if it has none.

    Only the values' order counts: the golden files join batch, frames and places now this way, now
    that.
    """
    errors = {}
    for stage in sorted(stages.keys() & {key.removeprefix("mid.") for key in case}):
        errors[stage] = difference(stages[stage].reshape(-1), case[f"mid.{stage}"].reshape(-1))
    if errors:
        worst = max(errors, key=errors.get)
        yield Check(f"{name}, {len(errors)} stages, worst {worst}", errors[worst], MODULES)
