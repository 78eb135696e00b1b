"""LTX-Video 0.9 as released, in a single file -> the Diffusers layout.

A release is a file with transformer and VAE (ltxv-2b-0.9.8-distilled.safetensors), in a folder with
T5 v1.1 XXL's encoder and its tokenizer: the text_encoder and tokenizer folders of
PixArt-alpha/PixArt-XL-2-1024-MS or of a model in the Diffusers layout, or a t5xxl*.safetensors of
ComfyUI's. The VAE may have a file of its own. A latent upsampler
(ltxv-spatial-upscaler-*.safetensors) that is there too comes along. Files may have any names: they
are recognised by their tensors; only which of the releases of the same sizes it is, is told by
names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.ltx import releases
from mlxvid.models.ltx.card import CONDITION
from mlxvid.weights import safetensors_file

from ..release import (
    Component,
    Release,
    WeightFile,
    block_count,
    files_with,
    left_out,
    shape_of,
    single,
)
from ..sources import read_group, weight_groups
from . import ltx_transformer, ltx_vae, t5

UPSAMPLER_MARKS = frozenset(
    {
        "initial_conv.weight",
        "upsampler.0.weight",
        "post_upsample_res_blocks.0.conv1.weight",
        "final_conv.weight",
    }
)
# What LTX-2 has in the same blocks.
SOUND = "audio_patchify_proj.weight"
REMEDY = "put it into the folder with the others"
T5 = "PixArt-alpha/PixArt-XL-2-1024-MS"
STEM = "diffusion_pytorch_model"


def recognises(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is LTX-Video's transformer."""
    return bool(_transformers(files))


