"""The card of the factored family: this project's own model, which comes with the package."""

from __future__ import annotations

from pathlib import Path

from mlxvid.model.card import CLIP_TO_CLIP, GUIDED, Card, Family, Part
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, Defaults, Geometry
from mlxvid.model.knows import Knows

from . import tea
from .config import TextConfig, TransformerConfig, VAEConfig

SHIFT = 1.5  # of the sigmas towards noise
SAMPLERS = ("euler", "heun")
TAKES = (
    CLIP_TO_CLIP
    | GUIDED
    | {
        "negative_prompt",
        "image",
        "last_image",
        "keyframes",
        "attention",
        "shift",
    }
)
ASSETS = Path(__file__).parents[2] / "assets"


def shift(width: int, height: int) -> float | None:
    """The same for clips of every size."""
    return SHIFT


def read(folder: Folder) -> Card:
    """The card of the model in `folder`.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    text = folder.config("text_encoder", TextConfig)
    vae = folder.config("vae", VAEConfig)
    transformer = folder.config("transformer", TransformerConfig)
    widths = (transformer.in_channels, transformer.text_dim)
    folder.require_match(widths, (vae.latent_channels, text.hidden_size))
    patch = (transformer.patch_size_t, transformer.patch_size, transformer.patch_size)
    defaults = folder.parse("defaults", Defaults) or Defaults(96, 96, 33, 16.0, 20, 3.0)
    return Card.in_folder(
        folder,
        dtype="float32",
        family=FAMILY,
        geometry=Geometry(vae.patch_size_t, 2 * vae.patch_size, vae.latent_channels, patch),
        defaults=defaults,
        samplers=SAMPLERS,
        heads=transformer.hidden_size // max(1, transformer.attention_head_dim),
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        shift=shift,
        prompt_pieces=text.max_length - 1,
        knows=folder.parse("knows", Knows),
    )


FAMILY = Family(
    package=__package__,
    pipelines=("FactoredPipeline",),
    parts={
        "text_encoder": Part(".text:FactoredTextEncoder", TextConfig, "encode", quantized=True),
        "transformer": Part(
            ".transformer:FactoredTransformer", TransformerConfig, "denoise", quantized=True
        ),
        "vae": Part(".vae:FactoredVAE", VAEConfig, "decode", "float32"),
    },
    read=read,
    tea=tea.constants,
    needed=(("tokenizer/spiece.model",),),
    # Without attention over time a block holds 20.5 widths on the CPU. Decoding 13 to 33 frames of
    # 96x96 to 384x384 (tiled) held 80 to 90 values a pixel.
    memory=Coefficients(
        metal=Block(attention=8.5, forward=2.1, inner=1.0),
        cpu=Block(attention=24.5, forward=20.0),
        decode_values=90,
        decode_chunk=4,
        decode_tile=256,
        decode_halo=40,
        decode_operations=20e3,
    ),
    shared=Shared(squares=10, rows=512, sums=4),
    examples=(
        '--prompt "a red ball bouncing on a navy background" -o clip.mp4',
        '--prompt "a small green star spinning" --width 128 --height 96 --seconds 1 --seed 7 '
        "-o star.gif",
        '--prompt "a blue ring rising" --image first.png --count 4 -o takes/ring.mp4',
    ),
    prompting=(
        "It draws one plain shape that moves in one way, as in “a small red ball bouncing on a "
        "navy background”: a size, a colour, a shape, a motion and a background. Anything else "
        "needs a larger model."
    ),
)

CARDS = (
    Card(
        family=FAMILY,
        name="mini",
        title="Mini",
        licence="Apache-2.0",
        description="The model in the package: simple shapes that move, from short English "
        "captions; works offline.",
        geometry=Geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2), causal=True),
        defaults=Defaults(width=96, height=96, frames=33, fps=16, steps=20, guidance=3.0),
        samplers=SAMPLERS,
        heads=3,
        head_dim=64,
        blocks=6,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        shift=shift,
        prompt_pieces=TextConfig().max_length - 1,
        dtype="float32",
        parameters={"text_encoder": 437_376, "transformer": 4_945_984, "vae": 3_260_704},
        folder=ASSETS / "mini",
        knows=Folder(ASSETS / "mini").parse("knows", Knows),
        prompts=(
            "a red ball bouncing on a navy background",
            "a small green star spinning",
            "a blue ring rising",
            "a large yellow triangle falling",
            "an orange square moving left on a dusk background",
            "a pink cross shrinking on a black background",
        ),
    ),
)
