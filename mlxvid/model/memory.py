"""How much memory the stages of a run take, estimated from a model's card.

Each family's card has the coefficients that its own networks were measured with
(:class:`mlxvid.model.coefficients.Coefficients`); what holds for all of them stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from mlxvid.padded_heads import padded
from mlxvid.text.streamed import Streamed

from .card import STAGES, Card, Family, Stage
from .coefficients import Coefficients
from .machine import Machine

# With classifier-free guidance the network runs for the prompt and for the negative prompt: in one
# batch where the tokens of both are no more than this, since small matrices leave the device idle,
# and where there is room for both; else in two passes, which hold half as much.
BATCHED_TOKENS = 8192
# Python, MLX and the media libraries before any weight is loaded.
RUNTIME_BYTES = 300 * 2**20
# MLX's fused attention on Metal never holds the score matrix for these head sizes, but once for
# others. On the CPU it is made in parts that are too small to count (layers/processor.py).
FUSED_HEAD_DIMS = frozenset({64, 72, 80, 96, 128})
# Of what a block holds, machines that share its layers hold so many of the transformer's widths
# whole: on Metal the tokens, what a layer makes of them, and the sum of that over all machines; on
# the CPU as was measured with one, two and four machines.
WHOLE_WIDTHS = 3.0
CPU_WHOLE_WIDTHS = 6.0
# Of a text encoder's, which adds to them, MLX's CPU backend holds so many copies.
CPU_SCORE_COPIES = 5
# Bytes of a value on MLX's CPU backend, whatever the weights' type: a product of half precision is
# made of copies in float32. On Metal values of a block are as large as the transformer's type.
VALUE_BYTES = 4
# Bits of a quantized weight with its share of the group's scale and bias: groups of 64, 16 bits.
QUANTIZED_BITS = {4: 4.5, 8: 8.5}
# A VAE holds so much more while it encodes than while it decodes: 1.2 times as much of the embedded
# model's and 1.4 of Wan 2.1's, measured on the CPU; and of the clip itself so many bytes a pixel.
ENCODING = 1.4
ENCODED_BYTES = 27
DTYPE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}

Weights = dict[str, dict[str, int]]
"""Bytes by component and type."""


@dataclass(frozen=True)
class Load:
    """What a clip asks of the stages.

    latent_frames: of `t_factor` frames each. width, height: in pixels. tokens: in the transformer,
    of one of `batch` rows. scores: attention pairs a head that are held at once. dtype: that was
    asked for, None for none. from_clip: whether a clip is encoded first, to be made anew.
    cached: bytes that a step cache keeps. machines: that share the transformer's layers.
    """

    frames: int
    latent_frames: int
    t_factor: int
    width: int
    height: int
    tokens: int
    scores: int
    batch: int
    dtype: str | None = None
    from_clip: bool = False
    cached: int = 0
    machines: int = 1


def stored_weights(card: Card) -> Weights:
    """Bytes by component and type of a release, from its card's counts of parameters."""
    weights: Weights = {}
    for component, count in card.parameters.items():
        stays = card.family.parts[component].stays_float32
        dtype = "float32" if stays else card.dtype
        weights[component] = {dtype: int(count * DTYPE_BYTES[dtype])}
    return weights


def loaded_weights(
    weights: Weights,
    family: Family,
    dtype: str | None,
    quantize: int | None,
    metal: bool,
    bfloat16_is_slow: bool = False,
    precise: Mapping[str, int] | None = None,
) -> Weights:
    """`weights`, as stored, as they stand in memory.

    dtype: the type that was asked for, None for none. quantize: bits a weight, None for none.
    precise: as :attr:`Card.precise`. Components that the family does not load are left out.
    """
    loaded: Weights = {}
    for component, types in weights.items():
        part = family.parts.get(component)
        if part is None:
            continue
        used = part.used_dtype(dtype, not metal, bfloat16_is_slow)
        bits = quantize if part.quantized else None
        left = (precise or {}).get(component, 0) if bits else 0
        sizes: dict[str, int] = {}
        for stored, size in types.items():
            whole = 0
            if left and stored in DTYPE_BYTES:
                whole = min(size, int(left * DTYPE_BYTES[stored]))
                left = 0
            parts = (_held(stored, size - whole, used, bits), _held(stored, whole, used, None))
            for kind, held in parts:
                if held:
                    sizes[kind] = sizes.get(kind, 0) + held
        loaded[component] = sizes
    return loaded


def _held(stored: str, size: int, used: str | None, bits: int | None) -> tuple[str, int]:
    """The type that stored weights have in memory, and their bytes in it."""
    if stored not in DTYPE_BYTES:  # quantized already
        return stored, size
    count = size / DTYPE_BYTES[stored]
    if bits:
        return f"{bits}-bit", int(count * QUANTIZED_BITS[bits] / 8)
    kind = used or stored
    return kind, int(count * DTYPE_BYTES[kind])


def value_bytes(card: Card, dtype: str | None, metal: bool) -> float:
    """Bytes of a value in a transformer block. dtype: that was asked for, None for none."""
    if not metal:
        return VALUE_BYTES
    parts = card.family.parts.values()
    denoiser = next(part for part in parts if part.stage == "denoise")
    return DTYPE_BYTES[denoiser.used_dtype(dtype, half_is_slow=False) or card.dtype]


