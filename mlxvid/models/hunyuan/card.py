"""The card of HunyuanVideo (arXiv:2412.03603): what its models are, make and take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mlxvid.model.card import GUIDED, Card, Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.extrapolation import Extrapolation
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Defaults, Geometry
from mlxvid.model.tiny import TinyDecoder
from mlxvid.text.clip_text_config import CLIPTextConfig
from mlxvid.text.llama_config import LLAMA_3_8B
from mlxvid.text.llava_config import LLAVA_LLAMA_3_8B

from . import tea
from .config import LATENT_CONCAT, TOKEN_REPLACE, HunyuanVideoTransformerConfig
from .geometry import HiddenFirst
from .text_encoder_config import TextEncoderConfig
from .vae_config import HunyuanVideoVAEConfig

SAMPLERS = ("euler", "heun")
SHIFT = 7.0
# Of the distilled model, which takes six steps.
FAST_SHIFT = 17.0
FAST_STEPS = 6
TEXT_PIPELINE = "HunyuanVideoPipeline"
PICTURE_PIPELINE = "HunyuanVideoImageToVideoPipeline"
# Of a prompt in its template, in the longest of them.
TEXT_TOKENS = 351
# Of the prompt itself.
PROMPT_PIECES = 256
TAKES = GUIDED | {"negative_prompt", "shift", "loras", "draft_decode", "length_extrapolation"}
# arXiv:2502.15894; the training's longest clips have 33 latent frames.
EXTRAPOLATION = Extrapolation(index=4, period=50, longest=66)
# Of EasyCache, as its authors have it for HunyuanVideo.
EASY_THRESHOLD = 0.025
LICENCE = "Tencent Hunyuan Community (not for the EU, the UK, South Korea)"
TERMS = (
    "its licence, the Tencent Hunyuan Community Licence, does not apply in the European Union, the "
    "United Kingdom and South Korea: there nobody may use the model; read it before you go on."
)


def fixed_shift(value: float) -> Callable[[int, int], float | None]:
    """The rule of a model whose schedule has the same shift at every size."""
    return lambda width, height: value


def defaults(fast: bool = False, hidden_first: bool = False) -> Defaults:
    """The defaults of a model: five seconds at 24 frames a second, at 720p.

    hidden_first: whether it is one whose clips lack the first four frames; its guidance is no input
    and was not trained for.
    """
    return Defaults(
        1280,
        720,
        frames=125 if fast or hidden_first else 129,
        fps=24.0,
        steps=FAST_STEPS if fast else 50,
        guidance=1.0 if hidden_first else 6.0,
    )


def read(folder: Folder) -> Card:
    """The card of the model in `folder`: whether it starts from a text, or a text and a picture.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    transformer = folder.config("transformer", HunyuanVideoTransformerConfig)
    vae = folder.config("vae", HunyuanVideoVAEConfig)
    text = folder.config("text_encoder", TextEncoderConfig)
    pooled = folder.config("text_encoder_2", CLIPTextConfig)
    kind = transformer.image_condition_type
    is_picture = folder.index["_class_name"] == PICTURE_PIPELINE
    channels = transformer.out_channels or transformer.in_channels
    inputs = 2 * channels + 1 if kind == LATENT_CONCAT else channels
    folder.require_match((inputs,), (transformer.in_channels,))
    widths = (channels, transformer.text_embed_dim, transformer.pooled_projection_dim)
    folder.require_match(widths, (vae.latent_channels, text.width, pooled.hidden_size))
    sees_pictures = text.llava is not None
    folder.require_match((is_picture, is_picture), (kind is not None, sees_pictures))
    scheduler = folder.json("scheduler", "scheduler_config.json")
    shift = float(scheduler.get("shift", SHIFT))
    hidden_first = kind == LATENT_CONCAT
    patch = (transformer.patch_size_t, transformer.patch_size, transformer.patch_size)
    geometry = HiddenFirst if hidden_first else Geometry
    needs = frozenset({"image"}) if is_picture else frozenset()
    fast = not is_picture and shift == FAST_SHIFT
    return Card.in_folder(
        folder,
        dtype="bfloat16",
        family=FAMILY,
        geometry=geometry(vae.t_factor, vae.s_factor, vae.latent_channels, patch),
        defaults=folder.parse("defaults", Defaults) or defaults(fast, hidden_first),
        samplers=SAMPLERS,
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers + transformer.num_single_layers,
        inner=transformer.mlp_size,
        takes=_takes(transformer.guidance_embeds) | needs,
        needs=needs,
        shift=fixed_shift(shift),
        guidance_is_input=transformer.guidance_embeds,
        batches=False,  # the prompts of the passes have lengths of their own
        extrapolation=EXTRAPOLATION,
        easy_threshold=EASY_THRESHOLD,
        prompt_pieces=PROMPT_PIECES,
        streamed={"text_encoder": text.streamed(TEXT_TOKENS)},
        precise={"transformer": transformer.precise},
    )


