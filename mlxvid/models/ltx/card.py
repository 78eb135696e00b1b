"""The card of LTX-Video 0.9: what its models are, make and take, without weights.

Facts from Lightricks/LTX-Video (configs, README, licences) and the repositories on the hub.
"""

from __future__ import annotations

from dataclasses import replace

from mlxvid.errors import WeightsError
from mlxvid.model.card import Family, Part, Source
from mlxvid.model.coefficients import Block, Coefficients, Shared
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Defaults
from mlxvid.text.t5_config import T5_XXL, T5Config

from . import releases, tea
from .config import LTXTransformerConfig
from .geometry import LTXGeometry
from .options import OPTIONS
from .recipe_card import LTXCard, defaults_of, options_of, samplers_of, takes_of
from .recipes import BLOCKS_2B, RECIPES
from .upsampler_config import LTXUpsamplerConfig
from .vae_config import LTXVAEConfig

GEOMETRY = LTXGeometry(t_factor=8, s_factor=32, channels=128, patch=(1, 1, 1), causal=True)
# The pipeline of Diffusers for models that start from pictures and clips at any frame.
CONDITION = "LTXConditionPipeline"
# How its other pipelines read a prompt: fewer tokens, and without telling T5 where they end.
PLAIN_TOKENS = 128

# Frames that a clip has in common with the one that it extends or joins: 8k + 1.
SHARED_FRAMES = 25
# Latent positions on a side of the tiles that are decoded where memory is short.
SMALL_TILE = 24


def read(folder: Folder) -> LTXCard:
    """The card of the model in `folder`: which release it is, and so how it is sampled.

    Raises :class:`WeightsError` where its parts don't belong together.
    """
    transformer = folder.config("transformer", LTXTransformerConfig)
    vae = folder.config("vae", LTXVAEConfig)
    text = folder.config("text_encoder", T5Config)
    widths = (transformer.in_channels, transformer.caption_channels)
    folder.require_match(widths, (vae.latent_channels, text.d_model))
    upscales = _has_upsampler(folder, vae.latent_channels)
    recipe, certain = _recipe(folder, transformer, vae)
    card = LTXCard.in_folder(
        folder,
        dtype="bfloat16",
        family=FAMILY,
        geometry=LTXGeometry(vae.t_factor, vae.s_factor, vae.latent_channels, (1, 1, 1)),
        defaults=folder.parse("defaults", Defaults) or defaults_of(recipe),
        samplers=samplers_of(recipe),
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        blocks=transformer.num_layers,
        takes=takes_of(recipe),
        options=options_of(recipe, upscales),
        shared_frames=SHARED_FRAMES,
        prompt_pieces=recipe.text_tokens - 1,
        streamed={"text_encoder": text.streamed(recipe.text_tokens)},
        batches=False,  # a pass may leave blocks out, and texts end at different places
        recipe=recipe,
    )
    return card if certain else replace(card, note=card.note or releases.uncertain(recipe))


def _has_upsampler(folder: Folder, channels: int) -> bool:
    """Whether there is an upsampler. Raises :class:`WeightsError` for one of other latents, or one
    that makes more frames: before a first pass is made for it.
    """
    if not (folder.path / "latent_upsampler" / "config.json").is_file():
        return False
    upsampler = folder.config("latent_upsampler", LTXUpsamplerConfig)
    folder.require_match((upsampler.in_channels, upsampler.factors), (channels, (1, 2, 2)))
    return True


def _recipe(folder: Folder, transformer: LTXTransformerConfig, vae: LTXVAEConfig) -> releases.Told:
    """The recipe for a folder, with what its configs say otherwise; and whether it is certain."""
    named = folder.index.get(releases.KEY)
    if named is not None:
        if not isinstance(named, str) or named not in RECIPES:
            raise WeightsError(
                f"{folder.path / 'model_index.json'} names the release {named!r}, and there are: "
                f"{', '.join(RECIPES)}; convert the model again."
            )
        recipe = RECIPES[named]
        certain = True
        folder.require_match((vae.generation,), (recipe.generation,))
    else:
        found = releases.told(vae.generation, transformer.num_layers, releases.names(folder))
        if found is None:
            raise WeightsError(
                f"The parts of {folder.path} come from different models: no release has a "
                f"transformer of {transformer.num_layers} blocks with the VAE of generation "
                f"{vae.generation}; download or convert the model again."
            )
        recipe, certain = found
        if not recipe.causal and folder.index["_class_name"] != CONDITION:
            recipe = replace(recipe, text_tokens=PLAIN_TOKENS, text_mask=False)
    if transformer.causal_temporal_positioning is not None:
        recipe = replace(recipe, causal=transformer.causal_temporal_positioning)
    return releases.Told(recipe, certain)


