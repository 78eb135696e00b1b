"""HunyuanVideo's text encoders, from folders of transformers' or ComfyUI's files.

The first is the Llama of xtuner's llava-llama-3-8b-v1_1 or, for models that start from a picture,
the whole LLaVA; the second is the text encoder of openai/clip-vit-large-patch14.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.json_files import read_json
from mlxvid.text.llama_config import LLAMA_3_8B
from mlxvid.text.llava_config import LLAVA_LLAMA_3_8B
from mlxvid.weights.tensors import Tensor

from ..release import Component, WeightFile, block_count, shape_of, single
from ..sources import files_in

LLAVA = "xtuner/llava-llama-3-8b-v1_1-transformers"
CLIP = "openai/clip-vit-large-patch14"
REMEDY = "put it into the folder with the others"
LANGUAGE = "language_model.model."
VISION = "vision_tower."
PROJECTOR = "multi_modal_projector."
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)
PREPROCESSOR = "preprocessor_config.json"
# No tensor tells the size of a head.
LLAMA_HEAD = 128
CLIP_HEAD = 64
# Of a LLaVA or a Llama, in all the ways in which their names begin.
_LANGUAGE = re.compile(r"(?:model\.)?(?:language_model\.)?(?:model\.)?(?=embed_tokens|layers|norm)")
_CLIP_TEXT = re.compile(r"(?:text_model\.)?(?=embeddings\.|encoder\.|final_layer_norm\.)")


def _is_llama(file: WeightFile) -> bool:
    names = {_LANGUAGE.sub("", name, count=1) for name in file.tensors}
    return {"embed_tokens.weight", "layers.0.self_attn.q_proj.weight"} <= names


def _sees(file: WeightFile) -> bool:
    """Whether a file has an image encoder and what brings its tokens to a Llama's width."""
    has_vision = any("vision" in name for name in file.tensors)
    return has_vision and f"{PROJECTOR}linear_1.weight" in file.tensors


def _is_clip_text(file: WeightFile) -> bool:
    names = {_CLIP_TEXT.sub("", name, count=1) for name in file.tensors}
    return {"embeddings.token_embedding.weight", "final_layer_norm.weight"} <= names


def _only(files: Sequence[WeightFile], what: str) -> WeightFile:
    """The only file of some; in one folder, safetensors come before PyTorch's of the same."""
    safe = {Path(file.path).parent for file in files if ".safetensors" in file.path}
    kept = []
    for file in files:
        if ".safetensors" in file.path or Path(file.path).parent not in safe:
            kept.append(file)
    return single(kept, what, REMEDY)


def language_encoder(
    folder: Path, files: Sequence[WeightFile], pictures: bool
) -> tuple[Component, list[WeightFile]]:
    """The first text encoder, and the files that it is in: with an image encoder or without."""
    language = _only(
        [file for file in files if _is_llama(file)],
        f"text encoder in {folder} ({LLAVA}, or ComfyUI's llava_llama3_*.safetensors)",
    )
    own = _own(folder, language)
    tensors = {}
    for name, tensor in language.tensors.items():
        match = _LANGUAGE.match(name)
        if match:
            tensors[name[match.end() :]] = tensor
    config = own.get("text_config", own) if own else _llama_config(tensors)
    config = {**config, "model_type": "llama", "architectures": ["LlamaModel"]}
    if not pictures:
        return Component("text_encoder", config, tensors, "model", folder), [language]
    seeing = language
    if not _sees(language):
        seeing = _only(
            [file for file in files if _sees(file)],
            f"image encoder in {folder} (the whole of {LLAVA}, or ComfyUI's "
            "llava_llama3_vision.safetensors)",
        )
    tensors = {LANGUAGE + name: tensor for name, tensor in tensors.items()}
    tensors |= _vision_tensors(seeing.tensors)
    if own.get("model_type") == "llava":
        config = own
    else:
        config = {
            "architectures": ["LlavaForConditionalGeneration"],
            "model_type": "llava",
            "text_config": config,
            "vision_config": _vision_config(tensors),
            "image_token_index": LLAVA_LLAMA_3_8B.image_token_index,
            "pad_token_id": config.get("pad_token_id"),
            "projector_hidden_act": "gelu",
            "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default",
        }
    used = [language] if seeing is language else [language, seeing]
    return Component("text_encoder", config, tensors, "model", folder), used


def _own(folder: Path, file: WeightFile) -> dict[str, Any]:
    """The config.json beside a file where it is of a Llama or a LLaVA; else empty.

    Raises :class:`WeightsError` for a LLaVA's without the objects that it is made of.
    """
    path = (folder / file.path).parent / "config.json"
    own = read_json(path) if path.is_file() else {}
    if own.get("model_type") == "llava":
        inner = (own.get("text_config"), own.get("vision_config"))
        if not all(isinstance(config, dict) for config in inner):
            raise WeightsError(
                f"{path} has no text_config or no vision_config; download {LLAVA} again."
            )
        return own
    return own if own.get("model_type") == "llama" else {}


