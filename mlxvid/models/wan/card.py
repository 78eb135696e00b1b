"""The card of Wan 2.1 (arXiv:2503.20314): what its models are, make and take, without weights."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlxvid.model.card import CLIP_TO_CLIP, GUIDED, UNPINNED, Card, Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Defaults, Geometry
from mlxvid.model.tiny import TinyDecoder
from mlxvid.text.clip_vision_config import CLIPVisionConfig
from mlxvid.text.t5_config import UMT5_XXL, UMT5Config

from . import few_steps, others, tea
from .config import WanTransformerConfig
from .defaults import FAST_FRAMES, FAST_SIZE, SHIFT_720P, defaults, own_shift, shift_by_size
from .vae_config import WanVAEConfig

GEOMETRY = Geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2), causal=True)
SAMPLERS = ("unipc", "euler", "heun", "euler-even", "dmd")
TEXT_TOKENS = 512  # the transformer sees as many, zeros where the prompt has ended
TAKES = GUIDED | frozenset({"negative_prompt", "shift", "loras", "draft_decode"})


def read(folder: Folder) -> Card:
    """The card of the model in `folder`: whether it starts from text, a picture or two.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    transformer = folder.config("transformer", WanTransformerConfig)
    others.check(folder, transformer)
    vae = folder.config("vae", WanVAEConfig)
    text = folder.config("text_encoder", UMT5Config)
    widths = (transformer.out_channels, transformer.text_dim)
    folder.require_match(widths, (vae.z_dim, text.d_model))
    needs = _needs(transformer)
    scheduler = folder.json("scheduler", "scheduler_config.json")
    flow_shift = scheduler.get("flow_shift", scheduler.get("shift"))
    # The models of one picture for 480p and for 720p have the same sizes: their noise schedules'
    # shifts tell them apart.
    large = needs == {"image"} and scheduler.get("flow_shift") == SHIFT_720P
    size = (1280, 720) if large or "last_image" in needs else (832, 480)
    patch = tuple(transformer.patch_size)
    card = Card.in_folder(
        folder,
        dtype="bfloat16",
        family=FAMILY,
        geometry=Geometry(vae.t_factor, vae.s_factor, vae.z_dim, (patch[0], patch[1], patch[2])),
        defaults=folder.parse("defaults", Defaults) or defaults(*size),
        samplers=SAMPLERS,
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        inner=transformer.ffn_dim,
        blocks=transformer.num_layers,
        takes=TAKES | (needs or CLIP_TO_CLIP),
        needs=needs,
        shift=own_shift(flow_shift),
        prompt_pieces=TEXT_TOKENS - 1,
        streamed={"text_encoder": text.streamed(TEXT_TOKENS)},
    )
    if folder.index.get("_class_name") == few_steps.DMD_PIPELINE:
        return fast(card)
    if few_steps.has_gates(folder):
        card = dataclasses.replace(card, note=card.note or few_steps.DENSE_NOTE)
    recipe = few_steps.RECIPES.get(str(folder.index.get(few_steps.KEY)))
    return recipe.of(card) if recipe else card


def fast(card: Card) -> Card:
    """The card of a model that FastVideo distilled to three steps, with its usual clip."""
    width, height = FAST_SIZE
    usual = dataclasses.replace(card.defaults, width=width, height=height, frames=FAST_FRAMES)
    return dataclasses.replace(
        few_steps.DMD.of(dataclasses.replace(card, defaults=usual)),
        samplers=(few_steps.DMD.sampler,),
        takes=card.takes - {"shift"},
        note=card.note or few_steps.DENSE_NOTE,
    )


def _needs(transformer: WanTransformerConfig) -> frozenset[str]:
    if transformer.in_channels == transformer.out_channels:
        return frozenset()
    # Positions for two pictures has only the one that was trained to go from a first picture to a
    # last one.
    if transformer.pos_embed_seq_len is None:
        return frozenset({"image"})
    return frozenset({"image", "last_image"})