FAMILY = Family(
    package=__package__,
    pipelines=("LTXPipeline", "LTXImageToVideoPipeline", CONDITION),
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
            ".transformer:LTXVideoTransformer3DModel",
            LTXTransformerConfig,
            "denoise",
            "bfloat16",
            quantized=True,
            loras=True,
        ),
        "vae": Part(".vae:AutoencoderKLLTXVideo", LTXVAEConfig, "decode", "float32"),
        "latent_upsampler": Part(
            ".upsampler:LTXLatentUpsamplerModel",
            LTXUpsamplerConfig,
            "denoise",
            "float32",
            optional=True,
        ),
    },
    read=read,
    tea=tea.constants,
    options=OPTIONS,
    # Of tokens with times of their own, as with pictures; without these a block on Metal holds 8.4
    # widths. The rotary tables are two of them. The third generation's VAE, at a quarter of its
    # widths, held 18.2 values a pixel and frame of eight while it decoded frame by frame; in
    # tiles it holds the whole clip.
    memory=Coefficients(
        metal=Block(attention=9.0, forward=5.9, inner=1.0),
        cpu=Block(attention=22.1, forward=3.0, inner=2.0),
        decode_values=75,
        decode_chunk=1,
        decode_tile=4096,
        decode_halo=0,
        small_tile=32 * SMALL_TILE,
        tiled_values=3,
        decode_operations=0.92e6,
    ),
    shared=Shared(squares=8, rows=4608, sums=3),
    # A look within the least time. The size is that of the first of two passes towards 1216x704,
    # and the seed's noise so the same: the composition stays when both passes are made.
    presets={"draft": {"width": 800, "height": 448, "options": {"upscale": False}}},
    needed=(
        (
            "tokenizer/spiece.model",
            "tokenizer/tokenizer.json",
            "text_encoder/spiece.model",
            "text_encoder/tokenizer.json",
        ),
    ),
    texts=".texts:texts_of",
    layouts=("ltx",),
    examples=(
        '--model ltxv-2b-0.9.6-distilled --prompt "waves roll onto a beach at dusk" -o waves.mp4',
        '--model ltxv-13b-0.9.8-distilled --prompt "she turns and smiles" --image her.jpg',
    ),
    prompting=(
        "One long paragraph of up to 200 words, in the order of time: the main action first, then "
        "movements and gestures, how people and things look, the place, the camera and the light. "
        "Short prompts make poor clips."
    ),
)

# T5 v1.1 XXL's encoder in bfloat16, half of what the releases' own repositories have in float32,
# with its tokenizer beside it.
_TEXT = Source("city96/t5-v1_1-xxl-encoder-bf16", "1b9c856aadb864af93c1dcdc226c2774fa67bc86")
_TEXT_BYTES = 9_526_000_000
_UPSAMPLER = Source(
    "Lightricks/ltxv-spatial-upscaler-0.9.7",
    "c96c168c2bd8bbc82c9fe8259e5f89f8b2ea293f",
    "latent_upsampler",
)
_UPSAMPLER_BYTES = 505_000_000
# All single files, and the first release in the Diffusers layout.
_MAIN = "Lightricks/LTX-Video"
_MAIN_REVISION = "8984fa25007f376c1a299016d0957a37a2f797bb"

_VAE_PARAMETERS = {"A": 419_193_905, "B": 934_976_690, "C": 1_246_913_778}


def _folders(repository: str, revision: str) -> dict[str, Source]:
    """The parts of a release in the Diffusers layout."""
    return {
        "transformer": Source(repository, revision, "transformer"),
        "vae": Source(repository, revision, "vae"),
    }


def _file(name: str) -> dict[str, Source]:
    """A release whose transformer and VAE are in one file."""
    return {"transformer": Source(_MAIN, _MAIN_REVISION, file=name)}