def _llama_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of Llama 3 8B, with the sizes that the tensors have."""
    vocabulary, width = shape_of(tensors, "embed_tokens.weight", 2)
    layer = "layers.0"
    queries = shape_of(tensors, f"{layer}.self_attn.q_proj.weight", 2)[0]
    keys = shape_of(tensors, f"{layer}.self_attn.k_proj.weight", 2)[0]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shape_of(tensors, f"{layer}.mlp.gate_proj.weight", 2)[0],
        "num_hidden_layers": block_count(tensors, "layers."),
        "num_attention_heads": queries // LLAMA_HEAD,
        "num_key_value_heads": keys // LLAMA_HEAD,
        "head_dim": LLAMA_HEAD,
        "rms_norm_eps": LLAMA_3_8B.rms_norm_eps,
        "rope_theta": LLAMA_3_8B.rope_theta,
        "hidden_act": "silu",
        "max_position_embeddings": 8192,
        "bos_token_id": 128000,
        "eos_token_id": 128001,
        "pad_token_id": 128258,
    }


def _vision_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An image encoder and its projector by the names that they have in a LLaVA."""
    found = {}
    for name, tensor in tensors.items():
        name = name.removeprefix("model.")
        if name.startswith((VISION, PROJECTOR)):
            found[name] = tensor
        elif name.startswith("vision_model."):
            found[VISION + name] = tensor
    return {name: tensor for name, tensor in found.items() if not name.endswith("position_ids")}


def _vision_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of ViT-L/14-336, with the sizes that the tensors have."""
    start = f"{VISION}vision_model."
    width, _, patch, _ = shape_of(tensors, f"{start}embeddings.patch_embedding.weight", 4)
    positions = shape_of(tensors, f"{start}embeddings.position_embedding.weight", 2)[0]
    return {
        **dataclasses.asdict(LLAVA_LLAMA_3_8B.vision_config),
        "model_type": "clip_vision_model",
        "hidden_size": width,
        "intermediate_size": shape_of(tensors, f"{start}encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": block_count(tensors, f"{start}encoder.layers."),
        "num_attention_heads": width // CLIP_HEAD,
        "image_size": math.isqrt(positions - 1) * patch,
        "patch_size": patch,
    }


def clip_encoder(folder: Path, files: Sequence[WeightFile]) -> tuple[Component, WeightFile]:
    """The second text encoder, and its file."""
    file = _only(
        [file for file in files if _is_clip_text(file)],
        f"CLIP text encoder in {folder} ({CLIP}, or ComfyUI's clip_l.safetensors)",
    )
    tensors = {}
    for name, tensor in file.tensors.items():
        match = _CLIP_TEXT.match(name)
        if match and not name.endswith("position_ids"):
            tensors[f"text_model.{name[match.end() :]}"] = tensor
    path = (folder / file.path).parent / "config.json"
    own = read_json(path) if path.is_file() else {}
    if own.get("model_type") != "clip_text_model":
        own = _clip_config(tensors)
    return Component("text_encoder_2", own, tensors, "model", folder), file


def _clip_config(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of CLIP-L's text encoder, with the sizes that the tensors have."""
    start = "text_model."
    vocabulary, width = shape_of(tensors, f"{start}embeddings.token_embedding.weight", 2)
    places = shape_of(tensors, f"{start}embeddings.position_embedding.weight", 2)[0]
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shape_of(tensors, f"{start}encoder.layers.0.mlp.fc1.weight", 2)[0],
        "num_hidden_layers": block_count(tensors, f"{start}encoder.layers."),
        "num_attention_heads": width // CLIP_HEAD,
        "max_position_embeddings": places,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-05,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
        "projection_dim": width,
    }


def tokenizers(folder: Path) -> dict[str, Path]:
    """Both tokenizers' files anywhere in `folder`, by their path in the new model's folder.

    They are told by their special tokens. Raises :class:`WeightsError` where one is missing.
    """
    found: dict[str, Path] = {}
    for path in files_in(folder):
        if path.name not in ("tokenizer.json", "vocab.json"):
            continue
        content = path.read_bytes()
        if b"<|start_header_id|>" in content:
            found.setdefault("tokenizer", path.parent)
        elif b"<|startoftext|>" in content:
            found.setdefault("tokenizer_2", path.parent)
    for name, source in (("tokenizer", LLAVA), ("tokenizer_2", CLIP)):
        if name not in found:
            raise WeightsError(f"There is no tokenizer of {source} in {folder}; {REMEDY}.")
    files = {}
    for name, place in found.items():
        for file in TOKENIZER_FILES:
            if (place / file).is_file():
                files[f"{name}/{file}"] = place / file
    return files


def preprocessor(folder: Path, file: WeightFile) -> Path | None:
    """The preprocessor_config.json beside a LLaVA."""
    path = (folder / file.path).parent / PREPROCESSOR
    return path if path.is_file() else None
