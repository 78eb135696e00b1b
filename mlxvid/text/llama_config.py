"""Sizes of a Llama that is used as a text encoder, read from its config.json."""

from __future__ import annotations

from dataclasses import dataclass

from .streamed import Streamed

# The last layers choose the next word; what the text means is best read before them.
LAYERS_LEFT_OUT = 2


@dataclass(frozen=True)
class LlamaConfig:
    """The config.json of a Llama, with transformers' keys and defaults.

    The rotary base is in `rope_parameters` since transformers 5, in `rope_theta` before. Raises
    ValueError for another activation, for positions that are scaled, and where no layer is left.
    """

    vocab_size: int = 32000
    hidden_size: int = 4096
    intermediate_size: int = 11008
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    rms_norm_eps: float = 1e-6
    rope_theta: float = 10000.0
    rope_scaling: dict | None = None
    rope_parameters: dict | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    hidden_act: str = "silu"

    def __post_init__(self):
        if self.hidden_act != "silu":
            raise ValueError(f"hidden_act is {self.hidden_act!r}, not 'silu'")
        if self.num_hidden_layers <= LAYERS_LEFT_OUT:
            raise ValueError(f"num_hidden_layers is {self.num_hidden_layers}")
        for scaling in (self.rope_scaling, self.rope_parameters):
            kind = (scaling or {}).get("rope_type", "default")
            if kind != "default":
                raise ValueError(f"rope_type is {kind!r}, not 'default'")

    @property
    def layers(self) -> int:
        """The number of layers that an encoder has: all but the last two."""
        return self.num_hidden_layers - LAYERS_LEFT_OUT

    @property
    def rope_base(self) -> float:
        """The base of the rotary embedding's wavelengths."""
        return float((self.rope_parameters or {}).get("rope_theta", self.rope_theta))

    def streamed(self, tokens: int) -> Streamed:
        """What is in memory at a time for a prompt of `tokens`.

        Of three layers with 256 to 1024 values a token and random weights, MLX's CPU backend held
        21 widths a token and three quarters of a copy of the scores, after the matrices were read.
        Metal never has these scores. Files have the last two layers, too.
        """
        width = self.hidden_size
        heads = self.num_attention_heads
        pairs = self.num_key_value_heads or heads
        inner = heads * (self.head_dim or width // heads)
        block = width * (2 * inner * (heads + pairs) // heads + 3 * self.intermediate_size)
        matrix = width * max(self.intermediate_size, inner)
        held = tokens * (21 * width + heads * tokens * 3 // 4)
        return Streamed(
            share=block / (self.vocab_size * width + self.num_hidden_layers * block),
            matrix=matrix,
            held=max(0, held - matrix),
            scores=0,
        )


# The language model of xtuner's llava-llama-3-8b-v1_1.
LLAMA_3_8B = LlamaConfig(
    vocab_size=128320,
    intermediate_size=14336,
    num_key_value_heads=8,
    rms_norm_eps=1e-5,
    rope_theta=500000.0,
)
