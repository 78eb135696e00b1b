"""Floating-point operations of a run's stages, counted from a model's card and sizes."""

from __future__ import annotations

from collections.abc import Mapping

from .card import Card, Stage

# Tokens of a prompt and of a negative one, as long as text encoders pad them, about.
_TEXT_TOKENS = 2 * 300


def stage_operations(
    card: Card, parameters: Mapping[str, float], tokens: int, pairs: int, pixels: int
) -> dict[Stage, float]:
    """Operations of encoding the prompts, of one pass of the denoiser, and of decoding the clip.

    parameters: by component. tokens: in the denoiser. pairs: of queries and keys, a head and block.
    pixels: of all frames of the clip.
    """
    stages = {name: part.stage for name, part in card.family.parts.items()}
    texts = sum(
        count
        for name, count in parameters.items()
        if stages.get(name) == "encode" and name.startswith("text_encoder")
    )
    denoiser = parameters.get("transformer", 0.0)
    # A parameter is multiplied and added once a token; a pair twice a value of the width, in
    # queries times keys and in scores times values.
    return {
        "encode": 2.0 * texts * _TEXT_TOKENS,
        "denoise": 2.0 * denoiser * tokens + 4.0 * card.width * pairs * blocks_of(card, denoiser),
        "decode": card.family.memory.decode_operations * pixels,
    }


def blocks_of(card: Card, parameters: float) -> float:
    """How many blocks of the denoiser attend over the tokens; as its size has it where its card
    doesn't say.
    """
    if card.blocks:
        return card.blocks
    # Attention of its own and to the prompt has eight squares of the width, as a rule.
    block = 8 * card.width**2 + 2 * card.width * card.inner_width
    return max(1.0, parameters / block)
