"""What a Wan 2.1 model's configs say of it: whether it starts from text, a picture or two, and what
it makes by default.
"""

from __future__ import annotations

from mlxvid.errors import WeightsError
from mlxvid.model.folder import Folder
from mlxvid.model.geometry import Defaults, Facts, Geometry

from .config import WanTransformerConfig
from .defaults import FLOAT32, SHIFT_720P, defaults
from .vae_config import WanVAEConfig


def facts(folder: Folder) -> Facts:
    """The facts of the model in `folder`; raises :class:`WeightsError` where its parts don't belong
    together.
    """
    if folder.index.get("expand_timesteps") or any(folder.index.get("transformer_2") or ()):
        raise WeightsError(
            f"{folder.path} holds a Wan 2.2 model, which mlxvid can't run yet; use one of Wan 2.1."
        )
    transformer, vae = (
        folder.config("transformer", WanTransformerConfig),
        folder.config("vae", WanVAEConfig),
    )
    if transformer.out_channels != vae.z_dim or transformer.text_dim != folder.json(
        "text_encoder"
    ).get("d_model"):
        raise WeightsError(
            f"The parts of {folder.path} come from different models; download or convert the model again."
        )
    needs: frozenset[str] = frozenset()
    if transformer.in_channels != transformer.out_channels:
        # Places for two pictures have only the one that was trained to go from a first picture to a
        # last one.
        needs = frozenset(
            {"image"} if transformer.pos_embed_seq_len is None else {"image", "last-image"}
        )
    # The models of one picture for 480p and for 720p have the same sizes: their noise schedules'
    # shifts tell them apart.
    large = (
        needs == {"image"}
        and folder.json("scheduler", "scheduler_config.json").get("flow_shift") == SHIFT_720P
    )
    usual = defaults(1280, 720) if large or "last-image" in needs else defaults(832, 480)
    return Facts(
        geometry=Geometry(vae.t_factor, vae.s_factor, vae.z_dim, tuple(transformer.patch_size)),
        defaults=folder.parse("defaults", Defaults) or usual,
        capabilities=frozenset({"negative-prompt", "shift", "lora"}) | needs,
        heads=transformer.num_attention_heads,
        head_dim=transformer.attention_head_dim,
        needs=needs,
        float32=FLOAT32,
    )
