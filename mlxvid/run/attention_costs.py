"""What factored, full and spatial attention cost as a clip grows: pairs counted, calls measured.

The blocks are those of a family's transformer, with random weights: nothing is downloaded, and time
does not depend on what weights say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import mlx.core as mx

from mlxvid.catalog import CATALOG
from mlxvid.errors import SettingError
from mlxvid.model.attention_call import AttentionCall, Blocks
from mlxvid.model.card import Card
from mlxvid.model.geometry import ATTENTION_MODES as MODES

from .planning import Plan


@dataclass(frozen=True)
class Row:
    """One length of clip; pairs (a head and layer) and milliseconds (a call) by attention mode."""

    latent_frames: int
    tokens: int
    pairs: dict[str, int]
    milliseconds: dict[str, float]


def measured(card: Card, plan: Plan) -> Iterator[Row]:
    """Rows up to the frames that are denoised together in a planned clip of the model."""
    transformer = card.family.parts["transformer"]
    dtype = transformer.used_dtype(plan.dtype, half_is_slow=not plan.machine.metal)
    blocks = blocks_of(card, plan.width, plan.height, getattr(mx, dtype or card.dtype))
    return rows(card, blocks, lengths_to(card.geometry.latent_frames(plan.at_once)))


def blocks_of(card: Card, width: int, height: int, dtype: mx.Dtype = mx.float32) -> Blocks:
    """One block over space and one over time as wide as the model's, on its frames of that size in
    pixels.

    Raises :class:`SettingError` for a model that attends in one way only.
    """
    if "attention" not in card.takes:
        others = [name for name, other in CATALOG.items() if "attention" in other.takes]
        raise SettingError(
            f"{card.name} attends in one way only; `growth` is for models that have three: "
            f"{', '.join(others)}."
        )
    geometry = card.geometry
    latent = (height // geometry.s_factor, width // geometry.s_factor)
    return Blocks(
        heads=card.heads,
        head_dim=card.head_dim,
        depth=1,
        channels=geometry.channels,
        latent=latent,
        patch=geometry.patch,
        dtype=dtype,
    )


def lengths_to(latent_frames: int) -> list[int]:
    """A quarter and a half of that many latent frames, and all of them: where a quadratic cost
    shows.
    """
    return sorted({-(-latent_frames // 4), -(-latent_frames // 2), latent_frames})


def rows(card: Card, blocks: Blocks, lengths: Sequence[int], repeats: int = 3) -> Iterator[Row]:
    """Each length counted and measured, in latent frames (multiples of the patch's)."""
    family = card.family
    attention_call = family.load(family.model).attention_call
    for frames in lengths:
        times = frames // blocks.patch[0]
        positions = blocks.tokens_a_frame
        spatial = times * positions**2
        pairs = {
            "factored": spatial + positions * times**2,
            "full": (times * positions) ** 2,
            "spatial": spatial,
        }
        call = attention_call(blocks, frames)
        x = mx.random.normal((1, frames, *blocks.latent, blocks.channels))
        calls: dict[str, Callable[[], None]] = {}
        for mode in MODES:
            calls[mode] = partial(_evaluate, call, x, mode)
        yield Row(
            latent_frames=frames,
            tokens=times * positions,
            pairs={mode: pairs[mode] for mode in MODES},
            milliseconds=milliseconds(calls, repeats),
        )


def _evaluate(call: AttentionCall, x: mx.array, mode: str) -> None:
    mx.eval(call(x, mode))


def milliseconds(calls: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The shortest time of each call, which are made in turn: what else the machine does can only
    add to it.

    On the CPU it is the processor's time, which other programs take no part of; on a GPU time as it
    passes.
    """
    clock = time.process_time if mx.default_device() == mx.cpu else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(1 + repeats):
        for name, call in calls.items():
            start = clock()
            call()
            taken[name].append(1000 * (clock() - start))
    return {name: min(times[1:]) for name, times in taken.items()}  # the first is not counted


def table(measured_rows: Iterable[Row]) -> Iterator[str]:
    """The rows as a table in Markdown, a line at a time."""
    pairs = [f"pairs, {mode}" for mode in MODES]
    times = [f"ms, {mode}" for mode in MODES]
    columns = ["latent frames", "tokens", *pairs, *times, "full / factored"]
    yield f"| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}"
    for row in measured_rows:
        counted = [f"{row.pairs[mode]:,}" for mode in MODES]
        taken = [f"{row.milliseconds[mode]:.0f}" for mode in MODES]
        ratio = row.milliseconds["full"] / row.milliseconds["factored"]
        cells = [str(row.latent_frames), f"{row.tokens:,}", *counted, *taken, f"{ratio:.2f}"]
        yield f"| {' | '.join(cells)} |"
