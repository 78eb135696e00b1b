"""HunyuanVideo's first text encoder: a Llama, or a LLaVA that also sees a picture."""

from __future__ import annotations

from typing import Any

from mlxvid.text.llama import LlamaEncoder
from mlxvid.text.llava import LlavaEncoder

from .text_encoder_config import TextEncoderConfig


class TextEncoder(LlamaEncoder):
    """The encoder of a config: of a LLaVA's it is a :class:`LlavaEncoder`."""

    def __new__(cls, config: TextEncoderConfig) -> Any:
        return super().__new__(cls) if config.llava is None else LlavaEncoder(config.llava)