def _takes(guidance_is_input: bool) -> frozenset[str]:
    return TAKES | {"true_guidance"} if guidance_is_input else TAKES


FAMILY = Family(
    package=__package__,
    pipelines=(TEXT_PIPELINE, PICTURE_PIPELINE),
    parts={
        "text_encoder": Part(
            ".text_encoder:TextEncoder",
            TextEncoderConfig,
            "encode",
            "bfloat16",
            quantized=True,
            streamed=True,
        ),
        "text_encoder_2": Part(
            "mlxvid.text.clip_text:CLIPTextModel", CLIPTextConfig, "encode", "float32"
        ),
        # Not in float16, in which it makes black clips (huggingface/diffusers#10314).
        "transformer": Part(
            ".transformer:HunyuanVideoTransformer3DModel",
            HunyuanVideoTransformerConfig,
            "denoise",
            "bfloat16",
            quantized=True,
            loras=True,
        ),
        "vae": Part(".vae:AutoencoderKLHunyuanVideo", HunyuanVideoVAEConfig, "decode", "float32"),
    },
    read=read,
    tea=tea.constants,
    tiny_decoder=TinyDecoder("taehv", "373253e5f877b3f6474a7ec874e5559f40381246"),
    # The VAE's tile of 17 frames was measured at its real width, 633 values a pixel, with stand-ins
    # for MLX's convolutions, which make copies on the CPU that they don't on Metal; its five latent
    # frames count as 20 here.
    memory=Coefficients(
        metal=Block(attention=7.2, forward=4.0, inner=0.5),
        cpu=Block(attention=25.3, forward=4.0, inner=0.5),
        decode_values=540,
        decode_chunk=5,
        decode_tile=256,
        decode_halo=0,
        decode_operations=18.1e6,
    ),
    shared=Shared(squares=35, rows=8192, sums=4 / 3),
    needed=(
        ("tokenizer/tokenizer.json",),
        ("tokenizer_2/vocab.json", "tokenizer_2/tokenizer.json"),
        ("scheduler/scheduler_config.json",),
    ),
    # What fits a Mac of so many gigabytes, at five seconds (docs/hunyuanvideo.md).
    presets={
        "mac-16": {"quantize": 4, "width": 1024, "height": 576},
        "mac-24": {"quantize": 4},
        "mac-36": {"quantize": 8},
    },
    layouts=("hunyuan",),
    examples=(
        '--model hunyuanvideo --prompt "a cat walks on the grass" --width 960 --height 544 '
        "--quantize 4 -o cat.mp4",
        '--model hunyuanvideo --preset mac-24 --prompt "a cat walks on the grass" -o cat.mp4',
    ),
    terms=TERMS,
    prompting=(
        "A few full sentences: the subject, what it does and in which order, the background, then "
        "the light, the camera and the style. Say how fast it moves. English and Chinese are "
        "understood."
    ),
)

