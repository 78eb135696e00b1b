"""Tensor names of HunyuanVideo's transformer: Diffusers', the original release's, and ComfyUI's.

Sources: hyvideo/modules of Tencent's HunyuanVideo, comfy/supported_models.py of
comfyanonymous/ComfyUI, and Diffusers' HunyuanVideoTransformer3DModel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import mlx.core as mx

from mlxvid.errors import WeightsError
from mlxvid.weights.lora_keys import split
from mlxvid.weights.renaming import inverse, renamed

# Diffusers' names, the original ones, and ComfyUI's where these are others.
_MODEL = (
    ("x_embedder", "img_in"),
    ("time_text_embed.timestep_embedder.linear_1", "time_in.mlp.0", "time_in.in_layer"),
    ("time_text_embed.timestep_embedder.linear_2", "time_in.mlp.2", "time_in.out_layer"),
    ("time_text_embed.guidance_embedder.linear_1", "guidance_in.mlp.0", "guidance_in.in_layer"),
    ("time_text_embed.guidance_embedder.linear_2", "guidance_in.mlp.2", "guidance_in.out_layer"),
    ("time_text_embed.text_embedder.linear_1", "vector_in.in_layer"),
    ("time_text_embed.text_embedder.linear_2", "vector_in.out_layer"),
    ("context_embedder.proj_in", "txt_in.input_embedder"),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_1",
        "txt_in.t_embedder.mlp.0",
        "txt_in.t_embedder.in_layer",
    ),
    (
        "context_embedder.time_text_embed.timestep_embedder.linear_2",
        "txt_in.t_embedder.mlp.2",
        "txt_in.t_embedder.out_layer",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_1",
        "txt_in.c_embedder.linear_1",
        "txt_in.c_embedder.in_layer",
    ),
    (
        "context_embedder.time_text_embed.text_embedder.linear_2",
        "txt_in.c_embedder.linear_2",
        "txt_in.c_embedder.out_layer",
    ),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)
# What is one matrix in both is given names of its parts: see FUSED_LAYERS.
_DUAL = (
    ("norm1.linear", "img_mod.linear", "img_mod.lin"),
    ("norm1_context.linear", "txt_mod.linear", "txt_mod.lin"),
    ("attn.to_q", "img_attn_q", "img_attn.q"),
    ("attn.to_k", "img_attn_k", "img_attn.k"),
    ("attn.to_v", "img_attn_v", "img_attn.v"),
    ("attn.norm_q", "img_attn_q_norm", "img_attn.norm.query_norm"),
    ("attn.norm_k", "img_attn_k_norm", "img_attn.norm.key_norm"),
    ("attn.to_out.0", "img_attn_proj", "img_attn.proj"),
    ("attn.add_q_proj", "txt_attn_q", "txt_attn.q"),
    ("attn.add_k_proj", "txt_attn_k", "txt_attn.k"),
    ("attn.add_v_proj", "txt_attn_v", "txt_attn.v"),
    ("attn.norm_added_q", "txt_attn_q_norm", "txt_attn.norm.query_norm"),
    ("attn.norm_added_k", "txt_attn_k_norm", "txt_attn.norm.key_norm"),
    ("attn.to_add_out", "txt_attn_proj", "txt_attn.proj"),
    ("ff.net.0.proj", "img_mlp.fc1", "img_mlp.0"),
    ("ff.net.2", "img_mlp.fc2", "img_mlp.2"),
    ("ff_context.net.0.proj", "txt_mlp.fc1", "txt_mlp.0"),
    ("ff_context.net.2", "txt_mlp.fc2", "txt_mlp.2"),
)
_SINGLE = (
    ("norm.linear", "modulation.linear", "modulation.lin"),
    ("attn.to_q", "linear1_q"),
    ("attn.to_k", "linear1_k"),
    ("attn.to_v", "linear1_v"),
    ("proj_mlp", "linear1_mlp"),
    ("attn.norm_q", "q_norm", "norm.query_norm"),
    ("attn.norm_k", "k_norm", "norm.key_norm"),
    ("proj_out", "linear2"),
)
_REFINER = (
    ("norm_out.linear", "adaLN_modulation.1"),
    ("attn.to_q", "self_attn_q", "self_attn.q"),
    ("attn.to_k", "self_attn_k", "self_attn.k"),
    ("attn.to_v", "self_attn_v", "self_attn.v"),
    ("attn.to_out.0", "self_attn_proj", "self_attn.proj"),
    ("ff.net.0.proj", "mlp.fc1", "mlp.0"),
    ("ff.net.2", "mlp.fc2", "mlp.2"),
)
_BLOCKS = (
    ("transformer_blocks", "double_blocks", _DUAL),
    ("single_transformer_blocks", "single_blocks", _SINGLE),
    (
        "context_embedder.token_refiner.refiner_blocks",
        "txt_in.individual_token_refiner.blocks",
        _REFINER,
    ),
)
_BLOCK = re.compile(r"(.+?)\.(\d+)\.(.+)")
LINEAR1 = ("linear1_q", "linear1_k", "linear1_v", "linear1_mlp")

# Layers that the releases, or some trainers, have in one, and what they are made of.
FUSED_LAYERS = {
    "to_qkv": ("to_q", "to_k", "to_v"),
    "to_added_qkv": ("add_q_proj", "add_k_proj", "add_v_proj"),
    "img_attn_qkv": ("img_attn_q", "img_attn_k", "img_attn_v"),
    "txt_attn_qkv": ("txt_attn_q", "txt_attn_k", "txt_attn_v"),
    "self_attn_qkv": ("self_attn_q", "self_attn_k", "self_attn_v"),
    "qkv": ("q", "k", "v"),
    "linear1": LINEAR1,
}
# The layer whose halves are the other way round in both releases: shift, then scale.
SHIFT_FIRST = "final_layer.adaLN_modulation.1"
_SHIFT_FIRST = re.compile(r"final_layer[._]adaLN_modulation[._]1(?=\.)")
# What Tencent's own trainer puts before the names.
_BEFORE = "Hunyuan_video_I2V_lora_"
_OF_ROWS = frozenset({"up", "up_b", "diff", "diff_b", "hada_w1_a", "hada_w2_a"})


def _table(rows: tuple[tuple[str, ...], ...], release: int) -> dict[str, str]:
    """From Diffusers' names to those of a release: 1 the original, -1 ComfyUI's."""
    return {row[0]: row[release] for row in rows}


def original_name(name: str) -> str:
    """The original release's name for a layer of Diffusers', those in one matrix by their parts.

    >>> original_name("single_transformer_blocks.7.proj_out")
    'single_blocks.7.linear2'
    """
    return _released(name, 1)


def repackaged_name(name: str) -> str:
    """ComfyUI's name for a layer of Diffusers', as :func:`original_name` has it."""
    return _released(name, -1)


def _released(name: str, release: int) -> str:
    match = _BLOCK.fullmatch(name)
    if match:
        for ours, theirs, rows in _BLOCKS:
            if match[1] == ours:
                return f"{theirs}.{match[2]}.{renamed(match[3], _table(rows, release))}"
    return renamed(name, _table(_MODEL, release))


def transformer_name(name: str) -> str:
    """Diffusers' name for a layer or tensor of either release, those in one matrix excepted.

    >>> transformer_name("double_blocks.0.img_attn.norm.query_norm.scale")
    'transformer_blocks.0.attn.norm_q.weight'
    """
    name = re.sub(r"(?<=_norm)\.scale$", ".weight", name)
    match = _BLOCK.fullmatch(name)
    if match:
        for ours, theirs, rows in _BLOCKS:
            if match[1] == theirs:
                return f"{ours}.{match[2]}.{renamed(match[3], _to_diffusers(rows))}"
    return renamed(name, _to_diffusers(_MODEL))


def _to_diffusers(rows: tuple[tuple[str, ...], ...]) -> dict[str, str]:
    return inverse(_table(rows, 1)) | inverse(_table(rows, -1))


def lora_tensors(tensors: Mapping[str, mx.array], source: str) -> dict[str, mx.array]:
    """A LoRA's tensors without Tencent's prefix, and with the final layer's halves as Diffusers
    has them: scale, then shift.

    Raises :class:`WeightsError` where these are in factors that can't be swapped.
    """
    made = {}
    for key, array in tensors.items():
        part = split(key)[1]
        if _SHIFT_FIRST.search(key):
            if part.startswith("lokr_") or part == "magnitude":
                raise WeightsError(
                    f"{key} in {source} changes the final modulation in a form that can't be put "
                    "into this model's order; use a LoRA that leaves it alone."
                )
            if part in _OF_ROWS and array.shape[0] % 2 == 0:
                shift, scale = mx.split(array, 2)
                array = mx.concatenate([scale, shift])
        made[key.removeprefix(_BEFORE)] = array
    return made
