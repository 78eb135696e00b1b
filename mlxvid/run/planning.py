"""What a clip will cost, before paying for it: latent shape, tokens, attention pairs, weights,
memory, and whether this machine has it. Nothing is loaded or downloaded for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mlxvid import catalog
from mlxvid.errors import DoesNotFitError, SettingError, shown
from mlxvid.model.caching import CACHES
from mlxvid.model.card import Card, Stage
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Counts, plan_geometry
from mlxvid.model.machine import GIB, Machine, this_machine
from mlxvid.model.memory import (
    DTYPE_BYTES,
    QUANTIZED_BITS,
    held_besides,
    stored_weights,
)
from mlxvid.model.request import Request
from mlxvid.model.settings import SETTINGS, is_among
from mlxvid.model.sharing import check_shared
from mlxvid.weights.sizes import read_sizes

from .costs import Costs, most_passes
from .recipes import with_loras


@dataclass(frozen=True)
class Alternative:
    """Settings that fit where the asked-for ones do not. quantize: bits a weight, or None."""

    frames: int
    width: int
    height: int
    quantize: int | None
    peak_bytes: int

    def __str__(self) -> str:
        bits = f" with `quantize` {self.quantize}" if self.quantize else ""
        return f"{counted(self.frames, 'frame')} at {self.width}x{self.height}{bits}"


@dataclass(frozen=True, kw_only=True)
class Plan(Counts):
    """:class:`Counts` with what the model and the machine add; sizes in bytes.

    at_once: frames that are denoised together, fewer than all of a long clip of some models;
    operations: floating-point ones of encode, of one pass of denoise, and of decode;
    weights: by component and type as they stand in memory; weights_source: "files" or "catalog"
    (stored counts of parameters); stage_bytes: estimated peaks of encode, denoise and decode;
    peak_bytes: the largest; alternatives: settings that fit, if this does not; machines: that share
    the transformer's layers, each of which has these weights and peaks; sent_bytes: by each to the
    others in one pass of denoise.
    """

    model: str
    fps: float
    attention: str
    dtype: str | None
    quantize: int | None
    weights: dict[str, dict[str, int]]
    weights_source: str
    download_bytes: int
    stage_bytes: dict[Stage, int]
    peak_bytes: int
    machine: Machine
    fits: bool
    alternatives: tuple[Alternative, ...]
    at_once: int
    operations: dict[Stage, float]
    machines: int = 1
    sent_bytes: int = 0

    def require_fit(self) -> None:
        """Raise :class:`DoesNotFitError`, naming what would fit, where the clip needs more than the
        machine has to give.
        """
        if not self.fits:
            wanted = f"{counted(self.frames, 'frame')} at {self.width}x{self.height}"
            each = f" on each of {self.machines} machines" if self.machines > 1 else ""
            raise DoesNotFitError(
                f"{self.model} needs about {gib(self.peak_bytes)}{each} for {wanted} and this "
                f"machine has {gib(self.machine.usable)} to give; {remedy(self.alternatives)}."
            )


def plan(
    model: str | Card = catalog.DEFAULT_MODEL,
    *,
    frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    guidance: float | None = None,
    true_guidance: float | None = None,
    skip_layers: str | None = None,
    cache: str = "off",
    attention: str | None = None,
    dtype: str | None = None,
    quantize: int | None = None,
    from_clip: bool = False,
    follows: bool = False,
    options: Mapping[str, Any] | None = None,
    loras: Sequence[str] = (),
    machine: Machine | None = None,
    machines: int = 1,
) -> Plan:
    """Count and estimate a clip of a catalog model, or of one in a local folder; what is None is
    the model's default, or what a few-step LoRA is run with, and `machine` is this one. from_clip:
    whether it is made from another; follows: whether it follows one as long, a `control`; options:
    of its family's settings those that are not the model's own; machines: that share the
    transformer's layers, each as `machine`.

    Raises :class:`ModelNotFoundError` for an unknown model, :class:`WeightsError` for a folder that
    holds none, and :class:`SettingError` for settings that no clip can have.
    """
    card = with_loras(model if isinstance(model, Card) else catalog.card_of(model), loras)
    default = card.defaults
    machine = machine or this_machine()
    attention = card.attention_modes[0] if attention is None else attention
    _one_of("cache", cache, CACHES)
    _one_of("attention", attention, card.attention_modes)
    _one_of("dtype", dtype, (None, *DTYPE_BYTES))
    _one_of("quantize", quantize, (None, *QUANTIZED_BITS))
    if machines > 1:
        check_shared(card, machines, quantize)
    fps = SETTINGS["fps"].checked(default.fps if fps is None else fps)
    guidance = SETTINGS["guidance"].checked(default.guidance if guidance is None else guidance)
    scales = (guidance, 1.0 if true_guidance is None else true_guidance)
    given = {"guidance": guidance, "true_guidance": true_guidance, "skip_layers": skip_layers}
    settled = {**card.options, **(options or {})}
    asked = plan_geometry(
        default.frames if frames is None else frames,
        default.width if width is None else width,
        default.height if height is None else height,
        card.geometry,
    )
    read = read_sizes(card.folder) if card.folder else {}
    costs = Costs(
        card=card,
        weights=read or stored_weights(card),
        attention=attention,
        dtype=dtype or (_own_dtype(card.folder) if card.folder and read else None),
        passes=card.passes(*scales),
        most_passes=most_passes(card, {**given, "options": settled}),
        cache=cache,
        from_clip=from_clip or follows,
        follows=follows,
        machine=machine,
        options=settled,
        machines=machines,
    )
    loaded = costs.loaded(quantize)
    stage_bytes = costs.stages(asked, quantize)
    peak = max(stage_bytes.values())
    fits = peak <= machine.usable
    return Plan(
        **{field.name: getattr(asked, field.name) for field in fields(Counts)},
        model=card.name,
        fps=fps,
        attention=attention,
        dtype=dtype,
        quantize=quantize,
        weights=loaded,
        weights_source="files" if read else "catalog",
        download_bytes=card.download_bytes,
        stage_bytes=stage_bytes,
        peak_bytes=peak,
        machine=machine,
        fits=fits,
        at_once=card.geometry.at_once(asked.frames, asked.width, asked.height),
        operations=costs.operations(asked),
        alternatives=() if fits else _alternatives(asked, quantize, costs),
        machines=machines,
        sent_bytes=costs.sent(asked),
    )


def held_by(
    card: Card, request: Request, dtype: str | None, quantize: int | None, machines: int = 1
) -> dict[Stage, int]:
    """Estimated bytes that the stages of a request hold on this machine besides weights.

    card: of a model in a folder. dtype, quantize: as it is loaded. machines: that share its layers.
    """
    folder = card.folder
    costs = Costs(
        card=card,
        weights=read_sizes(folder) if folder else stored_weights(card),
        attention=request.attention,
        dtype=dtype,
        passes=card.passes(request.guidance, request.true_guidance),
        most_passes=most_passes(card, request.settings()),
        cache=request.cache,
        from_clip=request.video is not None or request.control is not None,
        follows=request.control is not None,
        machine=this_machine(),
        options=request.options,
        machines=machines,
    )
    size = (request.frames, request.width, request.height)
    load = costs.load(plan_geometry(*size, card.geometry), quantize)
    return held_besides(load, card, costs.machine)


def _own_dtype(folder: Path) -> str | None:
    """The type that a folder's model is loaded in where none is asked for, if its index says so."""
    return Folder(folder).index.get("dtype")