FAMILY = Family(
    package=__package__,
    pipelines=("WanPipeline", "WanImageToVideoPipeline", few_steps.DMD_PIPELINE),
    parts={
        "text_encoder": Part(
            "mlxvid.text.t5:UMT5EncoderModel",
            UMT5Config,
            "encode",
            "bfloat16",
            quantized=True,
            streamed=True,
        ),
        "image_encoder": Part(
            "mlxvid.text.clip_vision:CLIPVisionModel",
            CLIPVisionConfig,
            "encode",
            "float32",
            optional=True,
        ),
        "transformer": Part(
            ".transformer:WanTransformer3DModel",
            WanTransformerConfig,
            "denoise",
            "bfloat16",
            quantized=True,
            loras=True,
            # ComfyUI's repackaged release is in float16, and recommended over bfloat16.
            float16=True,
        ),
        "vae": Part(".vae:AutoencoderKLWan", WanVAEConfig, "decode", "float32"),
    },
    read=read,
    tea=tea.constants,
    # The traced graphs of 1.3B and 14B hold 8.1 and 6.1 widths on Metal: the one around its
    # feed-forward, 5.8 times as wide, the other around its attention. The VAE's values a pixel were
    # counted without the copies that MLX's convolutions make on the CPU and not on Metal; small
    # pictures take two to five times as much here.
    memory=Coefficients(
        metal=Block(attention=6.2, forward=2.4, inner=1.0),
        cpu=Block(attention=16.7, forward=15.8, inner=0.6),
        decode_values=1010,
        decode_chunk=1,
        decode_tile=1280,
        decode_halo=0,
        small_tile=640,
        decode_operations=8.7e6,
    ),
    shared=Shared(squares=8, rows=4352, sums=3),
    presets={
        "lightning": few_steps.FOUR_STEPS.settings,
        "causvid": few_steps.CAUSVID.settings,
        "fastwan": few_steps.DMD.settings,
    },
    recipe=few_steps.by_names,
    exact_steps={few_steps.DMD.sampler: few_steps.DMD.steps},
    needed=(
        ("tokenizer/spiece.model", "tokenizer/tokenizer.json"),
        ("scheduler/scheduler_config.json",),
    ),
    texts="mlxvid.text.clean:cleaned",
    layouts=("wan",),
    # It takes the transformer's latents, of mean 0 and deviation 1, as its own examples give them.
    tiny_decoder=TinyDecoder("taew2_1", "ec1a2be453a250aa406e912bb630c34463ba0b2f"),
    examples=(
        '--model wan2.1-t2v-1.3b --prompt "a fox runs through snow" --quantize 8 -o fox.mp4',
        '--model wan2.1-i2v-14b-480p --prompt "she smiles" --image her.jpg '
        "--lora fast.safetensors --preset lightning",
    ),
    prompting=(
        "Two to five sentences, about 80 words: the subject and how it looks, the place, what "
        "moves and how, then the shot, the light and the style. English and Chinese are "
        "understood."
    ),
)

_TEXT_AND_VAE = {"text_encoder": 5_680_910_336, "vae": 126_892_531}
_WITH_PICTURES = {"image_encoder": 630_766_080, **_TEXT_AND_VAE}
_480P = (832, 480)
_720P = (1280, 720)


def _release(
    name: str,
    title: str,
    description: str,
    size: tuple[int, int],
    source: Source,
    download_bytes: int,
    parameters: dict[str, int],
    **more: Any,
) -> Card:
    """The card of a release; they differ in depth and width, and in the pictures they need."""
    needs = more.pop("needs", frozenset())
    return Card(
        family=FAMILY,
        name=name,
        title=title,
        licence="Apache-2.0",
        description=description,
        geometry=GEOMETRY,
        defaults=defaults(*size),
        samplers=SAMPLERS,
        heads=more.pop("heads", 40),
        head_dim=128,
        inner=more.pop("inner", 13824),
        blocks=more.pop("blocks", 40),
        takes=TAKES | (needs or CLIP_TO_CLIP),
        needs=needs,
        parameters=parameters,
        source=source,
        originals=more.pop("originals", (source.repository[: -len("-Diffusers")],)),
        download_bytes=download_bytes,
        prompt_pieces=TEXT_TOKENS - 1,
        streamed={"text_encoder": UMT5_XXL.streamed(TEXT_TOKENS)},
        **more,
    )


def _fast_release(
    name: str, title: str, description: str, source: Source, download_bytes: int, *rest: Any, **more
) -> Card:
    """The card of a release in three steps: of the clips that it was distilled with."""
    return fast(
        _release(
            name, title, description, FAST_SIZE, source, download_bytes, *rest, originals=(), **more
        )
    )


