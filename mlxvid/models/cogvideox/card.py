"""The card of CogVideoX 1.0 and 1.5 (arXiv:2408.06072): what its models are, make and take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.model.card import CLIP_TO_CLIP, GUIDED, Card, Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.extrapolation import Extrapolation
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import MAX_SIDE, Defaults
from mlxvid.model.settings import Setting
from mlxvid.model.tiny import TinyDecoder
from mlxvid.text.t5_config import T5_XXL, T5Config

from . import tea
from .config import CogVideoXConfig
from .geometry import CogVideoXGeometry
from .vae_config import CogVideoXVAEConfig

KIND = "CogVideoXTransformer3DModel"
# Diffusers' schedulers that its pipelines take -> their names here.
SAMPLERS = {"CogVideoXDPMScheduler": "dpm++-sde", "CogVideoXDDIMScheduler": "ddim"}
TEXT_TOKENS = 226

OFF = "off"
RELEASED = "released"
SMOOTH = "smooth"
TEXT = "text"
ZEROS = "zeros"

OPTIONS = (
    Setting(
        "dynamic_guidance",
        "choice",
        "Dynamic guidance",
        "guidance that changes with the steps: in waves, as released, or smoothly from strong to "
        "none",
        "options",
        choices=(OFF, RELEASED, SMOOTH),
        metavar="HOW",
    ),
    Setting(
        "unconditional",
        "choice",
        "Unconditional",
        "what guidance leads away from: the states of the negative prompt's text, or zeros, as in "
        "the original release",
        "options",
        choices=(TEXT, ZEROS),
        metavar="WHAT",
    ),
)
TAKES = GUIDED | frozenset(
    {"negative_prompt", "loras", "draft_decode"} | {option.name for option in OPTIONS}
)
PICTURE = frozenset({"image"})
LONGER = frozenset({"length_extrapolation"})
# arXiv:2502.15894; the training's clips have 13 latent frames, and lengths are 1 + 2k of them.
EXTRAPOLATION = Extrapolation(index=2, period=20, longest=25)

# 1.5: pixels of its clips, and the longest ones. Its config's sizes are only those of its table of
# positions, which are counted.
SIZE_15 = (1360, 768)
LONGEST_15 = 161


def usual_options(sampler: str) -> Mapping[str, float | str]:
    """The release's own: waves of guidance with its SDE, and none with DDIM."""
    return {"dynamic_guidance": OFF if sampler == "ddim" else RELEASED, "unconditional": TEXT}


def geometry(
    transformer: CogVideoXConfig, t_factor: int = 4, s_factor: int = 8, channels: int = 16
) -> CogVideoXGeometry:
    """Of a transformer's clips."""
    sides: dict[str, Any] = {"t_factor": t_factor, "s_factor": s_factor, "channels": channels}
    if transformer.patch_size_t is None:
        size = (s_factor * transformer.sample_width, s_factor * transformer.sample_height)
        return CogVideoXGeometry(
            **sides,
            patch=transformer.patch,
            step=2 * t_factor,
            trained_size=size,
            trained_frames=transformer.sample_frames,
            one_size=transformer.use_learned_positional_embeddings,
        )
    return CogVideoXGeometry(
        **sides,
        patch=transformer.patch,
        step=4 * t_factor,
        trained_size=SIZE_15,
        trained_frames=LONGEST_15,
        by_side=transformer.starts_from_picture,
    )


def extrapolation(transformer: CogVideoXConfig) -> Extrapolation | None:
    """What makes long clips repeat, of 5B from text: the others' positions are no rotary ones, or
    end, or were trained with other lengths.
    """
    is_first = transformer.patch_size_t is None and transformer.use_rotary_positional_embeddings
    if not is_first or transformer.use_learned_positional_embeddings:
        return None
    return EXTRAPOLATION


def takes(transformer: CogVideoXConfig) -> frozenset[str]:
    """What a model can be given."""
    others = PICTURE if transformer.starts_from_picture else CLIP_TO_CLIP
    return TAKES | others | (LONGER if extrapolation(transformer) else frozenset())


