"""What is asked of each loop of a long clip: its prompt, and which of its latent frames are given.

Open-Sora makes long clips in loops, each a clip whose first frames are the last of the one before.
The prompt's markers ("|0|a jeep|2|a jeep on the moon") say from which loop on a text holds; the
mask strategy says which frames of which reference (an encoded picture or clip) stand where, in
which loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError

from .sizes import CHUNK_LATENTS

ALIGN = CHUNK_LATENTS  # given frames begin where the VAE's chunks do
MARKER = "|"


@dataclass(frozen=True)
class Given:
    """In loop `loop`, `length` latent frames of reference number `reference`, from its frame
    `reference_start` on, stand from frame `start` on. Starts below 0 count from the end; a length
    beyond either end is cut there.

    edit: the share of noise from which they are denoised again: 0 leaves them as they are, 1 makes
    them anew.
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
    """The mask strategy in the reference's notation: groups joined by ";", each up to six numbers
    joined by ",".

    The numbers are :class:`Given`'s, in its order; those left out at the end have its defaults. ""
    gives nothing. Raises :class:`SettingError`.
    """
    return [_parse_group(group) for group in text.split(";")] if text else []


def _parse_group(group: str) -> Given:
    numbers = group.split(",")
    kinds = (int, int, int, int, int, float)
    try:
        values = [kind(number) for kind, number in zip(kinds, numbers, strict=False)]
    except ValueError:
        values = []
    if not values or len(numbers) > len(kinds):
        raise SettingError(
            f"{group!r} is no part of a mask strategy; write up to six numbers: loop, reference, its start, start, length, edit ratio."
        )
    return Given(*values)


def aligned(value: int, align: int, length: int) -> int:
    """The multiple of `align` nearest to `value`, the lower of two; the lower also where above no
    whole `align` is left before `length`.
    """
    below, over = divmod(value, align)
    return align * (below + (2 * over > align and below < length // align - 1))


def put_in(
    shape: Sequence[int],
    references: Sequence[mx.array],
    strategy: Sequence[Given],
    loop: int = 0,
    align: int | None = ALIGN,
) -> tuple[mx.array, np.ndarray]:
    """The latents that are given in a loop, [1, F, H, W, C] of `shape`, zero in the other frames,
    and each frame's edit ratio.

    references: latents [1, frames, H, W, C]. align: both starts are rounded by :func:`aligned`;
    None leaves them. The edit ratios are float32 [1, F], 1 where nothing is given;
    :class:`.sampling.GivenFramesFlow` takes both. Where two parts of a strategy overlap, the later
    holds. Raises :class:`SettingError` for frames that there are not.
    """
    given, edit, frames = mx.zeros(shape), np.ones((1, shape[1]), np.float32), shape[1]
    for part in strategy:
        if part.loop != loop:
            continue
        if part.reference >= len(references):
            there = (
                f"those given are numbered 0 to {len(references) - 1}"
                if references
                else "there is none"
            )
            raise SettingError(
                f"The mask strategy asks for reference {part.reference}, but {there}."
            )
        reference = references[part.reference]
        if reference.shape[2:] != given.shape[2:]:
            raise SettingError(
                f"Reference {part.reference} has another size than the clip; encode it at the clip's size."
            )
        source = _from_start(
            part.reference_start, reference.shape[1], align, f"reference {part.reference}"
        )
        start = _from_start(part.start, frames, align, "the clip")
        length = min(part.length, frames - start, reference.shape[1] - source)
        end = start + length
        given = mx.concatenate(
            [given[:, :start], reference[:, source : source + length], given[:, end:]], axis=1
        )
        edit[:, start:end] = part.edit
    return given, edit


def _from_start(value: int, length: int, align: int | None, where: str) -> int:
    if not -length <= value < length:
        raise SettingError(
            f"The mask strategy asks for latent frame {value} of {where}, which has {length}."
        )
    value = value % length
    return value if align is None else aligned(value, align, length)


def split_prompt(prompt: str) -> list[tuple[int, str]]:
    """The texts of a prompt with markers, each with the loop from which on it holds; a prompt that
    has none is one text from loop 0.

    Raises :class:`SettingError` for markers that are not whole numbers, ascending from 0, each
    before a text.
    """
    if not prompt.startswith("|0|"):
        return [(0, prompt)]
    loops, texts = (prompt[1:].split(MARKER)[i::2] for i in (0, 1))
    numbers = [int(loop) if loop.strip().isdecimal() else -1 for loop in loops]
    if len(loops) != len(texts) or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise SettingError(
            "The prompt's loop markers must be ascending whole numbers, each before a text: |0|a text|2|another text."
        )
    return [(number, text.strip()) for number, text in zip(numbers, texts, strict=True)]


def prompt_of(parts: Sequence[tuple[int, str]], loop: int) -> str:
    """The text that holds in `loop`, of the parts that :func:`split_prompt` gives."""
    return [text for start, text in parts if start <= loop][-1]


def with_scores(
    prompt: str,
    aesthetic: float | None = None,
    motion: float | None = None,
    camera: str | None = None,
) -> str:
    """The prompt with the tags that the model was trained with, as far as they are asked for and
    not in it already.

    aesthetic: how pleasing, about 4 to 7; motion: how much moves, about 0.5 to 25; camera: such as
    "pan left" or "zoom in".
    """
    tags = [
        ("aesthetic score", None if aesthetic is None else f"{aesthetic:.1f}"),
        ("motion score", None if motion is None else f"{motion:.1f}"),
        ("camera motion", camera),
    ]
    return " ".join(
        [
            prompt,
            *(
                f"{name}: {value}."
                for name, value in tags
                if value is not None and f"{name}:" not in prompt
            ),
        ]
    )