def _attempt(costs: Costs, frames: int, width: int, height: int, bits: int | None) -> Alternative:
    """A clip of about that size, and what it takes."""
    counts = plan_geometry(frames, width, height, costs.card.geometry)
    peak = max(costs.stages(counts, bits).values())
    return Alternative(counts.frames, counts.width, counts.height, bits, peak)


def _alternatives(asked: Counts, bits: int | None, costs: Costs) -> tuple[Alternative, ...]:
    """Up to three settings that fit: fewer bits, fewer frames, a smaller picture, half the frames
    with as large a picture as then fits; and where the weights alone are too large, the same with
    fewer bits.
    """
    usable = costs.machine.usable
    fewer = [] if bits else sorted(QUANTIZED_BITS, reverse=True)
    found: list[Alternative | None] = []
    for fewer_bits in fewer:
        quantized = _attempt(costs, asked.frames, asked.width, asked.height, fewer_bits)
        if quantized.peak_bytes <= usable:
            found.append(quantized)
            break
    found += _smaller(asked, bits, costs)
    for fewer_bits in fewer:
        if not any(found):
            found = _smaller(asked, fewer_bits, costs)
    return tuple(dict.fromkeys(setting for setting in found if setting))[:3]


def _smaller(asked: Counts, bits: int | None, costs: Costs) -> list[Alternative | None]:
    """The most frames, the largest picture, and the largest with half the frames, that fit."""
    geometry = costs.card.geometry
    usable = costs.machine.usable
    columns = asked.width // geometry.multiples[0]

    def by_frames(latents: int) -> Alternative:
        frames = geometry.pixel_frames(latents * geometry.patch[0])
        return _attempt(costs, frames, asked.width, asked.height, bits)

    def by_size(frames: int) -> Alternative | None:
        def make(n: int) -> Alternative:
            height = max(1, asked.height * n // columns)
            return _attempt(costs, frames, n * geometry.multiples[0], height, bits)

        return _largest(columns, make, usable)

    fewer_frames = _largest(asked.token_grid[0], by_frames, usable)
    return [fewer_frames, by_size(asked.frames), by_size(max(1, asked.frames // 2))]


def _largest(count: int, make: Callable[[int], Alternative], usable: int) -> Alternative | None:
    """The last of make(1), …, make(count) that fits, given that memory grows along the row; the
    first may be too small to be made.
    """
    low = 1
    best = None
    while low <= count:
        middle = (low + count) // 2
        try:
            setting = make(middle)
        except SettingError:
            low = middle + 1
            continue
        if setting.peak_bytes <= usable:
            low = middle + 1
            best = setting
        else:
            count = middle - 1
    return best


def _one_of(name: str, value: Any, allowed: Sequence[Any]) -> Any:
    if not is_among(value, allowed):
        known = ", ".join(str(a) for a in allowed if a is not None)
        raise SettingError(f"`{name}` must be one of {known}, not {shown(value)}.")
    return value


def gib(size: int) -> str:
    """Bytes for people."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.1f} MiB"


def counted(number: int, noun: str) -> str:
    """A number and a noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def remedy(alternatives: Sequence[Alternative]) -> str:
    """What to do, as the end of a sentence."""
    if not alternatives:
        return "no size of clip fits beside this model's weights: choose a smaller model"
    return "what fits: " + ", or ".join(map(str, alternatives))
