"""CogVideoX as released by its authors, for SwissArmyTransformer -> the Diffusers layout.

A release is a folder with transformer/1000/mp_rank_00_model_states.pt (or transformer/1/…),
vae/3d-vae.pt, and T5's encoder with its tokenizer. Files may have any names: they are recognised by
their tensors, and so are the five models. What no tensor says (the schedule, the VAE's scale, the
trained size) is that of the release.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..release import Component, Release, WeightFile, files_with, left_out, single
from . import cogvideox_transformer, cogvideox_vae, t5

REMEDY = "put it into a folder with the others"


def recognises(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is CogVideoX's transformer."""
    return bool(files_with(files, cogvideox_transformer.MARKS))


def has_part(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is CogVideoX's VAE."""
    return bool(files_with(files, cogvideox_vae.MARKS))


def read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where a component is missing, is there twice, or belongs to another
    model.
    """
    head = single(
        files_with(files, cogvideox_transformer.MARKS),
        f"transformer of CogVideoX in {folder} (mp_rank_00_model_states.pt)",
        REMEDY,
    )
    vae_file = single(
        files_with(files, cogvideox_vae.MARKS),
        f"VAE of CogVideoX in {folder} (vae/3d-vae.pt in the release)",
        REMEDY,
    )
    text_file = t5.encoder_file(
        files, f"T5 encoder in {folder} (text_encoder of THUDM/CogVideoX-2b)", REMEDY
    )
    parts = cogvideox_transformer.whole(files, head)
    transformer = _transformer(folder, parts)
    notes = left_out(files, used=(*parts, vae_file, text_file))
    if any(tensor.dtype == "float16" for tensor in transformer.tensors.values()):
        notes.append(
            f"{head.path} is in float16, in which it was trained: `dtype` of float16 keeps it so."
        )
    vae_tensors = cogvideox_vae.tensors(vae_file.tensors)
    vae_config = cogvideox_vae.config(vae_tensors, transformer.config)
    stem = "diffusion_pytorch_model"
    scheduler = cogvideox_transformer.scheduler_config(transformer.config)
    schedule = json.dumps(scheduler, indent=2) + "\n"
    return Release(
        title=_title(transformer),
        index=_index(transformer.config, scheduler),
        components=[
            transformer,
            Component("vae", vae_config, vae_tensors, stem, folder),
            t5.text_encoder(folder, text_file),
        ],
        files={
            **t5.tokenizer(folder, "the tokenizer of THUDM/CogVideoX-2b", REMEDY),
            "scheduler/scheduler_config.json": schedule.encode(),
        },
        notes=notes,
    )


def _transformer(folder: Path, parts: Sequence[WeightFile]) -> Component:
    tensors = cogvideox_transformer.tensors(parts, folder / parts[0].path)
    config = cogvideox_transformer.config(tensors)
    return Component("transformer", config, tensors, "diffusion_pytorch_model", folder)


def _takes_picture(config: Mapping[str, Any]) -> bool:
    return config["in_channels"] != config["out_channels"]


def _title(transformer: Component) -> str:
    config = transformer.config
    version = "CogVideoX 1.5" if config["patch_size_t"] else "CogVideoX"
    task = "picture" if _takes_picture(config) else "text"
    sizes = [math.prod(tensor.shape) for tensor in transformer.tensors.values()]
    positions = "sines" if cogvideox_transformer.has_sines(config) else "rotary"
    return f"{version}, {task} to video, {sum(sizes) / 1e9:.1f} billion parameters, {positions}"


def _index(config: Mapping[str, Any], scheduler: Mapping[str, Any]) -> dict[str, Any]:
    """The model_index.json."""
    picture = _takes_picture(config)
    return {
        "_class_name": "CogVideoXImageToVideoPipeline" if picture else "CogVideoXPipeline",
        "scheduler": ["diffusers", scheduler["_class_name"]],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", config["_class_name"]],
        "vae": ["diffusers", "AutoencoderKLCogVideoX"],
    }
