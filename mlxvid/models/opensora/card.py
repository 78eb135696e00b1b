"""The card of Open-Sora 1.2: what it makes, what it takes, and where its parts are.

Facts from hpcaitech/Open-Sora, tag v1.2.0: its configs and its table of what was seen in training.
"""

from __future__ import annotations

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.card import CLIP_TO_CLIP, GUIDED, Card, Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, Defaults
from mlxvid.model.settings import Setting
from mlxvid.text.t5_config import T5_XXL, T5Config

from . import tea
from .config import STDiT3Config
from .geometry import OpenSoraGeometry
from .vae_config import OpenSoraVAEConfig

# 240p and wide, as the reference's; its 426 pixels come out as 424 in any case.
DEFAULTS = Defaults(width=424, height=240, frames=51, fps=24.0, steps=30, guidance=7.0)

OPTIONS = (
    Setting(
        "aesthetic",
        "number",
        "Aesthetic score",
        "how pleasing the clip should look, a score of about 4 to 7; 0 leaves it unsaid",
        "options",
        low=0,
        high=10,
        metavar="X",
    ),
    Setting(
        "motion_score",
        "number",
        "Motion score",
        "how much should move in it, a score of about 0.5 to 25; 0 leaves it unsaid",
        "options",
        low=0,
        high=100,
        metavar="X",
    ),
    Setting(
        "camera_motion",
        "text",
        "Camera motion",
        'how the camera moves, such as "pan left", "tilt up" or "zoom in"',
        "options",
        metavar="TEXT",
    ),
    Setting(
        "edit",
        "number",
        "Edit",
        "how far what is given (pictures, clips) may change: 0 keeps it, 1 makes it anew",
        "options",
        low=0,
        high=1,
        metavar="X",
        digits=2,
    ),
)
SAMPLERS = ("euler",)
USUAL_OPTIONS = {"aesthetic": 6.5}
TAKES = (
    CLIP_TO_CLIP
    | GUIDED
    | {"image", "last_image", "keyframes", "extend", "join", "attention", "shift"}
    | {option.name for option in OPTIONS}
)


def read(folder: Folder) -> Card:
    """The card of the model in `folder`.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    kind = folder.json("transformer").get("model_type", "STDiT3")
    if kind != "STDiT3":
        raise WeightsError(
            f"{folder.path} has a transformer of the kind {kind}, which is not Open-Sora 1.2's, "
            "and mlxvid can't run it; use opensora-1.2."
        )
    transformer = folder.config("transformer", STDiT3Config)
    vae = folder.config("vae", OpenSoraVAEConfig)
    text = folder.config("text_encoder", T5Config)
    widths = (transformer.in_channels, transformer.caption_channels)
    folder.require_match(widths, (vae.embed_dim, text.d_model))
    s_factor = 2 ** (len(vae.block_out_channels) - 1)
    patch = tuple(transformer.patch_size)
    sides = (patch[0], patch[1], patch[2])
    chunk = vae.micro_frame_size
    try:
        geometry = OpenSoraGeometry(vae.t_factor, s_factor, vae.embed_dim, sides, chunk=chunk)
    except SettingError as error:
        raise WeightsError(f"{folder.path / 'vae'} is no VAE of Open-Sora 1.2: {error}") from None
    return Card.in_folder(
        folder,
        dtype="bfloat16",
        family=FAMILY,
        geometry=geometry,
        defaults=folder.parse("defaults", Defaults) or DEFAULTS,
        samplers=SAMPLERS,
        heads=transformer.num_heads,
        head_dim=transformer.head_dim,
        blocks=transformer.depth,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        options=USUAL_OPTIONS,
        shared_frames=geometry.chunk,
        prompt_pieces=transformer.model_max_length - 1,
        streamed={"text_encoder": text.streamed(transformer.model_max_length)},
    )


FAMILY = Family(
    package=__package__,
    pipelines=("OpenSoraPipeline",),
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
            ".transformer:STDiT3", STDiT3Config, "denoise", "bfloat16", quantized=True
        ),
        "vae": Part(".vae:OpenSoraVAE", OpenSoraVAEConfig, "decode", "float32"),
    },
    read=read,
    tea=tea.constants,
    options=OPTIONS,
    # Decoding at the real width held 3270 values a pixel of the one frame that is worked on, a
    # quarter of a latent frame, of which 2304 are copies that MLX's convolutions make on the CPU
    # and not on Metal.
    memory=Coefficients(
        metal=Block(attention=8.1, forward=2.1, inner=1.0),
        cpu=Block(attention=21.5, forward=21.5),
        decode_values=245,
        decode_chunk=1,
        decode_tile=1280,
        decode_halo=0,
        decode_operations=9.5e6,
    ),
    shared=Shared(squares=9, rows=4608, sums=6),
    texts="mlxvid.text.clean:cleaned_caption",
    needed=(
        (
            "tokenizer/spiece.model",
            "tokenizer/tokenizer.json",
            "text_encoder/spiece.model",
            "text_encoder/tokenizer.json",
        ),
    ),
    layouts=("opensora",),
    prompting=(
        "One to three sentences, as a caption: the subject, what it does, the place, the light, "
        "and how the camera moves."
    ),
)

# The release is in two repositories, and goes with the encoder of T5 v1.1 XXL. Its own choice of
# that, DeepFloyd/t5-v1_1-xxl, has float32 weights in PyTorch's format; this one has the same in
# bfloat16, in half as many bytes, as safetensors. The newest revision of the transformer, 9a85839,
# differs from this one in two flags of the reference's own CUDA kernels.
SOURCES = {
    "transformer": Source(
        "hpcai-tech/OpenSora-STDiT-v3", "dccc046bf978d03e783508ed15bcea04c6f5b34c"
    ),
    "vae": Source("hpcai-tech/OpenSora-VAE-v1.2", "33d153e9b5a9f771a8a84f98bd3f46458a8ed0bf"),
    "text_encoder": Source(
        "city96/t5-v1_1-xxl-encoder-bf16", "1b9c856aadb864af93c1dcdc226c2774fa67bc86"
    ),
}

CARDS = (
    Card(
        family=FAMILY,
        name="opensora-1.2",
        title="Open-Sora 1.2",
        licence="Apache-2.0",
        description="Text, pictures and clips to video of any shape: 240p to 720p, 2 to 16 seconds "
        "and, in loops, longer.",
        geometry=OpenSoraGeometry(t_factor=4, s_factor=8, channels=4, patch=(1, 2, 2)),
        defaults=DEFAULTS,
        samplers=SAMPLERS,
        heads=16,
        head_dim=72,
        blocks=28,
        takes=TAKES,
        attention_modes=ATTENTION_MODES,
        options=USUAL_OPTIONS,
        shared_frames=OpenSoraGeometry(4, 8, 4).chunk,
        prompt_pieces=STDiT3Config().model_max_length - 1,
        streamed={"text_encoder": T5_XXL.streamed(STDiT3Config().model_max_length)},
        parameters={
            "text_encoder": 4_762_310_656,
            "transformer": 1_207_643_972,
            "vae": 393_341_007,
        },
        sources=SOURCES,
        download_bytes=15_900_000_000,
    ),
)
