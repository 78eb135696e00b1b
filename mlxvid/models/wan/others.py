"""Releases that are made of Wan's blocks and that are not run here, told from those that are.

Facts from Wan-Video/Wan2.2, aigc-apps/VideoX-Fun and Diffusers' WanTransformer3DModel.
"""

from __future__ import annotations

from mlxvid.errors import WeightsError
from mlxvid.model.folder import Folder

from .config import WanTransformerConfig

# Diffusers' class of the transformers that are run.
KIND = "WanTransformer3DModel"
# Channels of a mask of the given frames: four frames to a latent one.
MASK = 4
# Of the VAE of Wan 2.2's model of five billion parameters.
WAN22_CHANNELS = 48
EXPERTS = "Wan 2.2's 14B, which has two transformers, for high and for low noise"
SMALL = "Wan 2.2's TI2V 5B"
REMEDY = "use one of Wan 2.1, which `list_models` shows"


def refusal(place: object, what: str) -> WeightsError:
    """What is raised for `place`, which holds another release."""
    return WeightsError(f"{place} holds {what}, which mlxvid can't run yet; {REMEDY}.")


def by_sizes(inputs: int, outputs: int, sees_pictures: bool) -> str | None:
    """The other release that has a transformer of these sizes; None for one of Wan 2.1's.

    inputs, outputs: its channels of latents. sees_pictures: whether it takes CLIP's states.
    """
    added = inputs - outputs
    if added == 0 and not sees_pictures and outputs != WAN22_CHANNELS:
        return None
    if added == outputs + MASK and sees_pictures:
        return None
    if outputs == WAN22_CHANNELS:
        name = SMALL if added == 0 else f"a variant of {SMALL}"
    elif added == outputs + MASK:
        name = "Wan 2.2's I2V 14B, or a Fun InP model after it"
    elif added == outputs:
        name = "a Fun Control or Fun Camera model after Wan"
    elif added == 2 * outputs:
        name = "a Fun Control model after Wan"
    elif added == 2 * outputs + MASK:
        name = "a Fun Control model after Wan 2.2"
    else:
        name = "a variant of Wan"
    clip = "" if sees_pictures else " and no layers for pictures"
    return f"{name} ({inputs} input channels{clip if added else ''})"


def check(folder: Folder, transformer: WanTransformerConfig) -> None:
    """Raise :class:`WeightsError` where a folder in the Diffusers layout is none of Wan 2.1's."""
    index = folder.index
    if index.get("expand_timesteps"):
        raise refusal(folder.path, SMALL)
    second = (folder.path / "transformer_2" / "config.json").is_file()
    if second or any(index.get("transformer_2") or ()) or index.get("boundary_ratio"):
        raise refusal(folder.path, EXPERTS)
    kind = folder.json("transformer").get("_class_name", KIND)
    if kind != KIND:
        raise refusal(folder.path, f"a {kind}")
    outputs = transformer.out_channels or transformer.in_channels
    found = by_sizes(transformer.in_channels, outputs, transformer.image_dim is not None)
    if found is not None:
        raise refusal(folder.path, found)