_ORIGINALS = (
    _release(
        "wan2.1-t2v-1.3b",
        "Wan 2.1 T2V 1.3B",
        "Text to video at 480p; the small one.",
        _480P,
        Source("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "0fad780a534b6463e45facd96134c9f345acfa5b"),
        28_928_887_859,
        {"transformer": 1_418_996_800, **_TEXT_AND_VAE},
        heads=12,
        inner=8960,
        blocks=30,
        shift=shift_by_size,
    ),
    _release(
        "wan2.1-t2v-14b",
        "Wan 2.1 T2V 14B",
        "Text to video at 480p and 720p; ten times the 1.3B's work.",
        _480P,
        Source("Wan-AI/Wan2.1-T2V-14B-Diffusers", "38ec498cb3208fb688890f8cc7e94ede2cbd7f68"),
        80_406_933_703,
        {"transformer": 14_288_491_584, **_TEXT_AND_VAE},
        shift=shift_by_size,
    ),
    _release(
        "wan2.1-i2v-14b-480p",
        "Wan 2.1 I2V 14B 480p",
        "Brings a picture to life, at 480p.",
        _480P,
        Source("Wan-AI/Wan2.1-I2V-14B-480P-Diffusers", "b184e23a8a16b20f108f727c902e769e873ffc73"),
        90_104_322_037,
        {"transformer": 16_394_878_784, **_WITH_PICTURES},
        needs=frozenset({"image"}),
        shift=shift_by_size,
    ),
    _release(
        "wan2.1-i2v-14b-720p",
        "Wan 2.1 I2V 14B 720p",
        "Brings a picture to life, at 720p.",
        _720P,
        Source("Wan-AI/Wan2.1-I2V-14B-720P-Diffusers", "eb849f76dfa246545b65774a9e25943ee69b3fa3"),
        90_100_000_000,
        {"transformer": 16_394_878_784, **_WITH_PICTURES},
        needs=frozenset({"image"}),
        shift=shift_by_size,
    ),
    _release(
        "wan2.1-flf2v-14b-720p",
        "Wan 2.1 FLF2V 14B 720p",
        "Goes from a first picture to a last one, at 720p.",
        _720P,
        Source(
            "Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers", "17c30769b1e0b5dcaa1799b117bf20a9c31f59d7"
        ),
        90_100_000_000,
        {"transformer": 16_395_536_704, **_WITH_PICTURES},
        needs=frozenset({"image", "last_image"}),
        shift=own_shift(16.0),
    ),
)

# All but the transformer of LightX2V's models, as Wan's own release has it; CLIP is with those that
# take pictures alone. No commit is known of LightX2V's.
_RELEASE = ("Wan-AI/Wan2.1-T2V-14B", "a064a6c71f5be440641209c07bf2a5ce7a2ff5e4")
_PARTS = {
    "text_encoder": Source(*_RELEASE, file="models_t5_umt5-xxl-enc-bf16.pth"),
    "tokenizer": Source(*_RELEASE, subfolder="google/umt5-xxl"),
    "vae": Source(*_RELEASE, file="Wan2.1_VAE.pth"),
}
_CLIP = Source(
    "Wan-AI/Wan2.1-I2V-14B-480P",
    "6b73f84e66371cdfe870c72acd6826e1d61cf279",
    file="models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
)


def _four_steps(number: int, name: str, description: str, file: str, download_bytes: int) -> Card:
    """The card of one of LightX2V's models in four steps: an original with another transformer."""
    original = _ORIGINALS[number]
    clip = {"image_encoder": _CLIP} if original.needs else {}
    transformer = Source("lightx2v/Wan2.1-Distill-Models", UNPINNED, file=file)
    return dataclasses.replace(
        few_steps.FOUR_STEPS.of(original),
        name=name,
        title=f"{original.title}, 4 steps",
        description=description,
        source=None,
        originals=(),
        sources={"transformer": transformer, **_PARTS, **clip},
        download_bytes=download_bytes,
    )


# What FastVideo's are chosen in spite of.
_NOT_SPARSE = "; trained with sparse attention, run here with full."

CARDS = (
    *_ORIGINALS,
    _fast_release(
        "fastwan2.1-t2v-1.3b",
        "FastWan 2.1 T2V 1.3B",
        f"The small one distilled to three steps{_NOT_SPARSE}",
        Source(
            "FastVideo/FastWan2.1-T2V-1.3B-Diffusers", "25e7ed7f41fd8ce2fdd108688c65e8caf0ce3aef"
        ),
        29_212_131_136,
        {"transformer": 1_418_996_800, **_TEXT_AND_VAE},
        heads=12,
        inner=8960,
        blocks=30,
    ),
    _fast_release(
        "fastwan2.1-t2v-14b-480p",
        "FastWan 2.1 T2V 14B 480p",
        f"The large one distilled to three steps, at 480p{_NOT_SPARSE}",
        Source(
            "FastVideo/FastWan2.1-T2V-14B-480P-Diffusers",
            "ab7d6149c10bb41ba39226e2262cd2e9ee85b88e",
        ),
        75_700_000_000,
        {"transformer": 14_288_491_584, **_TEXT_AND_VAE},
        aliases=("FastVideo/FastWan2.1-T2V-14B-Diffusers",),
    ),
    _four_steps(
        1,
        "wan2.1-t2v-14b-4step",
        "The large one distilled to four steps.",
        "wan2.1_t2v_14b_lightx2v_4step.safetensors",
        40_500_000_000,
    ),
    _four_steps(
        2,
        "wan2.1-i2v-14b-480p-4step",
        "Brings a picture to life in four steps, at 480p.",
        "wan2.1_i2v_480p_lightx2v_4step.safetensors",
        49_400_000_000,
    ),
    _four_steps(
        3,
        "wan2.1-i2v-14b-720p-4step",
        "Brings a picture to life in four steps, at 720p.",
        "wan2.1_i2v_720p_lightx2v_4step.safetensors",
        49_400_000_000,
    ),
)
