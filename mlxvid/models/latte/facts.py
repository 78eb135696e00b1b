"""What a Latte model's configs say of it."""

from __future__ import annotations

from mlxvid.errors import WeightsError
from mlxvid.layers.autoencoder_kl_config import AutoencoderKLConfig
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, Defaults, Facts

from .config import LatteConfig
from .defaults import CAPABILITIES, FLOAT32, defaults, geometry

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


def facts(folder: Folder) -> Facts:
    """The facts of the model in `folder`; raises :class:`WeightsError` where its parts don't belong
    together.
    """
    transformer, vae = (
        folder.config("transformer", LatteConfig),
        folder.config("vae", AutoencoderKLConfig),
    )
    text_width = folder.json("text_encoder").get("d_model")
    if (transformer.in_channels, transformer.caption_channels) != (vae.latent_channels, text_width):
        raise WeightsError(
            f"The parts of {folder.path} come from different models; download or convert the model again."
        )
    s_factor = 2 ** (len(vae.block_out_channels) - 1)
    sampler = SAMPLERS.get(
        folder.json("scheduler", "scheduler_config.json").get("_class_name"), "ddim"
    )
    return Facts(
        geometry=geometry(
            vae.latent_channels, s_factor, transformer.patch_size, transformer.video_length
        ),
        defaults=folder.parse("defaults", Defaults)
        or defaults(s_factor * transformer.sample_size, transformer.video_length, sampler),
        capabilities=CAPABILITIES,
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        attention_modes=ATTENTION_MODES,
        float32=FLOAT32,
    )
