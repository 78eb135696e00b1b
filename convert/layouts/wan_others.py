"""Releases with Wan's transformer that are not Wan 2.1: told by names, shapes and places.

Wan 2.2's experts have the tensors of Wan 2.1's 14B, name for name and shape for shape: their files
and folders alone say what they are. Facts from the files of Wan-AI, Comfy-Org, Kijai, alibaba-pai,
guandeh17/Self-Forcing and tianweiy/CausVid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.models.wan import others
from mlxvid.weights.tensors import Tensor

from ..release import WeightFile

# Of every folder and file on the way to the transformer.
_EXPERT = re.compile(r"(?:high|low)[ _-]?noise|(?<![a-z])a14b(?![a-z0-9])", re.IGNORECASE)
# What people shorten these to, where both are there.
_HIGH_OR_LOW = re.compile(r"(?<![a-z])(high|low)(?![a-z])", re.IGNORECASE)
_WAN22 = re.compile(r"wan[ ._-]?2[._-]?2(?![0-9])", re.IGNORECASE)
_NAMED = re.compile(r"wan.*(?:vace|fun.*(?:control|camera)|s2v|animate)", re.IGNORECASE)
# By what is in a tensor's name.
VARIANTS = {
    "vace_": "a VACE model after Wan",
    "control_adapter.": "a Fun Camera model after Wan",
    "ref_conv.": "a Fun Control model after Wan",
    "casual_audio_encoder.": "Wan 2.2's S2V",
    "audio_injector.": "Wan 2.2's S2V",
    "face_adapter.": "Wan 2.2's Animate",
    "motion_encoder.": "Wan 2.2's Animate",
    "pose_patch_embedding.": "Wan 2.2's Animate",
    "audio_proj.": "a model of talking people after Wan",
    "audio_cross_attn.": "a model of talking people after Wan",
    "fps_embedding.": "SkyReels V2 for clips without end",
    "cam_encoder.": "a model of camera moves after Wan",
    "dwpose_embedding.": "a model of poses after Wan",
    "ip_adapter": "a model of people's faces after Wan",
}
# What the trainings of causal models that take few steps call their checkpoints, and the files.
_GENERATORS = frozenset({"generator", "generator_ema"})
_CAUSAL = re.compile(
    r"self[ _-]?forcing|causvid|(?<![a-z])causal|rolling[ _-]?forcing|longlive|krea[ _-]?realtime",
    re.IGNORECASE,
)
_FORCING = re.compile(r"skyreels.*(?<![a-z])df(?![a-z])|diffusion[ _-]?forcing", re.IGNORECASE)
_PHANTOM = re.compile(r"(?<![a-z])phantom(?![a-z])", re.IGNORECASE)
CAUSAL_NOTE = (
    "This model was trained to be causal, in blocks of frames with a cache and in a few steps; "
    "with the full attention that it gets here its frames differ from its authors'."
)
FORCING_NOTE = (
    "This model was trained with diffusion forcing, a noise level for each frame; here all frames "
    "have the same one, so it makes clips of one length and goes on with none."
)
PHANTOM_NOTE = (
    "This model was trained to be given pictures of its subjects, which it does not get here; it "
    "makes clips from text alone."
)


def known(source: Path, transformers: Sequence[WeightFile]) -> list[WeightFile]:
    """Those transformers whose tensors and places don't say that they are another release's.

    Raises :class:`WeightsError` where all of them are.
    """
    found = []
    refusals = []
    for file in transformers:
        what = _other_release(source, file)
        if what is None:
            found.append(file)
        else:
            refusals.append(others.refusal(source / file.path, what))
    if refusals and not found:
        raise refusals[0]
    noises = {word.lower() for file in found for word in _HIGH_OR_LOW.findall(file.path)}
    if len(found) > 1 and len(noises) == 2:
        raise others.refusal(source, others.EXPERTS)
    return found


def _other_release(source: Path, file: WeightFile) -> str | None:
    for mark, what in VARIANTS.items():
        if any(mark in name for name in file.tensors):
            return what
    place = f"{source.name}/{file.path}"
    if _EXPERT.search(place):
        return others.EXPERTS
    return "Wan 2.2" if _WAN22.search(place) else None


def check_repository(repo: str, paths: Iterable[str]) -> None:
    """Raise :class:`WeightsError` where the names on the hub say another release."""
    if _WAN22.search(repo) or any("high_noise" in path for path in paths):
        raise others.refusal(repo, "Wan 2.2")
    if _NAMED.search(repo):
        raise others.refusal(repo, "a variant of Wan for other inputs")


def check_sizes(path: Path, config: Mapping[str, Any]) -> None:
    """Raise :class:`WeightsError` where a transformer's sizes are another release's."""
    sees_pictures = config["image_dim"] is not None
    what = others.by_sizes(config["in_channels"], config["out_channels"], sees_pictures)
    if what is not None:
        raise others.refusal(path, what)


def is_wan22_vae(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are those of the VAE of Wan 2.2's TI2V 5B."""
    return "encoder.downsamples.0.downsamples.0.residual.0.gamma" in tensors


def note(source: Path, file: WeightFile) -> str | None:
    """What to say of a transformer that is run here otherwise than it was trained for."""
    place = f"{source.name}/{file.path}"
    if not _GENERATORS.isdisjoint(file.inside) or _CAUSAL.search(place):
        return CAUSAL_NOTE
    if _FORCING.search(place):
        return FORCING_NOTE
    return PHANTOM_NOTE if _PHANTOM.search(place) else None
