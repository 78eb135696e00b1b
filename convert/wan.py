"""Wan 2.1 as released, or repackaged for ComfyUI -> the Diffusers layout.

A release is a folder with Wan2.1_VAE.pth, models_t5_umt5-xxl-enc-bf16.pth,
diffusion_pytorch_model*.safetensors with their config.json, google/umt5-xxl/ (the tokenizer) and,
for pictures, models_clip_*.pth. Any names will do: the tensors say what a file is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.model.folder import read_json
from mlxvid.models.wan.defaults import SHIFT_480P, SHIFT_720P
from mlxvid.models.wan.original import transformer_name
from mlxvid.weights.tensors import Tensor

from . import wan_encoders, wan_vae
from .layouts import Component, Model, WeightFile, count, only, sides
from .sources import files_in

TRANSFORMER_MARKS = frozenset(
    {
        "patch_embedding.weight",
        "head.modulation",
        "blocks.0.self_attn.q.weight",
        "time_projection.1.weight",
    }
)
PREFIXES = ("model.diffusion_model.", "diffusion_model.")
# Every transformer of Wan has heads of this size, for a folder whose config.json does not say how
# many there are.
HEAD_DIM = 128
WIDE = 5120
# Of the model that goes from a first picture to a last one, in the release and in Diffusers alike.
SHIFT_TWO_PICTURES = 16.0
REMEDY = "download the whole release"
TOKENIZER_FILES = (
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def recognises(files: list[WeightFile]) -> bool:
    """Whether one of the files is a transformer with the names that Wan's own code gives it."""
    return any(_is_transformer(file) for file in files)


def model(folder: Path, files: list[WeightFile]) -> Model:
    """The model in `folder`. Raises :class:`WeightsError` where a part of it is missing, is there
    twice, or belongs to another.
    """
    transformer = only(filter(_is_transformer, files), f"transformer of Wan in {folder}", REMEDY)
    vae = only(
        _with(files, wan_vae.MARKS),
        f"VAE of Wan 2.1 in {folder} (Wan2.1_VAE.pth in the release)",
        REMEDY,
    )
    text = only(
        _with(files, *wan_encoders.TEXT_MARKS),
        f"UMT5 text encoder in {folder} (models_t5_umt5-xxl-enc-bf16.pth)",
        REMEDY,
    )
    used, notes = [transformer, vae, text], []

    tensors = {transformer_name(name): tensor for name, tensor in _bare(transformer).items()}
    own = (folder / transformer.path).parent / "config.json"
    config = transformer_config(tensors, read_json(own) if own.is_file() else {}, own)
    texts = wan_encoders.text_tensors(text.tensors)
    components = [
        Component("transformer", config, tensors, "diffusion_pytorch_model", folder),
        Component(
            "vae",
            wan_vae.config(vae.tensors),
            wan_vae.tensors(vae.tensors),
            "diffusion_pytorch_model",
            folder,
        ),
        Component("text_encoder", wan_encoders.text_config(texts), texts, "model", folder),
    ]
    shift = _shift(config, folder)
    extra = {
        **_tokenizer(folder, text),
        "scheduler/scheduler_config.json": as_json(scheduler_config(shift)),
    }
    sees = config["image_dim"] is not None
    if sees:
        picture = only(
            _with(files, *wan_encoders.VISION_MARKS),
            f"CLIP picture encoder in {folder} (models_clip_*.pth)",
            REMEDY,
        )
        used.append(picture)
        vision = wan_encoders.vision_tensors(picture.tensors)
        components.append(
            Component("image_encoder", wan_encoders.vision_config(vision), vision, "model", folder)
        )
        extra["image_processor/preprocessor_config.json"] = as_json(
            image_processor(components[-1].config["image_size"])
        )
        if any(name.startswith("textual.") for name in picture.tensors):
            notes.append(f"Left out: the text tower of {picture.path}, which Wan does not use.")
    _check_together(folder, {component.name: component.config for component in components})
    notes += [
        f"Left out: {file.path}, which is no part of this model."
        for file in files
        if file not in used
    ]
    return Model(_title(config, tensors, shift), _index(components), components, extra, notes)


