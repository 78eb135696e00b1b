"""Models that are like those that are run here, and are not run: told by their tensors' names.

Facts from Vchitect/Latte, hpcaitech/Open-Sora, facebookresearch/DiT, Lightricks'
LTX-Video, Genmo's Mochi and Stability's UNet.
"""

from __future__ import annotations

from collections.abc import Iterable

from mlxvid.errors import WeightsError

from .release import WeightFile

LATTE = "use latte-1, which makes clips from text"
OPENSORA = "use opensora-1.2"
OTHER = "`list_models` shows what it runs"
# Names that the tensors have, what they are then, and what to use. The first that fits decides.
RELATIVES = (
    (("x_embedder.proj.weight", "blocks.0.attn_temp.qkv.weight"), "Open-Sora 1.0 or 1.1", OPENSORA),
    (("x_embedder.proj.weight", "temp_embed"), "a Latte for classes and not for text", LATTE),
    (
        ("pos_embed.proj.weight", "temporal_transformer_blocks.0.attn1.to_q.weight"),
        "the transformer of a Latte by itself",
        "use latte-1, or the whole folder in the Diffusers layout",
    ),
    (("x_embedder.proj.weight", "y_embedder.embedding_table.weight"), "a DiT for pictures", OTHER),
    (
        ("double_blocks.0.img_attn.qkv.weight", "single_blocks.0.linear1.weight"),
        "Open-Sora 2.0, or another model of FLUX's blocks",
        OPENSORA,
    ),
    (("patchify_proj.weight", "audio_patchify_proj.weight"), "LTX-2", OTHER),
    (("t5_y_embedder.to_q.weight",), "Mochi", OTHER),
    (("input_blocks.0.0.weight", "out.2.weight"), "a UNet of Stable Diffusion's kind", OTHER),
)


def relative(files: Iterable[WeightFile], folder: object) -> WeightsError | None:
    """What to raise for a folder with such a model; None for any other."""
    for file in files:
        for names, what, remedy in RELATIVES:
            if all(name in file.tensors for name in names):
                return WeightsError(
                    f"{folder} holds {what} ({file}), which mlxvid can't run; {remedy}."
                )
    return None
