"""Stages inside a network: layers are wrapped, and their inputs and outputs are kept.

They are kept under the names that golden files have for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx

from .files import MODULES, Check, Tensors, difference


def watched(
    layer: Callable[..., mx.array],
    stages: Tensors,
    *,
    source: str | None = None,
    result: str | None = None,
    by_place: bool = False,
) -> Any:
    """`layer`, whose first argument is now kept as stage `source`, and its result as `result`.

    by_place: the golden file has [B, S, T, C] where the port has [B, T, S, C].
    """

    def keep(name: str | None, value: mx.array) -> None:
        if name is not None:
            stages[name] = value.swapaxes(1, 2) if by_place else value

    def call(x: mx.array, *rest: Any) -> mx.array:
        y = layer(x, *rest)
        keep(source, x)
        keep(result, y)
        return y

    return call


def stage_check(name: str, stages: Tensors, case: Tensors) -> Iterator[Check]:
    """One check of all stages that a golden case has too, named after the worst; none without any.

    Only the order of values counts: golden files join batch, frames and places in several ways.
    """
    golden = {key.removeprefix("mid.") for key in case}
    errors: dict[str, float] = {}
    for stage in sorted(stages.keys() & golden):
        errors[stage] = difference(stages[stage].reshape(-1), case[f"mid.{stage}"].reshape(-1))
    if errors:
        worst = max(errors, key=lambda stage: errors[stage])
        yield Check(f"{name}, {len(errors)} stages, worst {worst}", errors[worst], MODULES)
