"""Each loop's conditions in a long clip: its prompt, and its given latent frames.

Open-Sora makes long clips in loops, each a clip whose first frames are the last of the one before.
The prompt's markers ("|0|a jeep|2|a jeep on the moon") say from which loop on a text holds. The
mask strategy says which latent frames of which reference (an encoded picture or clip) are given
in which loop, and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .sizes import CHUNK_LATENTS

ALIGN = CHUNK_LATENTS  # given frames begin where the VAE's chunks do
MARKER = "|"


@dataclass(frozen=True)
class Given:
    """One group of a mask strategy: latent frames of a reference that are given in a loop.

    In loop `loop`, `length` latent frames of reference number `reference`, from its frame
    `reference_start` on, are given from frame `start` on. Starts below 0 count from the end; a
    length beyond either end is cut there.

    edit: the share of noise from which they are denoised again: 0 keeps them, 1 replaces them.
    Raises :class:`SettingError` for values out of range.
    """

    loop: int = 0
    reference: int = 0
    reference_start: int = 0
    start: int = 0
    length: int = 1
    edit: float = 0.0

    def __post_init__(self):
        if self.loop < 0 or self.reference < 0:
            raise SettingError("Loops and references in a mask strategy are counted from 0.")
        if self.length < 1:
            raise SettingError(
                f"A mask strategy gives at least 1 frame at a time, not {self.length}."
            )
        if not 0 <= self.edit <= 1:
            raise SettingError(
                f"An edit ratio in a mask strategy is from 0 to 1, not {self.edit:g}."
            )


def parse_strategy(text: str) -> list[Given]:
    """Read a mask strategy in the reference's notation, as in "0,0,0,0,1;0,1,0,-1,1,0.3".

    Groups are joined by ";", the up to six numbers of each by ",". The numbers are those of
    :class:`Given`, in its order; those left out at the end have its defaults. "" gives nothing.
    Raises :class:`SettingError`.
    """
    if not text:
        return []
    return [_parse_group(group) for group in text.split(";")]


def _parse_group(group: str) -> Given:
    names = [field.name for field in fields(Given)]
    numbers = group.split(",")
    try:
        if len(numbers) > len(names):
            raise ValueError("too many numbers")
        values = dict(zip(names, map(int, numbers[:5]), strict=False))
        edit = float(numbers[5]) if len(numbers) == 6 else Given.edit
    except ValueError:
        raise SettingError(
            f"{group!r} is no part of a mask strategy; write up to six numbers: "
            "loop, reference, its start, start, length, edit ratio."
        ) from None
    return Given(**values, edit=edit)


def aligned(value: int, align: int, length: int) -> int:
    """The multiple of `align` nearest to `value`.

    It is the lower one where both are equally near, and where no whole `align` is left between the
    upper one and `length`.
    """
    below, over = divmod(value, align)
    if 2 * over > align and below < length // align - 1:
        return align * (below + 1)
    return align * below


def put_in(
    shape: Sequence[int],
    references: Sequence[mx.array],
    strategy: Sequence[Given],
    loop: int = 0,
    align: int | None = ALIGN,
) -> tuple[mx.array, np.ndarray]:
    """The given latents of a loop, [1, F, H, W, C] of `shape`, and each frame's edit ratio.

    Latents are zero in frames that are not given; edit ratios are float32 [1, F], and 1 there.
    references: latents [1, frames, H, W, C]. align: both starts of a part are rounded by
    :func:`aligned`; None leaves them. Where two parts of a strategy overlap, the later one holds.
    Raises :class:`SettingError` for references and frames that don't exist.
    """
    frames = shape[1]
    given = mx.zeros(shape)
    edit = np.ones((1, frames), np.float32)
    for part in strategy:
        if part.loop != loop:
            continue
        reference = _reference(part.reference, references)
        if reference.shape[2:] != given.shape[2:]:
            raise SettingError(
                f"Reference {part.reference} has another size than the clip; "
                "encode it at the clip's size."
            )
        available = reference.shape[1]
        where = f"reference {part.reference}"
        source = _from_start(part.reference_start, available, align, where)
        start = _from_start(part.start, frames, align, "the clip")
        length = min(part.length, frames - start, available - source)
        end = start + length
        inserted = reference[:, source : source + length]
        given = mx.concatenate([given[:, :start], inserted, given[:, end:]], axis=1)
        edit[:, start:end] = part.edit
    return given, edit


def _reference(number: int, references: Sequence[mx.array]) -> mx.array:
    if number < len(references):
        return references[number]
    existing = "there is none"
    if references:
        existing = f"those given are numbered 0 to {len(references) - 1}"
    raise SettingError(f"The mask strategy asks for reference {number}, but {existing}.")


def _from_start(value: int, length: int, align: int | None, where: str) -> int:
    """A frame number counted from the start of `length` frames, from one that may be below 0."""
    if not -length <= value < length:
        raise SettingError(
            f"The mask strategy asks for latent frame {value} of {where}, which has {length}."
        )
    value = value % length
    return value if align is None else aligned(value, align, length)


def split_prompt(prompt: str) -> list[tuple[int, str]]:
    """(loop, text) for each text of a prompt with markers; it holds from that loop on.

    A prompt without markers is one text from loop 0. Raises :class:`SettingError` for markers that
    are not whole numbers, ascending from 0, each before a text.
    """
    if not prompt.startswith("|0|"):
        return [(0, prompt)]
    parts = prompt[1:].split(MARKER)
    markers = parts[0::2]
    texts = parts[1::2]
    loops = [int(marker) if marker.strip().isdecimal() else -1 for marker in markers]
    ascending = all(earlier < later for earlier, later in pairwise(loops))
    if len(markers) != len(texts) or not ascending:
        raise SettingError(
            "The prompt's loop markers must be ascending whole numbers, each before a text: "
            "|0|a text|2|another text."
        )
    return [(loop, text.strip()) for loop, text in zip(loops, texts, strict=True)]


def prompt_of(parts: Sequence[tuple[int, str]], loop: int) -> str:
    """The text that holds in `loop`, of the parts from :func:`split_prompt`."""
    return [text for start, text in parts if start <= loop][-1]


def with_scores(
    prompt: str,
    aesthetic: float | None = None,
    motion: float | None = None,
    camera: str | None = None,
) -> str:
    """The prompt with the model's score tags that are asked for and not yet in it.

    aesthetic: how pleasing, about 4 to 7; motion: how much moves, about 0.5 to 25; camera: such as
    "pan left" or "zoom in".
    """
    tags = {
        "aesthetic score": None if aesthetic is None else f"{aesthetic:.1f}",
        "motion score": None if motion is None else f"{motion:.1f}",
        "camera motion": camera,
    }
    parts = [prompt]
    for name, value in tags.items():
        if value is not None and f"{name}:" not in prompt:
            parts.append(f"{name}: {value}.")
    return " ".join(parts)