def defaults(clips: CogVideoXGeometry, sampler: str) -> Defaults:
    """Those of a model that was trained with such clips: six seconds at 8 frames a second, or five
    at 16.
    """
    frames, fps = (81, 16.0) if clips.patch[0] > 1 else (clips.trained_frames, 8.0)
    width, height = clips.trained_size
    return Defaults(width, height, frames, fps, steps=50, guidance=6.0, sampler=sampler)


def read(folder: Folder) -> Card:
    """The card of the model in `folder`: whether it starts from text or a picture.

    Raises :class:`WeightsError` where its parts don't belong together, and for a model that is only
    like these.
    """
    transformer = folder.config("transformer", CogVideoXConfig)
    kind = folder.json("transformer").get("_class_name", KIND)
    inputs = transformer.in_channels
    if kind != KIND or inputs not in (transformer.outputs, 2 * transformer.outputs):
        raise WeightsError(
            f"{folder.path} has a {kind} with {inputs} channels in and {transformer.outputs} out, "
            "a model that was made of CogVideoX and that mlxvid can't run; use one of the "
            "releases, which `list_models` shows."
        )
    vae = folder.config("vae", CogVideoXVAEConfig)
    text = folder.config("text_encoder", T5Config)
    widths = (
        transformer.outputs,
        transformer.text_embed_dim,
        transformer.temporal_compression_ratio,
    )
    folder.require_match(widths, (vae.latent_channels, text.d_model, vae.t_factor))
    clips = geometry(transformer, vae.t_factor, vae.s_factor, vae.latent_channels)
    scheduler = folder.json("scheduler", "scheduler_config.json").get("_class_name")
    sampler = SAMPLERS.get(str(scheduler), "dpm++-sde")
    needs = PICTURE if transformer.starts_from_picture else frozenset()
    return Card.in_folder(
        folder,
        dtype="bfloat16",
        family=FAMILY,
        geometry=clips,
        defaults=folder.parse("defaults", Defaults) or defaults(clips, sampler),
        samplers=tuple(SAMPLERS.values()),
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers,
        takes=takes(transformer),
        needs=needs,
        extrapolation=extrapolation(transformer),
        options=usual_options(sampler),
        prompt_pieces=transformer.max_text_seq_length - 1,
        streamed={"text_encoder": text.streamed(transformer.max_text_seq_length)},
        precise={"transformer": transformer.modulation},
    )


FAMILY = Family(
    package=__package__,
    pipelines=(
        "CogVideoXPipeline",
        "CogVideoXImageToVideoPipeline",
        "CogVideoXVideoToVideoPipeline",
    ),
    parts={
        "text_encoder": Part(
            "mlxvid.text.t5:T5EncoderModel",
            T5Config,
            "encode",
            "bfloat16",
            quantized=True,
            streamed=True,
        ),
        # In the type that it was released in: 2B in float16, the others in bfloat16.
        "transformer": Part(
            f".transformer:{KIND}", CogVideoXConfig, "denoise", quantized=True, loras=True
        ),
        "vae": Part(".vae:AutoencoderKLCogVideoX", CogVideoXVAEConfig, "decode", "float32"),
    },
    read=read,
    tea=tea.constants,
    tiny_decoder=TinyDecoder("taecvx", "64e2fd755c9356db4c5c1e24d4a67135640a1085"),
    options=OPTIONS,
    # The VAE works on batches of 8 frames, the first of 9, and each layer keeps the two frames
    # before: counted in the traced graph of a batch, 630 values a pixel and frame, and 4064 a pixel
    # for what is kept. The reference's tiles are 360x240.
    memory=Coefficients(
        metal=Block(attention=6.45, forward=2.1, inner=1.0),
        cpu=Block(attention=20.0, forward=3.0, inner=2.0),
        decode_values=1220,
        decode_chunk=2,
        decode_tile=MAX_SIDE,
        decode_halo=0,
        small_tile=294,
        tiled_values=3,
        decode_operations=18.9e6,
    ),
    shared=Shared(squares=0, rows=5700, sums=2, others=(512,)),
    needed=(
        ("tokenizer/spiece.model", "tokenizer/tokenizer.json"),
        ("scheduler/scheduler_config.json",),
    ),
    layouts=("cogvideox",),
    examples=(
        '--model cogvideox-2b --prompt "a fox runs through snow, …" -o fox.mp4',
        '--model cogvideox-5b-i2v --prompt "she smiles" --image her.jpg --quantize 8',
    ),
    prompting=(
        "A hundred words or two in full sentences, as a caption that leaves nothing out: what is "
        "seen, what moves, the light and the camera. It was trained with such captions, and short "
        "prompts make poor clips."
    ),
)

