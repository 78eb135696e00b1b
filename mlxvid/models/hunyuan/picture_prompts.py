"""Prompts with a picture, as HunyuanVideo's image-to-video models read them."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.conditions import Conditions
from mlxvid.model.folder import Folder
from mlxvid.progress import Watch
from mlxvid.text.clip_vision import pixels_of
from mlxvid.text.llava_config import LlavaConfig
from mlxvid.text.tokenizer import JsonTokenizer

from .prompts import FROM_PICTURE, Encoding, llama_tokenizer, with_pooled

IMAGE = "<image>"
END_HEADER = "<|end_header_id|>"
# Where the picture's one id stands: begin, header of three, an empty line.
IMAGE_START = 5
# The prompt's end and the answer's header, which are cut out of the states.
ANSWER_IDS = 4
# Headers of the system, the user and the answer: a prompt that is cut has no room for the last.
HEADERS = 3


def picture_conditions(
    model: Encoding,
    prompts: Sequence[str],
    pictures: Sequence[np.ndarray],
    every: int,
    watch: Watch,
) -> list[Conditions]:
    """The conditions of each prompt with its picture uint8 [H, W, 3].

    `text` [1, L, D] are LLaVA's states of every `every`-th token of the picture, and after them
    those of the prompt; `pooled` [1, C] is CLIP's state of the prompt's end. Raises
    :class:`mlxvid.SettingError` for a prompt that writes the picture's token out.
    """
    folder = Folder(model.path)
    config = folder.config("text_encoder", LlavaConfig)
    preprocessor = folder.json("image_processor", "preprocessor_config.json")
    tokenizer = llama_tokenizer(model.path / "tokenizer", FROM_PICTURE)
    assert isinstance(tokenizer, JsonTokenizer)
    end_header = tokenizer.model.token_to_id(END_HEADER)
    texts = []
    for prompt, picture in zip(prompts, pictures, strict=True):
        if IMAGE in prompt:
            raise SettingError(
                f"`prompt` has {IMAGE}, which stands for the picture itself; leave it out."
            )
        ids = np.array(tokenizer([FROM_PICTURE.around(prompt)])[0][0])
        pixels = pixels_of(picture, preprocessor)
        if ids[IMAGE_START] != config.image_token_index or end_header is None:
            raise WeightsError(
                f"The tokenizer in {model.path} has another id for {IMAGE} than the text encoder; "
                "download or convert the model again."
            )
        expanded = np.insert(ids, IMAGE_START, [ids[IMAGE_START]] * (config.image_tokens - 1))
        mask = mx.ones((1, len(expanded)), mx.bool_)
        states = model.text_states(mx.array(expanded)[None], mask, watch, "text_encoder", pixels)
        texts.append(_cut(states, ids, config.image_tokens, end_header, every))
    return with_pooled(model, prompts, texts, watch)


def _cut(states: mx.array, ids: np.ndarray, image: int, end_header: int, every: int) -> mx.array:
    """The states of the picture, and of the prompt without the header of the answer.

    states: of the ids with `image` tokens in the place of one.
    """
    picture = states[:, IMAGE_START : IMAGE_START + image : every]
    headers = np.flatnonzero(ids == end_header)
    last = len(ids) - 1 if len(headers) < HEADERS else int(headers[-1])
    after = last + image
    start = FROM_PICTURE.before - 1 + image
    prompt = states[:, start : after - ANSWER_IDS]
    return mx.concatenate([picture, prompt, states[:, after:]], axis=1)
