"""Wan 2.1 as released, or repackaged for ComfyUI -> the Diffusers layout.

A release is a folder with Wan2.1_VAE.pth, models_t5_umt5-xxl-enc-bf16.pth,
diffusion_pytorch_model*.safetensors with their config.json, google/umt5-xxl/ (the tokenizer) and,
for models that take an image, models_clip_*.pth. Files may have any names: they are recognised by
their tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.models.wan import few_steps, others

from ..release import Component, Release, WeightFile, files_with, left_out, single
from ..sources import files_in
from . import t5, wan_others, wan_text, wan_transformer, wan_vae, wan_vision

REMEDY = "download the whole release"


def recognises(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is Wan's transformer."""
    return any(wan_transformer.is_transformer(file) for file in files)


def has_part(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is another part that is Wan's alone."""
    marks = (wan_vae.MARKS, wan_text.RELEASED_MARKS, wan_vision.RELEASED_MARKS)
    is_small = any(wan_others.is_wan22_vae(file.tensors) for file in files)
    return is_small or bool(files_with(files, *marks))


def read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where a component is missing, is there twice, or belongs to another
    model.
    """
    transformers = [file for file in files if wan_transformer.is_transformer(file)]
    transformers = wan_others.known(folder, transformers)
    _check_vae(folder, files)
    transformer_file = single(transformers, f"transformer of Wan in {folder}", REMEDY)
    transformer = _transformer(folder, transformer_file)
    vae_file = single(
        files_with(files, wan_vae.MARKS),
        f"VAE of Wan 2.1 in {folder} (Wan2.1_VAE.pth in the release)",
        REMEDY,
    )
    text_file = single(
        files_with(files, wan_text.RELEASED_MARKS, wan_text.REPACKAGED_MARKS),
        f"UMT5 text encoder in {folder} (models_t5_umt5-xxl-enc-bf16.pth)",
        REMEDY,
    )
    used = [transformer_file, vae_file, text_file]

    components = [transformer, _vae(folder, vae_file), _text_encoder(folder, text_file)]
    shift, told_by = wan_transformer.flow_shift(transformer.config, folder / transformer_file.path)
    extra_files = _tokenizer(folder, text_file)
    extra_files["scheduler/scheduler_config.json"] = _as_json(
        wan_transformer.scheduler_config(shift)
    )
    notes = []
    note = wan_others.note(folder, transformer_file)
    if note is not None:
        notes.append(note)
    if transformer.config["image_dim"] is not None:
        vision_file = single(
            files_with(files, wan_vision.RELEASED_MARKS, wan_vision.REPACKAGED_MARKS),
            f"CLIP image encoder in {folder} (models_clip_*.pth)",
            REMEDY,
        )
        used.append(vision_file)
        encoder = _image_encoder(folder, vision_file)
        components.append(encoder)
        extra_files["image_processor/preprocessor_config.json"] = _as_json(
            wan_vision.image_processor(encoder.config["image_size"])
        )
        if any(name.startswith("textual.") for name in vision_file.tensors):
            notes.append(f"Left out: the text tower of {vision_file.path}, which Wan does not use.")
    _check_match(folder, components)
    index = _index(components) | ({"note": note} if note is not None else {})
    told = few_steps.by_place(f"{folder.name}/{transformer_file.path}")
    if told is not None:
        index[few_steps.KEY] = told
        notes.append(f"Distilled, by its name: made with {few_steps.RECIPES[told]} unless given.")
    return Release(
        title=_title(transformer, shift) + (f" ({told_by})" if told_by else ""),
        index=index,
        components=components,
        files=extra_files,
        notes=notes + left_out(files, used),
    )


def _check_vae(folder: Path, files: Sequence[WeightFile]) -> None:
    """Raise :class:`WeightsError` where the only VAE is that of Wan 2.2's TI2V 5B."""
    for file in files:
        if wan_others.is_wan22_vae(file.tensors) and not files_with(files, wan_vae.MARKS):
            raise others.refusal(folder / file.path, f"the VAE of {others.SMALL}")


def _transformer(folder: Path, file: WeightFile) -> Component:
    tensors = wan_transformer.tensors(file.tensors)
    path = (folder / file.path).parent / "config.json"
    own = read_json(path) if path.is_file() else {}
    config = wan_transformer.config(tensors, own, path)
    wan_others.check_sizes(folder / file.path, config)
    return Component("transformer", config, tensors, "diffusion_pytorch_model", folder)


def _vae(folder: Path, file: WeightFile) -> Component:
    config = wan_vae.config(file.tensors)
    tensors = wan_vae.tensors(file.tensors)
    return Component("vae", config, tensors, "diffusion_pytorch_model", folder)


def _text_encoder(folder: Path, file: WeightFile) -> Component:
    tensors = wan_text.tensors(file.tensors)
    return Component("text_encoder", wan_text.config(tensors), tensors, "model", folder)


def _image_encoder(folder: Path, file: WeightFile) -> Component:
    tensors = wan_vision.tensors(file.tensors)
    return Component("image_encoder", wan_vision.config(tensors), tensors, "model", folder)


def _check_match(folder: Path, components: Sequence[Component]) -> None:
    """Raise :class:`WeightsError` where widths show components of different models."""
    configs = {component.name: component.config for component in components}
    transformer = configs["transformer"]
    image_width = configs.get("image_encoder", {}).get("hidden_size")
    widths = (configs["vae"]["z_dim"], configs["text_encoder"]["d_model"], image_width)
    if widths != (transformer["out_channels"], transformer["text_dim"], transformer["image_dim"]):
        raise WeightsError(
            f"The components in {folder} come from different models; "
            "download the whole release again."
        )


def _tokenizer(folder: Path, text_file: WeightFile) -> dict[str, Path | bytes]:
    """The tokenizer's files by their path in the new folder.

    They are those of the release, or the one that ComfyUI keeps among the text encoder's weights.
    """
    for path in files_in(folder):
        is_umt5 = path.name == "tokenizer.json" and "umt5" in path.parent.name
        if path.name == "spiece.model" or is_umt5:
            return {**t5.tokenizer_files(path.parent)}
    sentencepiece = text_file.tensors.get(wan_text.SENTENCEPIECE)
    if sentencepiece is not None and sentencepiece.dtype == "uint8":
        return {"tokenizer/spiece.model": np.array(sentencepiece.read()).tobytes()}
    raise WeightsError(
        f"There is no tokenizer in {folder} (google/umt5-xxl/spiece.model in the release); "
        f"{REMEDY}."
    )


def _takes_image(config: Mapping[str, Any]) -> bool:
    """Whether the transformer has an image's latents among its input channels."""
    return config["in_channels"] != config["out_channels"]


def _title(transformer: Component, shift: float) -> str:
    config = transformer.config
    if config["pos_embed_seq_len"] is not None:
        task = "first and last image"
    elif _takes_image(config):
        task = "image"
    else:
        task = "text"
    billions = sum(tensor.values.size for tensor in transformer.tensors.values()) / 1e9
    return f"Wan 2.1, {task} to video, {billions:.1f} billion parameters, flow shift {shift:g}"


def _index(components: Sequence[Component]) -> dict[str, Any]:
    """The model_index.json."""
    configs = {component.name: component.config for component in components}
    takes_image = _takes_image(configs["transformer"])
    index: dict[str, Any] = {
        "_class_name": "WanImageToVideoPipeline" if takes_image else "WanPipeline"
    }
    for name, config in configs.items():
        if "_class_name" in config:
            index[name] = ["diffusers", config["_class_name"]]
        else:
            index[name] = ["transformers", config["architectures"][0]]
    index["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    index["tokenizer"] = ["transformers", "T5TokenizerFast"]
    if "image_encoder" in configs:
        index["image_processor"] = ["transformers", "CLIPImageProcessor"]
    return index


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
