"""What a factored model's configs say of it."""

from __future__ import annotations

from mlxvid.errors import WeightsError
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import ATTENTION_MODES, Defaults, Facts, Geometry

from .config import TextConfig, TransformerConfig, VAEConfig

CAPABILITIES = frozenset(
    {"negative-prompt", "image", "last-image", "keyframes", "attention", "shift"}
)


def facts(folder: Folder) -> Facts:
    """The facts of the model in `folder`; raises :class:`WeightsError` where its parts don't belong
    together.
    """
    text, vae = folder.config("text_encoder", TextConfig), folder.config("vae", VAEConfig)
    transformer = folder.config("transformer", TransformerConfig)
    if (transformer.in_channels, transformer.text_dim) != (vae.latent_channels, text.hidden_size):
        raise WeightsError(
            f"The parts of {folder.path} come from different models; download or convert the model again."
        )
    patch = (transformer.patch_size_t, transformer.patch_size, transformer.patch_size)
    return Facts(
        geometry=Geometry(vae.patch_size_t, 2 * vae.patch_size, vae.latent_channels, patch),
        defaults=folder.parse("defaults", Defaults) or Defaults(96, 96, 33, 16.0, 20, 3.0),
        capabilities=CAPABILITIES,
        heads=transformer.hidden_size // max(1, transformer.attention_head_dim),
        head_dim=transformer.attention_head_dim,
        attention_modes=ATTENTION_MODES,
    )