def _release(
    name: str, release: str, description: str, sources: dict[str, Source], download_bytes: int
) -> LTXCard:
    """The card of a release, after its recipe. download_bytes: of its transformer and VAE."""
    recipe = RECIPES[release]
    is_large = recipe.blocks > BLOCKS_2B
    parameters = {
        "text_encoder": 4_762_310_656,
        "transformer": 13_042_569_344 if is_large else 1_923_385_472,
        "vae": _VAE_PARAMETERS[recipe.generation],
    }
    sources = {**sources, "text_encoder": _TEXT}
    download_bytes += _TEXT_BYTES
    upscales = recipe.second is not None
    if upscales:
        parameters["latent_upsampler"] = 126_250_624
        sources["latent_upsampler"] = _UPSAMPLER
        download_bytes += _UPSAMPLER_BYTES
    pipeline = CONDITION if recipe.generation == "C" else FAMILY.pipelines[0]
    return LTXCard(
        family=FAMILY,
        name=name,
        title=f"LTX-Video {release}",
        licence=recipe.licence,
        description=description,
        geometry=GEOMETRY,
        defaults=defaults_of(recipe),
        samplers=samplers_of(recipe),
        heads=32,
        head_dim=128 if is_large else 64,
        blocks=recipe.blocks,
        takes=takes_of(recipe),
        options=options_of(recipe, upscales),
        shared_frames=SHARED_FRAMES,
        prompt_pieces=recipe.text_tokens - 1,
        streamed={"text_encoder": T5_XXL.streamed(recipe.text_tokens)},
        parameters=parameters,
        sources=sources,
        index={"_class_name": pipeline, releases.KEY: release},
        download_bytes=download_bytes,
        batches=False,  # a pass may leave blocks out, and texts end at different places
        recipe=recipe,
    )


CARDS = (
    _release(
        "ltx-video-0.9.0",
        "0.9.0",
        "The first release: clips from text, or from a first picture.",
        _folders(_MAIN, _MAIN_REVISION),
        9_370_000_000,
    ),
    _release(
        "ltx-video-0.9.1",
        "0.9.1",
        "The first release with a decoder that adds detail.",
        _folders("diffusers/LTX-Video-0.9.1", "a248b564f0d86b8537474efe2b9f0e05a63e087c"),
        5_720_000_000,
    ),
    _release(
        "ltx-video-0.9.5",
        "0.9.5",
        "Takes pictures and clips at any frame.",
        _folders("Lightricks/LTX-Video-0.9.5", "e58e28c39631af4d1468ee57a853764e11c1d37e"),
        6_340_000_000,
    ),
    _release(
        "ltxv-2b-0.9.6-dev",
        "0.9.6-dev",
        "The best of the small ones where time is no matter: 40 steps with guidance.",
        _file("ltxv-2b-0.9.6-dev-04-25.safetensors"),
        6_340_000_000,
    ),
    _release(
        "ltxv-2b-0.9.6-distilled",
        "0.9.6-distilled",
        "The quickest: eight steps without guidance, in one pass.",
        _file("ltxv-2b-0.9.6-distilled-04-25.safetensors"),
        6_340_000_000,
    ),
    _release(
        "ltxv-13b-0.9.7-dev",
        "0.9.7-dev",
        "The first large one: 30 steps with guidance that changes, in two passes.",
        _folders("Lightricks/LTX-Video-0.9.7-dev", "2101082f5eb5540770a2df43747feadb6f69b889"),
        28_600_000_000,
    ),
    _release(
        "ltxv-13b-0.9.7-distilled",
        "0.9.7-distilled",
        "The first large one in few steps: seven, then three at twice the size.",
        _file("ltxv-13b-0.9.7-distilled.safetensors"),
        28_600_000_000,
    ),
    _release(
        "ltxv-2b-0.9.8-distilled",
        "0.9.8-2b-distilled",
        "The one to begin with: small, seven steps, then three at twice the size.",
        _file("ltxv-2b-0.9.8-distilled.safetensors"),
        6_340_000_000,
    ),
    _release(
        "ltxv-13b-0.9.8-dev",
        "0.9.8-13b-dev",
        "The finest, and the slowest: 30 steps with guidance that changes, in two passes.",
        _file("ltxv-13b-0.9.8-dev.safetensors"),
        28_600_000_000,
    ),
    _release(
        "ltxv-13b-0.9.8-distilled",
        "0.9.8-13b-distilled",
        "The large one in few steps: seven, then three at twice the size.",
        _folders(
            "Lightricks/LTX-Video-0.9.8-13B-distilled", "7c64400e1861cc0d7b98d570a1926d5408ec60cd"
        ),
        28_600_000_000,
    ),
)
