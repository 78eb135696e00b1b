"""How often a clip's network is evaluated, counted from its settings. Nothing is loaded for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlxvid.model.caching import LEAST_STEPS, first_full
from mlxvid.model.passes import Counted
from mlxvid.model.samplers import calls_in

from .recipes import card_with
from .savings import SKIPPED


def passes_of(settings: Mapping[str, Any]) -> float:
    """The most evaluations of the network in a clip of these settings, as :func:`evaluations_of`;
    those over a part of its tokens, or at a smaller size, count as what they are of a whole one.
    """
    return sum(most * stage.share for stage, _, most in _stages(settings))


def evaluations_of(settings: Mapping[str, Any]) -> tuple[int, int]:
    """The least and the most evaluations of the network in a clip of these settings, each over the
    tokens of one row of conditions. What is None or missing is the model's default, or what a
    few-step LoRA among them is run with.

    A step cache leaves out at best whatever it may; what it has left out of a clip that is made,
    stands in its settings.

    Raises :class:`MlxvidError` for models that are not here.
    """
    stages = list(_stages(settings))
    return sum(least for _, least, _ in stages), sum(most for *_, most in stages)


def _stages(settings: Mapping[str, Any]) -> Iterator[tuple[Counted, int, int]]:
    """Each stage, with the least and the most evaluations in it."""
    given = {name: value for name, value in settings.items() if value is not None}
    card = card_with(given)
    sampler = given.get("sampler", card.defaults.sampler)
    cache = given.get("cache", "off")
    skipped, of = given.get(SKIPPED, (0, 1))
    for stage in card.counted(given):
        steps = len(stage.steps)
        calls = [calls_in(sampler, number, steps) for number in range(steps)]
        most = sum(count * len(passes) for count, passes in zip(calls, stage.steps, strict=True))
        least = most
        if cache != "off" and steps >= LEAST_STEPS:
            least = sum(_never_left_out(stage, cache, calls))
        if skipped:
            # Steps may have more passes or fewer, and of which were left out nothing is said.
            least = max(least, round(most * (1 - skipped / of)))
            most = least
        yield stage, least, most


def _never_left_out(stage: Counted, cache: str, calls: Sequence[int]) -> Iterator[int]:
    """The evaluations in each step that a step cache computes whatever it finds: in a stage's first
    steps and its last one, and where there are passes of which it has kept nothing.

    calls: of all passes, in each step.
    """
    steps = len(stage.steps)
    kept: set[str] = set()
    for number, passes in enumerate(stage.steps):
        asked = set(passes)
        is_known = asked <= kept if cache == "easy" else asked == kept
        if number < first_full(cache, steps) or number == steps - 1:
            yield calls[number] * len(asked)
        elif not is_known:
            yield len(asked)
        else:
            continue
        kept = asked or kept
