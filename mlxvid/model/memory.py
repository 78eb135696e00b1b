"""How much memory a model's stages take, and how much this machine has to give. All coefficients to
calibrate stand here.
"""

from __future__ import annotations

import json
import os
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path

from mlxvid.errors import WeightsError
from mlxvid.weights.files import weight_files

GIB = 2**30

# With guidance the model runs for the prompt and for the negative prompt: in one batch where the
# tokens of both are no more than this, since small matrices leave the device idle, and where there
# is room for both; else in two passes, which hold half as much.
BATCHED_TOKENS = 8192

# Memory left to the system and to other programs: wiring nearly all of it has frozen 16 GB Macs.
RESERVE_SHARE, RESERVE_BYTES = 0.2, 2 * GIB
# Python, MLX and the media libraries before any weight is loaded.
RUNTIME_BYTES = 300 * 2**20
# MLX's fused attention on Metal never holds the score matrix for these head sizes; everywhere else
# it holds this many copies.
FUSED_HEAD_DIMS = frozenset({64, 72, 80, 96, 128})
SCORE_COPIES = 1.0
# A value held between operations, whatever the weights' type: with float16 weights mini's
# transformer still held 92 % of the bytes that it holds in float32, since norms and modulation are
# float32.
VALUE_BYTES = 4
# A quantized weight with its share of the group's scale and bias (groups of 64, both 16 bits), and
# which components are quantized.
QUANTIZED_BITS = {4: 4.5, 8: 8.5}
QUANTIZED_COMPONENTS = ("transformer", "text_encoder")
COMPONENTS = ("text_encoder", "image_encoder", "transformer", "vae", "vae_temporal_decoder")

DTYPE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0}
_HEADER_NAMES = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}


@dataclass(frozen=True)
class Coefficients:
    """What the stages of one family hold besides their weights, found with
    ``mx.get_peak_memory()``.

    token_widths: values a token and batch row within a transformer block, in units of the
    transformer's width; decode_values: values a pixel of the piece that the VAE decodes at a time;
    decode_chunk: latent frames of that piece; decode_tile, decode_halo: pixels of its side, and
    those read beyond it on either side; most_scores: attention scores that are held at once where
    attention isn't fused, None for all of them; small_tile: pixels of the side, what is read beyond
    it included, of the tiles that the VAE takes where its usual piece is too large.
    """

    token_widths: float
    decode_values: float
    decode_chunk: int
    decode_tile: int
    decode_halo: int
    most_scores: int | None = None
    small_tile: int | None = None


# factored: mini on MLX's CPU backend. 33 frames of 96x96 to 81 of 192x192 held 24.2 widths a token
# in every attention mode (20.5 without the temporal one) and one copy of the scores; decoding 13 to
# 33 frames of 96x96 to 384x384 (tiled) held 80 to 90 values a pixel. wan: random weights of 1.3B's
# proportions held 24 (bfloat16) to 30 widths a token, and 24 to 27 of 14B's; on Metal, where
# attention's queries and keys need no copies, less is to be expected. Its VAE's values a pixel were
# counted without the copies that MLX's convolutions make on the CPU and not on Metal; small
# pictures take two to five times as much here. latte, opensora: two blocks of the real width with
# random weights held 23.4 and 22 widths a token besides the scores. Decoding at the real width held
# 3270 values a pixel of the one frame that is worked on, of which 2304 are such copies, and the
# temporal decoder 230 for each of its 14 frames; Open-Sora's frame is a quarter of a latent frame.
FAMILIES = {
    "factored": Coefficients(
        token_widths=24.5, decode_values=90, decode_chunk=4, decode_tile=256, decode_halo=40
    ),
    "latte": Coefficients(
        token_widths=24,
        decode_values=300,
        decode_chunk=14,
        decode_tile=1280,
        decode_halo=0,
        most_scores=2**26,
    ),
    "opensora": Coefficients(
        token_widths=23,
        decode_values=245,
        decode_chunk=1,
        decode_tile=1280,
        decode_halo=0,
        most_scores=2**26,
    ),
    "wan": Coefficients(
        token_widths=24,
        decode_values=1010,
        decode_chunk=1,
        decode_tile=1280,
        decode_halo=0,
        most_scores=2**26,
        small_tile=640,
    ),
}


