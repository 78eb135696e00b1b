"""Sizes of HunyuanVideo's first text encoder, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mlxvid.text.llama_config import LlamaConfig
from mlxvid.text.llava_config import LlavaConfig
from mlxvid.text.streamed import Streamed


@dataclass(frozen=True)
class TextEncoderConfig(LlamaConfig, LlavaConfig):
    """The config.json of a Llama, or of a LLaVA in models that start from a picture.

    model_type: which of the two, and whose fields count. Raises ValueError as their configs do.
    """

    model_type: str = "llama"

    def __post_init__(self):
        kind = LlavaConfig if self.model_type == "llava" else LlamaConfig
        kind.__post_init__(self)

    @property
    def llava(self) -> LlavaConfig | None:
        """The config as a LLaVA's; None for a Llama's."""
        if self.model_type != "llava":
            return None
        return LlavaConfig(
            **{field.name: getattr(self, field.name) for field in fields(LlavaConfig)}
        )

    @property
    def width(self) -> int:
        """Values of a token's state."""
        return self.text_config.hidden_size if self.llava else self.hidden_size

    def streamed(self, tokens: int) -> Streamed:
        """What is in memory at a time for a prompt of `tokens`, a picture's besides."""
        if self.llava:
            return self.llava.streamed(tokens + self.llava.image_tokens)
        return super().streamed(tokens)