_PARAMETERS = {
    "text_encoder": 7_505_186_816,
    "text_encoder_2": 123_060_480,
    "transformer": 12_821_012_544,
    "vae": 246_478_803,
}
_HIDDEN_FIRST_PARAMETERS = 12_810_991_680
# LLaVA: Llama with its output, CLIP's vision tower and the projector between them.
_LLAVA_PARAMETERS = 8_355_272_704


def _release(
    name: str,
    title: str,
    description: str,
    source: Source,
    fast: bool = False,
    kind: str | None = None,
) -> Card:
    """The card of a release. kind: how it starts from a picture; None from a text alone."""
    hidden_first = kind == LATENT_CONCAT
    geometry = HiddenFirst if hidden_first else Geometry
    needs = frozenset({"image"}) if kind else frozenset()
    parameters = dict(_PARAMETERS)
    if kind:
        parameters["text_encoder"] = _LLAVA_PARAMETERS
    if hidden_first:
        parameters["transformer"] = _HIDDEN_FIRST_PARAMETERS
    transformer = HunyuanVideoTransformerConfig(guidance_embeds=not hidden_first)
    streamed = LLAMA_3_8B.streamed(TEXT_TOKENS)
    if kind:
        streamed = LLAVA_LLAMA_3_8B.streamed(TEXT_TOKENS + LLAVA_LLAMA_3_8B.image_tokens)
        # Of all that the files have, of which the language model is a part.
        part = _PARAMETERS["text_encoder"] / _LLAVA_PARAMETERS
        streamed = replace(streamed, share=part * streamed.share)
    return Card(
        family=FAMILY,
        name=name,
        title=title,
        licence=LICENCE,
        description=description,
        geometry=geometry(t_factor=4, s_factor=8, channels=16, patch=(1, 2, 2)),
        defaults=defaults(fast, hidden_first),
        samplers=SAMPLERS,
        heads=24,
        head_dim=128,
        blocks=60,
        takes=_takes(guidance_is_input=not hidden_first) | needs,
        needs=needs,
        shift=fixed_shift(FAST_SHIFT if fast else SHIFT),
        guidance_is_input=not hidden_first,
        batches=False,
        extrapolation=EXTRAPOLATION,
        easy_threshold=EASY_THRESHOLD,
        parameters=parameters,
        source=source,
        # As stored: two bytes a parameter, of the VAE four.
        download_bytes=round(2 * sum(parameters.values()) + 2 * parameters["vae"], -8),
        prompt_pieces=PROMPT_PIECES,
        streamed={"text_encoder": streamed},
        precise={"transformer": transformer.precise},
    )


CARDS = (
    _release(
        "hunyuanvideo",
        "HunyuanVideo",
        "Text to video at 540p and 720p, with guidance in one pass.",
        Source("hunyuanvideo-community/HunyuanVideo", "e8c2aaa66fe3742a32c11a6766aecbf07c56e773"),
    ),
    _release(
        "fasthunyuan",
        "FastHunyuan",
        "HunyuanVideo distilled to six steps.",
        Source("FastVideo/FastHunyuan-diffusers", "7e948fca38562e218ae34485e005956592d36d9b"),
        fast=True,
    ),
    _release(
        "hunyuanvideo-i2v",
        "HunyuanVideo I2V",
        "Brings a picture to life, which stays the first frame.",
        Source("hunyuanvideo-community/HunyuanVideo-I2V", "main"),
        kind=TOKEN_REPLACE,
    ),
    _release(
        "hunyuanvideo-i2v-33ch",
        "HunyuanVideo I2V 33ch",
        "Brings a picture to life with more motion; its first release.",
        Source("hunyuanvideo-community/HunyuanVideo-I2V-33ch", "main"),
        kind=LATENT_CONCAT,
    ),
)