LICENCE = "CogVideoX"


def _release(
    repository: str,
    revision: str,
    title: str,
    description: str,
    transformer: CogVideoXConfig,
    parameters: int,
    download_bytes: int,
    sampler: str = "dpm++-sde",
    **more: Any,
) -> Card:
    """The card of a release, which is called as its repository."""
    clips = geometry(transformer)
    needs = PICTURE if transformer.starts_from_picture else frozenset()
    return Card(
        family=FAMILY,
        name=repository.lower(),
        title=title,
        licence=more.pop("licence", LICENCE),
        description=description,
        geometry=clips,
        defaults=defaults(clips, sampler),
        samplers=tuple(SAMPLERS.values()),
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers,
        takes=takes(transformer),
        needs=needs,
        extrapolation=extrapolation(transformer),
        options=usual_options(sampler),
        prompt_pieces=TEXT_TOKENS - 1,
        streamed={"text_encoder": T5_XXL.streamed(TEXT_TOKENS)},
        precise={"transformer": transformer.modulation},
        parameters={
            "text_encoder": 4_762_310_656,
            "transformer": parameters,
            "vae": 215_583_907,
        },
        source=Source(f"zai-org/{repository}", revision),
        aliases=(f"THUDM/{repository}",),
        download_bytes=download_bytes,
        **more,
    )


_5B: dict[str, Any] = dict(
    num_attention_heads=48, num_layers=42, use_rotary_positional_embeddings=True
)
_15: dict[str, Any] = dict(**_5B, patch_size_t=2)

CARDS = (
    _release(
        "CogVideoX-2b",
        "1137dacfc2c9c012bed6a0793f4ecf2ca8e7ba01",
        "CogVideoX 2B",
        "Text to six seconds at 480p; the smallest of its kind, for long prompts.",
        CogVideoXConfig(),
        1_693_783_872,
        13_350_000_000,
        sampler="ddim",
        licence="Apache-2.0",
        dtype="float16",
    ),
    _release(
        "CogVideoX-5b",
        "8d6ea3f817438460b25595a120f109b88d5fdfad",
        "CogVideoX 5B",
        "Text to six seconds at 480p, finer than 2B's.",
        CogVideoXConfig(**_5B),
        5_570_283_072,
        21_100_000_000,
    ),
    _release(
        "CogVideoX-5b-I2V",
        "a6f0f4858a8395e7429d82493864ce92bf73af11",
        "CogVideoX 5B I2V",
        "Brings a picture to life, for six seconds at 720x480 alone.",
        CogVideoXConfig(**_5B, in_channels=32, use_learned_positional_embeddings=True),
        5_625_087_552,
        21_210_000_000,
    ),
    _release(
        "CogVideoX1.5-5B",
        "fdc5267c90b5c06492985b966e43aae984e189e0",
        "CogVideoX 1.5 5B",
        "Text to five or ten seconds at 1360x768, 16 frames a second.",
        CogVideoXConfig(**_15),
        5_570_676_352,
        21_100_000_000,
        originals=("zai-org/CogVideoX1.5-5B-SAT", "THUDM/CogVideoX1.5-5B-SAT"),
    ),
    _release(
        "CogVideoX1.5-5B-I2V",
        "46c90528707aebbe69066390b4fe7e7d24c9c2a4",
        "CogVideoX 1.5 5B I2V",
        "Brings a picture of any shape to life, its short side 768 pixels.",
        CogVideoXConfig(**_15, in_channels=32, ofs_embed_dim=512),
        5_571_594_880,
        21_110_000_000,
    ),
)