def _check_together(folder: Path, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise :class:`WeightsError` where the components' widths say that they come from different
    models.
    """
    transformer, seen = configs["transformer"], configs.get("image_encoder", {}).get("hidden_size")
    widths = (configs["vae"]["z_dim"], configs["text_encoder"]["d_model"], seen)
    if widths != (transformer["out_channels"], transformer["text_dim"], transformer["image_dim"]):
        raise WeightsError(
            f"The parts of {folder} come from different models; download the whole release again."
        )


def transformer_config(
    tensors: Mapping[str, Tensor], own: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """Diffusers' config.json: from the tensors' shapes by Diffusers' names, and from the release's
    `own` (at `path`) what they don't show.

    Raises :class:`WeightsError` where the two contradict each other.
    """
    embedder = "condition_embedder"
    width, channels, *patch = sides(tensors, "patch_embedding.weight", 5)
    heads, eps = own.get("num_heads", width // HEAD_DIM), own.get("eps", 1e-6)
    if (
        own.get("dim", width) != width
        or not isinstance(heads, int)
        or not 0 < heads <= width
        or width % heads
    ):
        raise WeightsError(
            f"{path} is the config of another transformer than the one beside it; download both again."
        )
    outputs = sides(tensors, "proj_out.weight", 2)[0]
    sees = f"{embedder}.image_embedder.norm1.weight" in tensors
    two = f"{embedder}.image_embedder.pos_embed" in tensors
    return {
        "_class_name": "WanTransformer3DModel",
        "patch_size": list(patch),
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": channels,
        "out_channels": outputs // math.prod(patch),
        "text_dim": sides(tensors, f"{embedder}.text_embedder.linear_1.weight", 2)[1],
        "freq_dim": sides(tensors, f"{embedder}.time_embedder.linear_1.weight", 2)[1],
        "ffn_dim": sides(tensors, "blocks.0.ffn.net.0.proj.weight", 2)[0],
        "num_layers": count(tensors, "blocks."),
        "cross_attn_norm": "blocks.0.norm2.weight" in tensors,
        "qk_norm": "rms_norm_across_heads",
        "eps": eps,
        "image_dim": sides(tensors, f"{embedder}.image_embedder.norm1.weight", 1)[0]
        if sees
        else None,
        "added_kv_proj_dim": width if "blocks.0.attn2.add_k_proj.weight" in tensors else None,
        "rope_max_seq_len": 1024,
        "pos_embed_seq_len": sides(tensors, f"{embedder}.image_embedder.pos_embed", 3)[1]
        if two
        else None,
    }


def scheduler_config(shift: float) -> dict[str, Any]:
    """Diffusers' UniPC with the flow-matching noise schedule, as in its own conversions of Wan."""
    return {
        "_class_name": "UniPCMultistepScheduler",
        "num_train_timesteps": 1000,
        "solver_order": 2,
        "solver_type": "bh2",
        "prediction_type": "flow_prediction",
        "predict_x0": True,
        "lower_order_final": True,
        "final_sigmas_type": "zero",
        "timestep_spacing": "linspace",
        "use_flow_sigmas": True,
        "flow_shift": shift,
    }


def image_processor(side: int) -> dict[str, Any]:
    """How CLIP is to be given a picture, as OpenAI and LAION have it: `side` pixels square."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }


def as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _is_transformer(file: WeightFile) -> bool:
    return _bare(file).keys() >= TRANSFORMER_MARKS


def _bare(file: WeightFile) -> dict[str, Tensor]:
    """The tensors without the prefix that ComfyUI puts before all of them."""
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in file.tensors):
            return {name.removeprefix(prefix): tensor for name, tensor in file.tensors.items()}
    return file.tensors


def _with(files: list[WeightFile], *marks: frozenset[str]) -> list[WeightFile]:
    """The files that have all the names of one of `marks`."""
    return [file for file in files if any(file.tensors.keys() >= names for names in marks)]


def _shift(config: Mapping[str, Any], folder: Path) -> float:
    """The noise schedule's shift. The picture models for 480p and 720p are alike but in their
    numbers, so the folder's name decides.
    """
    if config["pos_embed_seq_len"] is not None:
        return SHIFT_TWO_PICTURES
    small = (
        config["image_dim"] is None
        and config["num_attention_heads"] * config["attention_head_dim"] < WIDE
    )
    return (
        SHIFT_480P
        if small or re.search("480p", str(folder.resolve()), re.IGNORECASE)
        else SHIFT_720P
    )


def _tokenizer(folder: Path, text: WeightFile) -> dict[str, Path | bytes]:
    """The tokenizer's files by their path in the new folder: those of the release, or the one that
    ComfyUI keeps among the weights.
    """
    for path in files_in(folder):
        if path.name == "spiece.model" or (
            path.name == "tokenizer.json" and "umt5" in path.parent.name
        ):
            return {
                f"tokenizer/{name}": path.with_name(name)
                for name in TOKENIZER_FILES
                if path.with_name(name).is_file()
            }
    pieces = text.tensors.get(wan_encoders.PIECES)
    if pieces is not None and pieces.dtype == "uint8":
        return {"tokenizer/spiece.model": np.array(pieces.read()).tobytes()}
    raise WeightsError(
        f"There is no tokenizer in {folder} (google/umt5-xxl/spiece.model in the release); {REMEDY}."
    )


def _title(config: Mapping[str, Any], tensors: Mapping[str, Tensor], shift: float) -> str:
    billions = sum(tensor.values.size for tensor in tensors.values()) / 1e9
    one = "text" if config["in_channels"] == config["out_channels"] else "picture"
    task = one if config["pos_embed_seq_len"] is None else "first and last picture"
    return f"Wan 2.1, {task} to video, {billions:.1f} billion parameters, flow shift {shift:g}"


def _index(components: list[Component]) -> dict[str, Any]:
    """model_index.json."""
    config, sees = (
        components[0].config,
        "image_encoder" in {component.name for component in components},
    )
    pictures = config["in_channels"] != config["out_channels"]
    index: dict[str, Any] = {
        "_class_name": "WanImageToVideoPipeline" if pictures else "WanPipeline"
    }
    for component in components:
        cls = component.config.get("_class_name")
        index[component.name] = (
            ["diffusers", cls] if cls else ["transformers", component.config["architectures"][0]]
        )
    index["scheduler"] = ["diffusers", "UniPCMultistepScheduler"]
    index["tokenizer"] = ["transformers", "T5TokenizerFast"]
    if sees:
        index["image_processor"] = ["transformers", "CLIPImageProcessor"]
    return index
