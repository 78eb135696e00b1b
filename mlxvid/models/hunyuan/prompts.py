"""Prompts as HunyuanVideo reads them: templates, token ids, and what is cut off again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import mlx.core as mx

from mlxvid.errors import WeightsError
from mlxvid.model.conditions import Conditions
from mlxvid.progress import Watch
from mlxvid.text.tokenizer import JsonTokenizer, Tokenizer, load_tokenizer

from .card import PROMPT_PIECES

# Word pieces of CLIP, with its two special tokens.
CLIP_IDS = 77
BEGIN = "<|begin_of_text|>"

SYSTEM = "<|start_header_id|>system<|end_header_id|>\n\n"
USER = "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
ASSISTANT = "<|start_header_id|>assistant<|end_header_id|>\n\n"
# What to say of a video; there is no space between the sentences.
ASPECTS = (
    "1. The main content and theme of the video."
    "2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects."
    "3. Actions, events, behaviors temporal relationships, physical movement changes of the "
    "objects."
    "4. background environment, light, style and atmosphere."
    "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
)


@dataclass(frozen=True)
class Template:
    """What a prompt stands in, and the number of ids before it, the begin token's included."""

    text: str
    before: int

    @property
    def max_length(self) -> int:
        """Ids that are read of a prompt in its template."""
        return self.before + PROMPT_PIECES

    def around(self, prompt: str) -> str:
        """The template with a prompt in it, whatever braces that has."""
        return self.text.replace("{}", prompt)


VIDEO = Template(
    SYSTEM + "Describe the video by detailing the following aspects: " + ASPECTS + USER, 95
)
PICTURE = Template(
    SYSTEM + "Describe the image by detailing the color, shape, size, texture, quantity, text, "
    "spatial relationships of the objects and background:<|eot_id|>" + USER,
    36,
)
# The picture's one id is the sixth, counted from the begin token.
FROM_PICTURE = Template(
    SYSTEM + "<image>\nDescribe the video by detailing the following aspects according to the "
    "reference image: " + ASPECTS + "\n\n" + USER + ASSISTANT,
    103,
)


class Encoding(Protocol):
    """Who runs text encoders: a :class:`mlxvid.model.base.Model`."""

    @property
    def path(self) -> Path: ...

    def text_states(
        self,
        ids: mx.array,
        mask: mx.array,
        watch: Watch,
        name: str = "text_encoder",
        *others: mx.array,
    ) -> mx.array: ...


def llama_tokenizer(folder: Path, template: Template) -> Tokenizer:
    """Llama 3's tokenizer in `folder`, which puts its begin token before a text exactly once.

    Some releases of it leave that to the program. Raises :class:`WeightsError` where there is no
    such token.
    """
    tokenizer = load_tokenizer(folder, template.max_length)
    begin = tokenizer.model.token_to_id(BEGIN) if isinstance(tokenizer, JsonTokenizer) else None
    if begin is None:
        raise WeightsError(
            f"{folder} has no tokenizer of Llama 3, with the token {BEGIN}; download or convert "
            "the model again."
        )
    tokenizer.start = [begin]
    tokenizer.end = []
    tokenizer.template = template.before - 1
    return tokenizer


def text_conditions(
    model: Encoding, prompts: Sequence[str], watch: Watch, template: Template = VIDEO
) -> list[Conditions]:
    """The conditions of each prompt: `text` [1, L, D], Llama's states of its L ids after the
    template, and `pooled` [1, C], CLIP's state of its end.

    Each prompt goes through the encoders alone, since its length is its own and no padding is
    made. Raises :class:`WeightsError` as :func:`llama_tokenizer` does.
    """
    llama = llama_tokenizer(model.path / "tokenizer", template)
    texts = []
    for prompt in prompts:
        ids, mask = llama([template.around(prompt)])
        texts.append(model.text_states(ids, mask, watch)[:, template.before :])
    return with_pooled(model, prompts, texts, watch)


def with_pooled(
    model: Encoding, prompts: Sequence[str], texts: Sequence[mx.array], watch: Watch
) -> list[Conditions]:
    """The conditions of prompts whose `text` is made: CLIP's `pooled` beside each."""
    clip = load_tokenizer(model.path / "tokenizer_2", CLIP_IDS)
    conditions = []
    for prompt, text in zip(prompts, texts, strict=True):
        ids, mask = clip([prompt])
        pooled = model.text_states(ids, mask, watch, "text_encoder_2")
        conditions.append(Conditions({"text": text, "pooled": pooled}))
    return conditions