@dataclass(frozen=True)
class Footprint:
    """A model's size as far as memory goes: parameters of each component, the transformer's heads
    and their size, the type that weights are used in, and the components that stay in float32 all
    the same."""

    parameters: Mapping[str, int]
    heads: int
    head_dim: int
    dtype: str
    float32: frozenset[str] = frozenset()

    def used(self, dtype: str | None, metal: bool) -> dict[str, str]:
        """The type of each component's weights in memory: `dtype` where it is asked for; without
        Metal, where half precision is slow, float32."""
        here = dtype or (None if metal else "float32")
        return {
            name: here or ("float32" if name in self.float32 else self.dtype) for name in COMPONENTS
        }


@dataclass(frozen=True)
class Machine:
    """name: system and processor; total, usable: bytes of memory, and how many of them a clip may
    take; metal: MLX runs on the GPU.
    """

    name: str
    total: int
    usable: int
    metal: bool


def this_machine(total: int | None = None) -> Machine:
    """The machine at hand, or one like it with `total` bytes of memory.

    Usable is what remains after a reserve of a fifth and at least 2 GiB (half of it all on the
    smallest machines), and on a Mac no more than Metal recommends to keep in use.
    """
    metal = platform.system() == "Darwin" and platform.machine() == "arm64"
    ceiling = _metal_working_set() if metal and total is None else None
    total = total or _physical_memory()
    usable = total - min(max(int(total * RESERVE_SHARE), RESERVE_BYTES), total // 2)
    return Machine(
        f"{_system()} {platform.machine()}", total, min(usable, ceiling or usable), metal
    )


def _system() -> str:
    version = platform.mac_ver()[0]
    return f"macOS {version}" if version else platform.system()


def _metal_working_set() -> int | None:
    import mlx.core as mx  # here, since everything else about a plan is arithmetic

    return mx.device_info().get("max_recommended_working_set_size")


def _physical_memory() -> int:
    """Bytes of memory, or of the container's share where Linux sets one."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ):
        try:
            total = min(total, int(limit.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total


def stored_weights(footprint: Footprint) -> dict[str, dict[str, int]]:
    """Bytes by component and type as :func:`read_weights` gives them, from the catalog's counts of
    parameters.
    """
    types = {
        name: "float32" if name in footprint.float32 else footprint.dtype
        for name in footprint.parameters
    }
    return {
        name: {types[name]: int(count * DTYPE_BYTES[types[name]])}
        for name, count in footprint.parameters.items()
    }


def read_weights(folder: Path) -> dict[str, dict[str, int]]:
    """Bytes by component (a folder with weights in it) and type, from the files' headers alone;
    empty where there are none.

    Raises :class:`WeightsError` for a file whose header can't be read, or that is missing.
    """
    weights: dict[str, dict[str, int]] = {}
    for component, files in weight_files(folder).items():
        types = weights.setdefault(component, {})
        for path in files:
            for dtype, size in _header(path) if path.suffix == ".safetensors" else _tensors(path):
                types[dtype] = types.get(dtype, 0) + size
    return weights


def _tensors(path: Path) -> tuple[tuple[str, int], ...]:
    """(type, bytes) of each tensor in one of PyTorch's files, as it is read."""
    try:
        facts = path.stat()
    except OSError:
        raise WeightsError(f"{path} can't be read; download or convert it again.") from None
    return _tensors_of(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _tensors_of(path: Path, size: int, changed: int) -> tuple[tuple[str, int], ...]:
    """Kept while the file stays the same: a pickle of a thousand tensors takes half a second, and
    the app plans at every change.
    """
    from mlxvid.weights import torch_file

    tensors = torch_file.read(path).values()
    return tuple(
        (t.read_dtype, t.values.size * int(DTYPE_BYTES.get(t.read_dtype, t.values.itemsize)))
        for t in tensors
    )


def _header(path: Path) -> list[tuple[str, int]]:
    """(type, bytes) of each tensor in a safetensors file: 8 bytes of length, little end first, and
    that much JSON.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            size = path.stat().st_size
            header = json.loads(file.read(min(length, size)))
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        if any(e["data_offsets"][1] > size - 8 - length for e in entries):
            raise ValueError("tensors beyond the end of the file")
        return [
            (
                _HEADER_NAMES.get(e["dtype"], e["dtype"].lower()),
                e["data_offsets"][1] - e["data_offsets"][0],
            )
            for e in entries
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        raise WeightsError(
            f"{path} is not a whole safetensors file; download or convert it again."
        ) from None


def loaded_weights(
    weights: dict[str, dict[str, int]], used: Mapping[str, str], quantize: int | None
) -> dict[str, dict[str, int]]:
    """`weights` as they stand in memory: each component in the type that it is `used` in, where
    that is said, and those that can be quantized to `quantize` bits, where it is given."""
    loaded: dict[str, dict[str, int]] = {}
    for component, types in weights.items():
        loaded[component] = {}
        bits = (
            QUANTIZED_BITS[quantize]
            if quantize and component.startswith(QUANTIZED_COMPONENTS)
            else None
        )
        for stored, size in types.items():
            kind, here = stored, size
            if stored in DTYPE_BYTES:
                count = size / DTYPE_BYTES[stored]
                kind = f"{quantize}-bit" if bits else used.get(component, stored)
                here = int(count * (bits / 8 if bits else DTYPE_BYTES[kind]))
            loaded[component][kind] = loaded[component].get(kind, 0) + here
    return loaded


@dataclass(frozen=True)
class Load:
    """What a clip asks of the stages: latent frames of `latent_frames` x `t_factor` frames, `width`
    x `height` pixels, `tokens` in the transformer and `batch` rows of them (2 with guidance),
    `scores` attention pairs a head held at once."""

    frames: int
    latent_frames: int
    t_factor: int
    width: int
    height: int
    tokens: int
    scores: int
    batch: int


def in_one_batch(tokens: int, transformer: int, width: int, family: str, usable: int) -> bool:
    """Whether the prompt and the negative prompt, of `tokens` each, go together through a
    transformer of `width` values a token, whose weights have so many bytes: where they are few, and
    what is held of both fits beside the weights."""
    held = 2 * tokens * width * FAMILIES[family].token_widths * VALUE_BYTES
    return 2 * tokens <= BATCHED_TOKENS and RUNTIME_BYTES + transformer + held <= usable


def decode_piece(
    family: str, frames: int, width: int, height: int, usable: int
) -> tuple[int, bool]:
    """Bytes that the VAE holds of the piece that it decodes at a time, `frames` of `width` x
    `height` at most; and whether that is a small tile, since the usual piece would take more than
    half of what there is."""
    coefficients = FAMILIES[family]

    def size(tile: int, halo: int) -> int:
        sides = (side if side <= tile else min(side, tile + 2 * halo) for side in (width, height))
        return int(frames * prod(sides) * coefficients.decode_values * VALUE_BYTES)

    usual = size(coefficients.decode_tile, coefficients.decode_halo)
    if coefficients.small_tile is None or usual <= usable // 2:
        return usual, False
    return size(coefficients.small_tile, 0), True


def stages(
    load: Load,
    weights: dict[str, dict[str, int]],
    footprint: Footprint,
    family: str,
    machine: Machine,
) -> dict[str, int]:
    """Estimated bytes at the peak of encode, denoise and decode; one component is in memory at a
    time, so the largest is the clip's peak.

    encode: the larger of the text and image encoders. denoise: transformer + tokens * batch * width
    * token_widths, and the scores where attention isn't fused. decode: VAE + decode_values a pixel
    of one chunk and tile, and the frames as bytes, twice while they are joined.
    """
    size = {component: sum(types.values()) for component, types in weights.items()}
    coefficients = FAMILIES[family]
    activations = (
        load.tokens * load.batch * footprint.heads * footprint.head_dim * coefficients.token_widths
    )
    if not (machine.metal and footprint.head_dim in FUSED_HEAD_DIMS):
        scores = SCORE_COPIES * load.batch * footprint.heads * load.scores
        activations += min(scores, coefficients.most_scores or scores)
    at_once = min(load.latent_frames, coefficients.decode_chunk) * load.t_factor
    piece, _ = decode_piece(family, at_once, load.width, load.height, machine.usable)
    frames = 2 * 3 * load.frames * load.width * load.height
    decoder = max((n for name, n in size.items() if name.startswith("vae")), default=0)
    return {
        "encode": RUNTIME_BYTES
        + max((n for name, n in size.items() if name.endswith("encoder")), default=0),
        "denoise": RUNTIME_BYTES
        + sum(n for name, n in size.items() if "transformer" in name)
        + int(activations * VALUE_BYTES),
        "decode": RUNTIME_BYTES + decoder + piece + frames,
    }
