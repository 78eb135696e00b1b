"""HunyuanVideo's transformer as released or repackaged -> Diffusers' class of it.

Facts from hyvideo/modules of Tencent's HunyuanVideo, its hyvideo/modules/fp8_optimization.py, and
the config.json of hunyuanvideo-community's releases.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from mlxvid.errors import WeightsError
from mlxvid.models.hunyuan.config import LATENT_CONCAT, TOKEN_REPLACE
from mlxvid.models.hunyuan.original import FUSED_LAYERS, LINEAR1, SHIFT_FIRST, transformer_name
from mlxvid.weights.fp8 import FP8
from mlxvid.weights.tensors import Stacked, Tensor

from ..release import WeightFile, block_count, shape_of

# The same in both spellings.
MARKS = frozenset(
    {
        "img_in.proj.weight",
        "txt_in.individual_token_refiner.blocks.0.norm1.weight",
        "single_blocks.0.linear1.weight",
        "final_layer.adaLN_modulation.1.weight",
    }
)
_FUSED = re.compile(r"(.+\.\d+)\.((?:img|txt|self)_attn)[_.]qkv\.(weight|bias)")
_LINEAR1 = re.compile(r"(single_blocks\.\d+)\.linear1\.(weight|bias)")
_PICTURE = re.compile(r"i2v|image[_-]?to[_-]?video|img2vid", re.IGNORECASE)
# The model that was distilled to six steps, by its schedule's shift.
_FAST = re.compile(r"fast", re.IGNORECASE)
SHIFT = 7.0
FAST_SHIFT = 17.0


def whole(files: Sequence[WeightFile]) -> list[WeightFile]:
    """The files with the transformer; of one in FP8 beside one that is not, the latter alone."""
    found = [file for file in files if file.tensors.keys() >= MARKS]
    precise = [file for file in found if not _is_fp8(file)]
    return precise or found


def _is_fp8(file: WeightFile) -> bool:
    return any(tensor.dtype in FP8 for tensor in file.tensors.values())


def scale_maps(files: Iterable[WeightFile]) -> list[WeightFile]:
    """The files with one number a layer, as Tencent keeps the scales of its FP8 weights."""
    found = []
    for file in files:
        sizes = {tensor.values.size for tensor in file.tensors.values()}
        if sizes == {1} and any(name.startswith("double_blocks.") for name in file.tensors):
            found.append(file)
    return found


def scaled(file: WeightFile, maps: Sequence[WeightFile], path: Path) -> dict[str, Tensor]:
    """A transformer's tensors, those in FP8 with their scale.

    Files repackaged in FP8 have no scales or have them inside; Tencent's, which is PyTorch's, is
    nothing without them: raises :class:`WeightsError` where they are missing.
    """
    tensors = dict(file.tensors)
    scales: dict[str, Tensor] = {}
    for other in maps:
        for name, scale in other.tensors.items():
            scales[name.removesuffix(".weight")] = scale
    for name, tensor in file.tensors.items():
        if tensor.dtype not in FP8 or tensor.scale is not None:
            continue
        own = scales.get(name.removesuffix(".weight"))
        if own is not None:
            value = np.array(own.read().astype(mx.float32)).reshape(())
            tensors[name] = dataclasses.replace(tensor, scale=value)
        elif path.suffix != ".safetensors":
            raise WeightsError(
                f"{path} is in FP8 and there is no scale of {name}; put "
                f"{path.stem}_map.pt beside it, or use the model in 16 bits."
            )
    return tensors


def tensors(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by Diffusers' names, matrices of several layers apart."""
    width = shape_of(original, "img_in.proj.weight", 5)[0]
    renamed: dict[str, Tensor] = {}
    for name, tensor in original.items():
        fused = _FUSED.fullmatch(name)
        linear1 = _LINEAR1.fullmatch(name)
        if fused:
            block, layer, end = fused.groups()
            for part, rows in zip(FUSED_LAYERS[f"{layer}_qkv"], tensor.split(3), strict=True):
                renamed[transformer_name(f"{block}.{part}.{end}")] = rows
        elif linear1:
            block, end = linear1.groups()
            for number, part in enumerate(LINEAR1):
                stop = None if part is LINEAR1[-1] else (number + 1) * width
                rows = tensor.rows(number * width, stop)
                renamed[transformer_name(f"{block}.{part}.{end}")] = rows
        elif name.startswith(SHIFT_FIRST):
            shift, scale = tensor.split(2)
            renamed[transformer_name(name)] = Stacked(scale, shift)
        else:
            renamed[transformer_name(name)] = tensor
    return renamed