def in_one_batch(
    tokens: int, rows: int, weight_bytes: int, card: Card, dtype: str | None, machine: Machine
) -> bool:
    """Whether `rows` of conditions, of `tokens` each, go through the transformer together.

    They do where the model batches them, they are few, and what is held of all fits beside the
    weights.
    """
    if not card.batches:
        return False
    held = int(
        rows * tokens * _block_values(card, machine) * value_bytes(card, dtype, machine.metal)
    )
    fits = RUNTIME_BYTES + weight_bytes + held <= machine.usable
    return rows * tokens <= BATCHED_TOKENS and fits


def _block_values(card: Card, machine: Machine, scores: float = 0.0, machines: int = 1) -> float:
    """Values a token and row in a transformer block. scores: a token's, where they are held.
    machines: that share it.
    """
    memory = card.family.memory
    block = memory.metal if machine.metal else memory.cpu
    if machine.metal:
        # Queries, keys, values and what is made of them are wider.
        scores += 4 * card.width / machines * (padded(card.head_dim) / card.head_dim - 1)
    whole = WHOLE_WIDTHS if machine.metal else CPU_WHOLE_WIDTHS
    return block.values(card.width, card.inner_width, scores, machines, whole)


def decode_piece(
    coefficients: Coefficients,
    frames: int,
    width: int,
    height: int,
    usable: int,
    clip_frames: int = 0,
) -> tuple[int, bool]:
    """Bytes that the VAE holds while it decodes, and whether it does so in small tiles: it does
    where the usual piece would take more than half of what there is, and tiles take no more.

    frames, width, height: of what is decoded together, in pixels. clip_frames: of the whole clip,
    of which tiles hold :attr:`Coefficients.tiled_values`.
    """

    def size(tile: int, halo: int) -> int:
        sides = [side if side <= tile else min(side, tile + 2 * halo) for side in (width, height)]
        return int(frames * prod(sides) * coefficients.decode_values * VALUE_BYTES)

    usual = size(coefficients.decode_tile, coefficients.decode_halo)
    if coefficients.small_tile is None or usual <= usable // 2:
        return usual, False
    clip = int(coefficients.tiled_values * clip_frames * width * height * VALUE_BYTES)
    tiled = size(coefficients.small_tile, 0) + clip
    return (tiled, True) if tiled <= usual else (usual, False)


def stages(load: Load, weights: Weights, card: Card, machine: Machine) -> dict[Stage, int]:
    """Estimated bytes at the peak of each stage: one component is in memory at a time.

    encode: the largest encoder, or what is in memory of it at a time, or the VAE with a clip that
    it encodes. denoise: the largest transformer, and what a block of it holds of tokens x batch,
    with the scores where attention isn't fused. decode: the VAE, decode_values a pixel of one chunk
    and tile, and the frames as bytes, twice while they are joined.
    """
    needed = {stage: stage_weights(stage, weights, card.family) for stage in STAGES}
    held = held_besides(load, card, machine)
    encoder = _encoding(weights, card, machine)
    needed["encode"] = max(encoder - held["encode"], needed["decode"] if load.from_clip else 0)
    return {stage: RUNTIME_BYTES + needed[stage] + held[stage] for stage in STAGES}


def _encoding(weights: Weights, card: Card, machine: Machine) -> int:
    """Bytes of the encoder that needs most of them."""
    needed = [0]
    for component, types in weights.items():
        size = sum(types.values())
        if component in card.streamed:
            size = streamed_bytes(size, card.streamed[component], machine.metal)
        if card.family.parts[component].stage == "encode":
            needed.append(size)
    return max(needed)


def streamed_bytes(size: int, streamed: Streamed, metal: bool) -> int:
    """Bytes at the peak of an encoder that is used block by block. size: of all its weights."""
    copies = 1 if metal else CPU_SCORE_COPIES
    values = streamed.matrix + streamed.held + copies * streamed.scores
    return int(streamed.share * size) + values * VALUE_BYTES


def held_besides(load: Load, card: Card, machine: Machine) -> dict[Stage, int]:
    """Estimated bytes that each stage holds besides its weights, as in :func:`stages`."""
    return {
        "encode": _encoding_clip(load, card.family.memory, machine) if load.from_clip else 0,
        "denoise": _activations(load, card, machine) + load.cached,
        "decode": _decoding(load, card.family.memory, machine),
    }


def stage_weights(stage: Stage, weights: Weights, family: Family) -> int:
    """Bytes of the largest component of a stage."""
    sizes = [
        sum(types.values())
        for component, types in weights.items()
        if family.parts[component].stage == stage
    ]
    return max(sizes, default=0)


def _activations(load: Load, card: Card, machine: Machine) -> int:
    rows = load.tokens * load.batch
    scores = 0.0
    if machine.metal and card.head_dim not in FUSED_HEAD_DIMS:
        scores = load.batch * card.heads / load.machines * load.scores
    values = rows * _block_values(card, machine, scores / rows, load.machines)
    return int(values * value_bytes(card, load.dtype, machine.metal))


def _encoding_clip(load: Load, memory: Coefficients, machine: Machine) -> int:
    piece = _piece(load, memory, machine)
    return int(ENCODING * piece) + ENCODED_BYTES * load.frames * load.width * load.height


def _decoding(load: Load, memory: Coefficients, machine: Machine) -> int:
    frames = 2 * 3 * load.frames * load.width * load.height
    return _piece(load, memory, machine) + frames


def _piece(load: Load, memory: Coefficients, machine: Machine) -> int:
    at_once = min(load.latent_frames, memory.decode_chunk) * load.t_factor
    size = (load.width, load.height)
    return decode_piece(memory, at_once, *size, machine.usable, load.frames)[0]
