"""HunyuanVideo as released by Tencent, or repackaged for ComfyUI -> the Diffusers layout.

A release is a folder with transformers/mp_rank_00_model_states.pt (or …_fp8.pt with its
…_fp8_map.pt), vae/pytorch_model.pt, and the text encoders with their tokenizers:
xtuner/llava-llama-3-8b-v1_1-transformers and openai/clip-vit-large-patch14. Files may have any
names: they are recognised by their tensors. Only what has the same tensors is told by names: the
model that starts from a picture by replacing tokens, and the distilled one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json

from ..release import Component, Release, WeightFile, files_with, left_out, single
from . import hunyuan_text, hunyuan_transformer, hunyuan_vae, wan_vision

REMEDY = "put it into a folder with the others"
STEM = "diffusion_pytorch_model"


def recognises(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is HunyuanVideo's transformer."""
    return bool(files_with(files, hunyuan_transformer.MARKS))


def has_part(files: Sequence[WeightFile]) -> bool:
    """Whether one of the files is HunyuanVideo's VAE."""
    return bool(files_with(files, hunyuan_vae.MARKS))


def read_release(folder: Path, files: Sequence[WeightFile]) -> Release:
    """The model in `folder`.

    Raises :class:`WeightsError` where a component is missing, is there twice, or belongs to another
    model.
    """
    head = single(
        hunyuan_transformer.whole(files),
        f"transformer of HunyuanVideo in {folder} (mp_rank_00_model_states.pt)",
        REMEDY,
    )
    vae_file = single(
        files_with(files, hunyuan_vae.MARKS),
        f"VAE of HunyuanVideo in {folder} (vae/pytorch_model.pt in the release)",
        REMEDY,
    )
    path = folder / head.path
    maps = hunyuan_transformer.scale_maps(files)
    transformer = _transformer(folder, head, maps)
    pictures = transformer.config["image_condition_type"] is not None
    language, language_files = hunyuan_text.language_encoder(folder, files, pictures)
    clip, clip_file = hunyuan_text.clip_encoder(folder, files)
    components = [transformer, _vae(folder, vae_file), language, clip]
    _check_match(folder, components)
    shift = hunyuan_transformer.shift(transformer.config, path)
    extra: dict[str, Path | bytes] = {**hunyuan_text.tokenizers(folder)}
    extra["scheduler/scheduler_config.json"] = _as_json(_scheduler(shift))
    if pictures:
        own = hunyuan_text.preprocessor(folder, language_files[0])
        side = language.config["vision_config"].get("image_size", 336)
        extra["image_processor/preprocessor_config.json"] = own or _as_json(
            wan_vision.image_processor(side)
        )
    used = [head, vae_file, *language_files, clip_file, *maps]
    return Release(
        title=_title(transformer, shift, path),
        index=_index(pictures),
        components=components,
        files=extra,
        notes=left_out(files, used),
    )


def _transformer(folder: Path, head: WeightFile, maps: Sequence[WeightFile]) -> Component:
    path = folder / head.path
    tensors = hunyuan_transformer.tensors(hunyuan_transformer.scaled(head, maps, path))
    return Component(
        "transformer", hunyuan_transformer.config(tensors, path), tensors, STEM, folder
    )


def _vae(folder: Path, file: WeightFile) -> Component:
    path = (folder / file.path).parent / "config.json"
    own = read_json(path) if path.is_file() else {}
    # A folder of ComfyUI's may have another model's.
    own = own if "Causal3D" in str(own.get("_class_name")) else {}
    return Component("vae", hunyuan_vae.config(file.tensors, own), file.tensors, STEM, folder)


def _check_match(folder: Path, components: Sequence[Component]) -> None:
    """Raise :class:`WeightsError` where widths show components of different models."""
    configs = {component.name: component.config for component in components}
    transformer = configs["transformer"]
    language = configs["text_encoder"]
    width = language.get("text_config", language).get("hidden_size", 4096)
    widths = (configs["vae"]["latent_channels"], width, configs["text_encoder_2"]["hidden_size"])
    wanted = (transformer["text_embed_dim"], transformer["pooled_projection_dim"])
    if widths != (transformer["out_channels"], *wanted):
        raise WeightsError(
            f"The components in {folder} come from different models; download HunyuanVideo, "
            f"{hunyuan_text.LLAVA} and {hunyuan_text.CLIP} again."
        )


def _title(transformer: Component, shift: float, path: Path) -> str:
    config = transformer.config
    kind = config["image_condition_type"]
    task = f"picture to video ({kind})" if kind else "text to video"
    billions = sum(math.prod(tensor.shape) for tensor in transformer.tensors.values()) / 1e9
    told_by = hunyuan_transformer.told_by(config, path)
    title = f"HunyuanVideo, {task}, {billions:.1f} billion parameters, flow shift {shift:g}"
    return f"{title} ({told_by})" if told_by else title


def _index(pictures: bool) -> dict[str, Any]:
    """The model_index.json."""
    pipeline = "HunyuanVideoImageToVideoPipeline" if pictures else "HunyuanVideoPipeline"
    encoder = "LlavaForConditionalGeneration" if pictures else "LlamaModel"
    index = {
        "_class_name": pipeline,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", encoder],
        "text_encoder_2": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "transformer": ["diffusers", "HunyuanVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLHunyuanVideo"],
    }
    if pictures:
        index["image_processor"] = ["transformers", "CLIPImageProcessor"]
    return index


def _scheduler(shift: float) -> dict[str, Any]:
    return {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": 1000,
        "shift": shift,
        "use_dynamic_shifting": False,
    }


def _as_json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
