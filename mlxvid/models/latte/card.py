"""The card of Latte-1 (arXiv:2401.03048 and the release's own scripts)."""

from __future__ import annotations

from dataclasses import dataclass

from mlxvid.errors import WeightsError
from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig
from mlxvid.model.card import CLIP_TO_CLIP, GUIDED, Card, Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, MAX_FRAMES, Defaults, Geometry, check_whole
from mlxvid.text.t5_config import T5_XXL, T5Config

from . import tea
from .config import LatteConfig
from .vae_config import TemporalDecoderConfig

TEXT_TOKENS = 120
TAKES = CLIP_TO_CLIP | GUIDED | {"negative_prompt", "attention"}
TEMPORAL = "vae_temporal_decoder"

# Diffusers' schedulers that its pipeline takes -> their names here.
SAMPLERS = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddpm",
    "PNDMScheduler": "pndm",
    "EulerDiscreteScheduler": "euler-discrete",
    "EulerAncestralDiscreteScheduler": "euler-ancestral",
    "HeunDiscreteScheduler": "heun-discrete",
    "KDPM2AncestralDiscreteScheduler": "kdpm2-ancestral",
    "DPMSolverMultistepScheduler": "dpm++",
    "DPMSolverSinglestepScheduler": "dpm++-single",
    "DEISMultistepScheduler": "deis",
    "UniPCMultistepScheduler": "unipc-discrete",
}


@dataclass(frozen=True)
class LatteGeometry(Geometry):
    """Of a model that has positions for `length` frames: it makes clips of as many, or pictures."""

    length: int = 16

    def round_frames(self, frames: int) -> tuple[int, str | None]:
        frames = check_whole("`frames`", frames, MAX_FRAMES, "frames")
        length = self.length
        if frames in (1, length):
            return frames, None
        return length, (
            f"{frames} frames are rounded to {length}: this model makes clips of {length} frames "
            "and pictures of 1."
        )


def geometry(
    channels: int = 4, s_factor: int = 8, patch: int = 2, length: int = 16
) -> LatteGeometry:
    """A VAE for pictures, which leaves time as it is."""
    sides = (1, patch, patch)
    return LatteGeometry(1, s_factor, channels, sides, causal=False, length=length)


def defaults(side: int = 512, length: int = 16, sampler: str = "ddim") -> Defaults:
    """Those of a model that was trained with square pictures of that side."""
    return Defaults(side, side, length, fps=8.0, steps=50, guidance=7.5, sampler=sampler)


def read(folder: Folder) -> Card:
    """The card of the model in `folder`.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    transformer = folder.config("transformer", LatteConfig)
    outputs = transformer.out_channels or transformer.in_channels
    if outputs not in (transformer.in_channels, 2 * transformer.in_channels):
        raise WeightsError(
            f"{folder.path} has a transformer with {transformer.in_channels} channels in and "
            f"{outputs} out, which is not Latte-1's, and mlxvid can't run it; use latte-1."
        )
    vae = folder.config("vae", AutoencoderKLConfig)
    text = folder.config("text_encoder", T5Config)
    widths = (transformer.in_channels, transformer.caption_channels)
    folder.require_match(widths, (vae.latent_channels, text.d_model))
    s_factor = 2 ** (len(vae.block_out_channels) - 1)
    side = s_factor * transformer.sample_size
    scheduler = folder.json("scheduler", "scheduler_config.json").get("_class_name")
    usual = defaults(side, transformer.video_length, SAMPLERS.get(str(scheduler), "ddim"))
    return Card.in_folder(
        folder,
        dtype="float16",
        family=FAMILY,
        geometry=geometry(
            vae.latent_channels, s_factor, transformer.patch_size, transformer.video_length
        ),
        defaults=folder.parse("defaults", Defaults) or usual,
        samplers=tuple(SAMPLERS.values()),
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        prompt_pieces=TEXT_TOKENS - 1,
        streamed={"text_encoder": text.streamed(TEXT_TOKENS)},
    )


FAMILY = Family(
    package=__package__,
    pipelines=("LattePipeline",),
    parts={
        "text_encoder": Part(
            "mlxvid.text.t5:T5EncoderModel",
            T5Config,
            "encode",
            "bfloat16",
            quantized=True,
            streamed=True,
        ),
        "transformer": Part(
            ".transformer:LatteTransformer3DModel",
            LatteConfig,
            "denoise",
            "float16",
            quantized=True,
        ),
        # An AutoencoderKL's values can pass float16's largest number.
        "vae": Part(
            "mlxvid.layers.autoencoder_kl:AutoencoderKL", AutoencoderKLConfig, "decode", "float32"
        ),
        # Diffusers' own pipeline does not use it, so its model_index.json does not name it.
        TEMPORAL: Part(
            ".vae:AutoencoderKLTemporalDecoder",
            TemporalDecoderConfig,
            "decode",
            "float32",
            optional=True,
        ),
    },
    read=read,
    tea=tea.constants,
    texts="mlxvid.text.clean:cleaned_caption",
    needed=(
        ("tokenizer/spiece.model", "tokenizer/tokenizer.json"),
        ("scheduler/scheduler_config.json",),
    ),
    # Decoding at the real width held 3270 values a pixel of the one frame that is worked on, of
    # which 2304 are copies that MLX's convolutions make on the CPU and not on Metal, and the
    # temporal decoder 230 for each of its 14 frames.
    memory=Coefficients(
        metal=Block(attention=6.1, forward=2.1, inner=1.0),
        cpu=Block(attention=20.3, forward=20.3),
        decode_values=300,
        decode_chunk=14,
        decode_tile=1280,
        decode_halo=0,
        decode_operations=9.5e6,
    ),
    shared=Shared(squares=8, rows=4352, sums=5),
    prompting=(
        "One short sentence with one subject and one thing that it does, as in the titles of "
        "stock footage."
    ),
)

CARDS = (
    Card(
        family=FAMILY,
        name="latte-1",
        title="Latte 1",
        licence="Apache-2.0",
        description="Text to two seconds of video, or to a picture; spatial and temporal attention "
        "in turn.",
        geometry=geometry(),
        defaults=defaults(),
        samplers=tuple(SAMPLERS.values()),
        heads=16,
        head_dim=72,
        blocks=28,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        dtype="float16",
        prompt_pieces=TEXT_TOKENS - 1,
        streamed={"text_encoder": T5_XXL.streamed(TEXT_TOKENS)},
        parameters={
            "text_encoder": 4_762_310_656,
            "transformer": 1_057_246_880,
            "vae": 83_653_863,
            TEMPORAL: 97_742_847,
        },
        originals=("maxin-cn/Latte",),
        source=Source("maxin-cn/Latte-1", "0653024365272f061fc44d1078134df22842b687"),
        download_bytes=24_000_000_000,
    ),
)
