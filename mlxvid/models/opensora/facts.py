"""What an Open-Sora model's configs say of it."""

from __future__ import annotations

from mlxvid.errors import SettingError, WeightsError
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, Defaults, Facts

from .config import STDiT3Config
from .defaults import CAPABILITIES, DEFAULTS, FLOAT32
from .geometry import OpenSoraGeometry
from .vae_config import OpenSoraVAEConfig


def facts(folder: Folder) -> Facts:
    """The facts of the model in `folder`; raises :class:`WeightsError` where its parts don't belong
    together.
    """
    transformer, vae = (
        folder.config("transformer", STDiT3Config),
        folder.config("vae", OpenSoraVAEConfig),
    )
    text_width = folder.json("text_encoder").get("d_model")
    if (transformer.in_channels, transformer.caption_channels) != (vae.embed_dim, text_width):
        raise WeightsError(
            f"The parts of {folder.path} come from different models; download or convert the model again."
        )
    s_factor, patch = 2 ** (len(vae.block_out_channels) - 1), tuple(transformer.patch_size)
    try:
        geometry = OpenSoraGeometry(
            vae.t_factor, s_factor, vae.embed_dim, patch, chunk=vae.micro_frame_size
        )
    except SettingError as error:
        raise WeightsError(f"{folder.path / 'vae'} is no VAE of Open-Sora 1.2: {error}") from None
    return Facts(
        geometry=geometry,
        defaults=folder.parse("defaults", Defaults) or DEFAULTS,
        capabilities=CAPABILITIES,
        heads=transformer.num_heads,
        head_dim=transformer.head_dim,
        attention_modes=ATTENTION_MODES,
        float32=FLOAT32,
    )