def config(renamed: Mapping[str, Tensor], path: Path) -> dict[str, Any]:
    """Diffusers' config.json, from the shapes of :func:`tensors` and what the releases have.

    path: of the file. A model that replaces the tokens of a picture has the tensors of one for
    text: the file's or a folder's name tells it. Raises :class:`WeightsError` for a model of other
    channels.
    """
    width, inputs, patch_t, patch, _ = shape_of(renamed, "x_embedder.proj.weight", 5)
    head_dim = shape_of(renamed, "transformer_blocks.0.attn.norm_q.weight", 1)[0]
    inner = shape_of(renamed, "transformer_blocks.0.ff.net.0.proj.weight", 2)[0]
    outputs = shape_of(renamed, "proj_out.weight", 2)[0] // (patch_t * patch**2)
    if inputs not in (outputs, 2 * outputs + 1):
        raise WeightsError(
            f"{path} has the transformer of a model after HunyuanVideo that reads {inputs} "
            "channels, which mlxvid can't run; use a release of HunyuanVideo itself."
        )
    embedder = "time_text_embed"
    pooled = shape_of(renamed, f"{embedder}.text_embedder.linear_1.weight", 2)[1]
    return {
        "_class_name": "HunyuanVideoTransformer3DModel",
        "in_channels": inputs,
        "out_channels": outputs,
        "num_attention_heads": width // head_dim,
        "attention_head_dim": head_dim,
        "num_layers": block_count(renamed, "transformer_blocks."),
        "num_single_layers": block_count(renamed, "single_transformer_blocks."),
        "num_refiner_layers": block_count(
            renamed, "context_embedder.token_refiner.refiner_blocks."
        ),
        "mlp_ratio": inner / width,
        "patch_size": patch,
        "patch_size_t": patch_t,
        "qk_norm": "rms_norm",
        "guidance_embeds": f"{embedder}.guidance_embedder.linear_1.weight" in renamed,
        "text_embed_dim": shape_of(renamed, "context_embedder.proj_in.weight", 2)[1],
        "pooled_projection_dim": pooled,
        "rope_theta": 256.0,
        # An eighth of a head for time, the rest in halves for height and width.
        "rope_axes_dim": [head_dim // 8, head_dim * 7 // 16, head_dim * 7 // 16],
        "image_condition_type": _condition(inputs > outputs, path),
    }


def _condition(concatenates: bool, path: Path) -> str | None:
    if concatenates:
        return LATENT_CONCAT
    return TOKEN_REPLACE if _name(path, _PICTURE) else None


def told_by(config: Mapping[str, Any], path: Path) -> str:
    """What tells which of the models with the same tensors it is, for a note."""
    name = _name(path, _PICTURE)
    if config["image_condition_type"] == LATENT_CONCAT:
        return ""
    return f"by the name {name}" if name else "since no name says that it starts from a picture"


def shift(config: Mapping[str, Any], path: Path) -> float:
    """The schedule's shift, which tells the distilled model, known by a name."""
    is_fast = config["image_condition_type"] is None and _name(path, _FAST)
    return FAST_SHIFT if is_fast else SHIFT


def _name(path: Path, pattern: re.Pattern[str]) -> str | None:
    """The name of the file, or of one of the two folders around it, in which something stands."""
    for name in (path.name, *(parent.name for parent in path.resolve().parents[:2])):
        if pattern.search(name):
            return name
    return None
