"""What factored, full and spatial attention cost as a clip grows longer: attention pairs counted,
and calls of the same blocks measured.

The blocks are those of a family's transformer, with random weights: nothing is downloaded, and time
does not depend on what weights say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map

from mlxvid.catalog import CATALOG, Entry
from mlxvid.errors import SettingError
from mlxvid.model.geometry import ATTENTION_MODES as MODES

TEXT, TEXT_WIDTH = 20, 64  # words of the prompt and channels of each

Call = Callable[[mx.array, str], mx.array]  # of latents [1, F, H, W, C] and an attention mode


@dataclass(frozen=True)
class Blocks:
    """The sizes of what is measured: `depth` blocks over space and as many over time, of a family's
    transformer.

    latent: positions of a frame, height and width; patch: latent positions a token; dtype: of
    weights and activations.
    """

    family: str
    heads: int
    head_dim: int
    depth: int
    channels: int
    latent: tuple[int, int]
    patch: tuple[int, int, int]
    dtype: mx.Dtype = mx.float32

    @property
    def width(self) -> int:
        return self.heads * self.head_dim

    def places(self) -> int:
        """Tokens of a frame."""
        return -(-self.latent[0] // self.patch[1]) * -(-self.latent[1] // self.patch[2])


@dataclass(frozen=True)
class Row:
    """One length of clip; pairs (a head and layer) and milliseconds (a call) by attention mode."""

    latent_frames: int
    tokens: int
    pairs: dict[str, int]
    milliseconds: dict[str, float]


def _factored(blocks: Blocks, frames: int) -> Call:
    from mlxvid.models.factored.config import TransformerConfig
    from mlxvid.models.factored.transformer import FactoredTransformer

    config = TransformerConfig(
        in_channels=blocks.channels,
        patch_size=blocks.patch[1],
        patch_size_t=blocks.patch[0],
        hidden_size=blocks.width,
        num_layers=blocks.depth,
        attention_head_dim=blocks.head_dim,
        text_dim=TEXT_WIDTH,
    )
    network, text, mask = (
        _drawn(FactoredTransformer(config), blocks),
        _text(),
        mx.ones((1, TEXT), mx.bool_),
    )
    return lambda x, mode: network(
        x, mx.zeros((*x.shape[:-1], x.shape[-1] + 1)), mx.array([0.5]), text, mask, mode
    )


def _latte(blocks: Blocks, frames: int) -> Call:
    from mlxvid.models.latte.config import LatteConfig
    from mlxvid.models.latte.transformer import LatteTransformer3DModel

    config = LatteConfig(
        num_attention_heads=blocks.heads,
        attention_head_dim=blocks.head_dim,
        in_channels=blocks.channels,
        out_channels=2 * blocks.channels,
        num_layers=blocks.depth,
        cross_attention_dim=blocks.width,
        attention_bias=True,
        patch_size=blocks.patch[1],
        activation_fn="gelu-approximate",
        norm_type="ada_norm_single",
        norm_elementwise_affine=False,
        caption_channels=TEXT_WIDTH,
        video_length=frames,
    )
    network, text = _drawn(LatteTransformer3DModel(config), blocks), _text()
    return lambda x, mode: network(x, mx.array([500.0]), text, mode)


def _opensora(blocks: Blocks, frames: int) -> Call:
    from mlxvid.models.opensora.config import STDiT3Config
    from mlxvid.models.opensora.transformer import STDiT3

    config = STDiT3Config(
        in_channels=blocks.channels,
        patch_size=list(blocks.patch),
        hidden_size=blocks.width,
        depth=blocks.depth,
        num_heads=blocks.heads,
        caption_channels=TEXT_WIDTH,
    )
    network, text = _drawn(STDiT3(config), blocks), _text()
    return lambda x, mode: network(
        x,
        mx.array([500.0]),
        text,
        None,
        mx.array([24.0]),
        8 * x.shape[2],
        8 * x.shape[3],
        attention=mode,
    )


FAMILIES: dict[str, Callable[[Blocks, int], Call]] = {
    "factored": _factored,
    "latte": _latte,
    "opensora": _opensora,
}


def _text() -> mx.array:
    return mx.random.normal((1, TEXT, TEXT_WIDTH))


def _drawn(network: nn.Module, blocks: Blocks) -> nn.Module:
    network.update(
        tree_map(lambda weight: mx.random.normal(weight.shape) * 0.02, network.parameters())
    )
    network.set_dtype(blocks.dtype)
    mx.eval(network.parameters())
    return network


def blocks_of(entry: Entry, width: int, height: int, dtype: mx.Dtype = mx.float32) -> Blocks:
    """One block over space and one over time as wide as the model's, on its frames of that size in
    pixels.

    Raises :class:`SettingError` for a model that attends in one way only.
    """
    if "attention" not in entry.capabilities:
        others = ", ".join(
            name for name, other in CATALOG.items() if "attention" in other.capabilities
        )
        raise SettingError(
            f"{entry.name} attends in one way only; --growth is for models that have three: {others}."
        )
    geometry, sizes = entry.geometry, entry.footprint
    latent = (height // geometry.s_factor, width // geometry.s_factor)
    return Blocks(
        entry.family,
        sizes.heads,
        sizes.head_dim,
        1,
        geometry.channels,
        latent,
        geometry.patch,
        dtype,
    )


def lengths_to(latent_frames: int) -> list[int]:
    """A quarter and a half of that many latent frames, and all of them: where a quadratic cost
    shows.
    """
    return sorted({-(-latent_frames // 4), -(-latent_frames // 2), latent_frames})


def rows(blocks: Blocks, lengths: Sequence[int], repeats: int = 3) -> Iterator[Row]:
    """Each length counted and measured, in latent frames (multiples of the patch's)."""
    for frames in lengths:
        times, places = frames // blocks.patch[0], blocks.places()
        spatial, full = times * places**2, (times * places) ** 2
        pairs = {"factored": spatial + places * times**2, "full": full, "spatial": spatial}
        call, x = (
            FAMILIES[blocks.family](blocks, frames),
            mx.random.normal((1, frames, *blocks.latent, blocks.channels)),
        )
        calls = {mode: lambda mode=mode: mx.eval(call(x, mode)) for mode in MODES}  # noqa: B023
        yield Row(
            frames,
            times * places,
            {mode: pairs[mode] for mode in MODES},
            milliseconds(calls, repeats),
        )


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


def lines(measured: Iterator[Row]) -> Iterator[str]:
    """The rows as a table in Markdown, a line at a time."""
    columns = [
        "latent frames",
        "tokens",
        *(f"pairs, {mode}" for mode in MODES),
        *(f"ms, {mode}" for mode in MODES),
        "full / factored",
    ]
    yield f"| {' | '.join(columns)} |\n|{' ---: |' * len(columns)}"
    for row in measured:
        cells = [
            *(f"{row.pairs[mode]:,}" for mode in MODES),
            *(f"{row.milliseconds[mode]:.0f}" for mode in MODES),
        ]
        ratio = row.milliseconds["full"] / row.milliseconds["factored"]
        yield f"| {row.latent_frames} | {row.tokens:,} | {' | '.join(cells)} | {ratio:.2f} |"