def has_part(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is LTX-Video's VAE, or an upsampler of its latents."""
    if any(SOUND in file.tensors for file in files):
        return False
    return bool(files_with(files, ltx_vae.MARKS, UPSAMPLER_MARKS))


def read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where a component is missing, is there twice, or belongs to another
    model.
    """
    transformer_file = single(
        _transformers(files), f"transformer of LTX-Video in {folder}", "download the whole file"
    )
    vae_file = _vae_file(folder, files, transformer_file)
    if not files_with(files, t5.BIAS_MARKS):
        files = [*files, *_text_files(folder)]
    text_file = t5.encoder_file(
        files,
        f"T5 text encoder in {folder} (text_encoder of {T5}, or t5xxl_fp16.safetensors)",
        REMEDY,
    )
    used = [transformer_file, vae_file, text_file]

    own = _own_config(folder / transformer_file.path)
    generation = ltx_vae.generation(vae_file.tensors)
    told = _told(folder, transformer_file, generation, own)
    components = [
        _transformer(folder, transformer_file, own, told.recipe.causal),
        Component(
            "vae", ltx_vae.config(vae_file.tensors), ltx_vae.tensors(vae_file.tensors), STEM, folder
        ),
        t5.text_encoder(folder, text_file),
    ]
    upsamplers = [file for file in files_with(files, UPSAMPLER_MARKS) if _is_spatial(file)]
    if upsamplers:
        upsampler = single(upsamplers, f"spatial upsampler in {folder}", REMEDY)
        components.append(_upsampler(folder, upsampler))
        used.append(upsampler)
    _check_match(folder, components)
    recipe = told.recipe
    notes = [] if told.certain else [releases.uncertain(recipe)]
    return Release(
        title=f"LTX-Video {recipe.release}",
        index=_index(recipe, components),
        components=components,
        files={
            **t5.tokenizer(folder, T5, REMEDY),
            "scheduler/scheduler_config.json": _as_json(_scheduler(recipe.causal)),
        },
        notes=notes + left_out(files, used),
    )


def _transformers(files: Sequence[WeightFile]) -> list[WeightFile]:
    found = files_with(files, ltx_transformer.MARKS)
    return [file for file in found if SOUND not in file.tensors]


def _vae_file(folder: Path, files: Sequence[WeightFile], transformer: WeightFile) -> WeightFile:
    """The VAE in the transformer's file, or where that has none the only one that there is."""
    found = files_with(files, ltx_vae.MARKS)
    own = [file for file in found if file.path == transformer.path]
    return single(own or found, f"VAE of LTX-Video in {folder}", "download the whole file")


def _text_files(folder: Path) -> list[WeightFile]:
    """The text encoders in a folder of which only one file was given."""
    found = []
    for group in weight_groups(folder)[0]:
        path = group[0]
        if "t5" in path.name.lower() or path.parent.name == "text_encoder":
            found += read_group(folder, group)
    return found


def _own_config(path: Path) -> dict[str, Any]:
    """The config in a release's metadata; empty for repackaged files, which lack it."""
    if path.suffix.lower() != ".safetensors":
        return {}
    try:
        config = json.loads(safetensors_file.read_metadata(path).get("config", ""))
    except (TypeError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _told(
    folder: Path, file: WeightFile, generation: ltx_vae.Generation, own: Mapping[str, Any]
) -> releases.Told:
    """Which release it is."""
    path = folder / file.path
    names = [path.name, *(parent.name for parent in path.absolute().parents)]
    blocks = block_count(file.tensors, "transformer_blocks.")
    distilled = True if own.get("allowed_inference_steps") else None
    told = releases.told(generation, blocks, names, distilled)
    if told is None:
        raise WeightsError(
            f"{path} has a transformer of {blocks} blocks with a VAE of LTX-Video's generation "
            f"{generation}, which no release has; download the file again."
        )
    return told


def _transformer(folder: Path, file: WeightFile, own: Mapping[str, Any], causal: bool) -> Component:
    tensors = ltx_transformer.tensors(file.tensors)
    stated = own.get("transformer")
    config = ltx_transformer.config(
        tensors, stated if isinstance(stated, dict) else {}, causal, folder / file.path
    )
    return Component("transformer", config, tensors, STEM, folder)


def _is_spatial(file: WeightFile) -> bool:
    """Whether an upsampler makes latents larger in space, which it does frame by frame."""
    return len(file.tensors["upsampler.0.weight"].shape) == 4


def _upsampler(folder: Path, file: WeightFile) -> Component:
    """An upsampler, whose tensors have the same names in the release and in Diffusers."""
    weight = shape_of(file.tensors, "initial_conv.weight", 5)
    config = {
        "_class_name": "LTXLatentUpsamplerModel",
        "in_channels": weight[1],
        "mid_channels": weight[0],
        "num_blocks_per_stage": block_count(file.tensors, "res_blocks."),
        "dims": 3,
        "spatial_upsample": True,
        "temporal_upsample": False,
    }
    return Component("latent_upsampler", config, file.tensors, STEM, folder)


def _check_match(folder: Path, components: Sequence[Component]) -> None:
    """Raise :class:`WeightsError` where widths show components of different models."""
    configs = {component.name: component.config for component in components}
    transformer = configs["transformer"]
    channels = configs["vae"]["latent_channels"]
    upsampled = configs.get("latent_upsampler", {}).get("in_channels", channels)
    widths = (channels, upsampled, configs["text_encoder"]["d_model"])
    wanted = (transformer["in_channels"], transformer["in_channels"])
    if widths != (*wanted, transformer["caption_channels"]):
        raise WeightsError(
            f"The components in {folder} come from different models; download the file of "
            "LTX-Video and T5 v1.1 XXL again."
        )


def _index(recipe: releases.Recipe, components: Sequence[Component]) -> dict[str, Any]:
    """The model_index.json, with the release's name."""
    index: dict[str, Any] = {
        "_class_name": CONDITION if recipe.generation == "C" else "LTXPipeline",
        releases.KEY: recipe.release,
    }
    for component in components:
        if component.name == "text_encoder":
            index[component.name] = ["transformers", "T5EncoderModel"]
        elif component.name != "latent_upsampler":  # which Diffusers has in a pipeline of its own
            index[component.name] = ["diffusers", component.config["_class_name"]]
    index["scheduler"] = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    index["tokenizer"] = ["transformers", "T5TokenizerFast"]
    return index


def _scheduler(causal: bool) -> dict[str, Any]:
    """Diffusers' scheduler: of the causal models the pipeline brings the schedule."""
    return {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": 1.0,
        "use_dynamic_shifting": not causal,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "base_image_seq_len": 1024,
        "max_image_seq_len": 4096,
        "shift_terminal": None if causal else 0.1,
    }


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
