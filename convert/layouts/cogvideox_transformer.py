"""CogVideoX's transformer as released -> Diffusers' CogVideoXTransformer3DModel and its schedule.

Facts from sat/dit_video_concat.py and sat/configs of zai-org/CogVideo, and the config.json of its
releases for Diffusers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import WeightsError
from mlxvid.models.cogvideox.original import QUERIES_KEYS_VALUES, transformer_name
from mlxvid.weights.tensors import Stacked, Tensor

from ..release import WeightFile, block_count, shape_of

MARKS = frozenset(
    {
        "mixins.patch_embed.proj.weight",
        "mixins.adaln_layer.adaLN_modulations.0.1.weight",
        "mixins.adaln_layer.query_layernorm_list.0.weight",
        "mixins.final_layer.linear.weight",
        "time_embed.0.weight",
    }
)
# What stood before the blocks' names, and was taken off.
BLOCKS = "transformer"
# From this width on the releases have rotary positions, which leave no tensor; below it sines.
ROTARY_WIDTH = 3072
PATCH = 2  # positions on a side, and latent frames where a patch holds several
TEXT_TOKENS = 226
_MODULATION = re.compile(r"mixins\.adaln_layer\.adaLN_modulations\.(\d+)\.1\.(weight|bias)")
_MATRIX = re.compile(rf"(layers\.\d+\.{re.escape(QUERIES_KEYS_VALUES)})\.(weight|bias)")
_LORA = re.compile(r"\.matrix_[AB]\.\d+$")
# Sines and angles that are computed, and the tables of the library's own text models.
_UNUSED = re.compile(
    r"mixins\.pos_embed\.freqs_(?:sin|cos)|(?:word|position)_embeddings\.weight"
    r"|embed_tokens\.weight"
)
_POSITIONS = "patch_embed.pos_embedding"
_PROJECTION = "patch_embed.proj.weight"


def whole(files: Sequence[WeightFile], head: WeightFile) -> list[WeightFile]:
    """The parts into which the file of a transformer was taken: `head` and its blocks."""
    inside = (*head.inside, BLOCKS)
    blocks = [file for file in files if (file.path, file.inside) == (head.path, inside)]
    return [head, *blocks]


def tensors(parts: Sequence[WeightFile], path: Path) -> dict[str, Tensor]:
    """The tensors of :func:`whole` by Diffusers' names, with queries, keys and values apart.

    path: of their file. Raises :class:`WeightsError` where a LoRA is among them.
    """
    renamed: dict[str, Tensor] = {}
    for file in parts:
        for name, tensor in file.tensors.items():
            if _LORA.search(name):
                raise WeightsError(
                    f"{path} is a model beside a LoRA ({name}); convert the model that the LoRA "
                    "was trained from, and give this file as one of `loras`."
                )
            if not _UNUSED.fullmatch(name):
                renamed.update(_renamed(name, tensor))
    if _POSITIONS in renamed and not _takes_picture(renamed):
        del renamed[_POSITIONS]  # the sines of 2B, which are computed
    return renamed


def _renamed(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor of the release, which may become two or three."""
    matrix = _MATRIX.fullmatch(name)
    if matrix:
        parts = enumerate(tensor.split(3))
        return {transformer_name(f"{matrix[1]}.{i}.{matrix[2]}"): part for i, part in parts}
    modulation = _MODULATION.fullmatch(name)
    if modulation:
        # Shift, scale and gate of the video's attention and feed-forward, then of the text's:
        # Diffusers has those of attention in one matrix and those of feed-forward in another.
        block = f"transformer_blocks.{modulation[1]}"
        attention, forward, text_attention, text_forward = tensor.split(4)
        return {
            f"{block}.norm1.linear.{modulation[2]}": Stacked(attention, text_attention),
            f"{block}.norm2.linear.{modulation[2]}": Stacked(forward, text_forward),
        }
    # The number is that of LoRAs.
    name = re.sub(r"(?<=\.attention\.dense)(?=\.(?:weight|bias)$)", ".0", name)
    return {transformer_name(name): tensor}


def config(renamed: Mapping[str, Tensor]) -> dict[str, Any]:
    """Diffusers' config.json, from the shapes of :func:`tensors` and what the releases have."""
    width = shape_of(renamed, "patch_embed.proj.bias", 1)[0]
    head_dim = shape_of(renamed, "transformer_blocks.0.attn1.norm_q.weight", 1)[0]
    inputs, outputs = _channels(renamed)
    ofs = "ofs_embedding.linear_1.weight"
    in_time = _holds_frames(renamed)
    learned = _POSITIONS in renamed
    return {
        "_class_name": "CogVideoXTransformer3DModel",
        "num_attention_heads": width // head_dim,
        "attention_head_dim": head_dim,
        "in_channels": inputs,
        "out_channels": outputs,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "time_embed_dim": shape_of(renamed, "time_embedding.linear_1.weight", 2)[0],
        "ofs_embed_dim": shape_of(renamed, ofs, 2)[0] if ofs in renamed else None,
        "text_embed_dim": shape_of(renamed, "patch_embed.text_proj.weight", 2)[1],
        "num_layers": block_count(renamed, "transformer_blocks."),
        "dropout": 0.0,
        "attention_bias": True,
        "sample_width": 300 if in_time else 90,
        "sample_height": 300 if in_time else 60,
        "sample_frames": 81 if in_time else 49,
        "patch_size": PATCH,
        "patch_size_t": PATCH if in_time else None,
        "temporal_compression_ratio": 4,
        "max_text_seq_length": TEXT_TOKENS,
        "activation_fn": "gelu-approximate",
        "timestep_activation_fn": "silu",
        "norm_elementwise_affine": True,
        "norm_eps": 1e-5,
        "spatial_interpolation_scale": 1.875,
        "temporal_interpolation_scale": 1.0,
        "use_rotary_positional_embeddings": in_time or learned or width >= ROTARY_WIDTH,
        "use_learned_positional_embeddings": learned,
        "patch_bias": not in_time,
    }


def _holds_frames(renamed: Mapping[str, Tensor]) -> bool:
    """Whether a patch holds several frames, as in 1.5: it is a matrix and no convolution then."""
    projection = renamed.get(_PROJECTION)
    return projection is not None and len(projection.shape) == 2


def _channels(renamed: Mapping[str, Tensor]) -> tuple[int, int]:
    """Channels in and out."""
    rows = shape_of(renamed, "proj_out.weight", 2)[0]
    if _holds_frames(renamed):
        return shape_of(renamed, _PROJECTION, 2)[1] // PATCH**3, rows // PATCH**3
    return shape_of(renamed, _PROJECTION, 4)[1], rows // PATCH**2


def _takes_picture(renamed: Mapping[str, Tensor]) -> bool:
    """Whether a picture's latents are among the channels in."""
    inputs, outputs = _channels(renamed)
    return inputs == 2 * outputs


def has_sines(config: Mapping[str, Any]) -> bool:
    """Whether it is CogVideoX 2B, or a model after it: its positions are sines."""
    return not config["use_rotary_positional_embeddings"]


def scheduler_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduler of the release with a transformer of that config."""
    sines = has_sines(config)
    return {
        "_class_name": "CogVideoXDDIMScheduler" if sines else "CogVideoXDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "trained_betas": None,
        "clip_sample": False,
        "clip_sample_range": 1.0,
        "sample_max_value": 1.0,
        "set_alpha_to_one": True,
        "steps_offset": 0,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "snr_shift_scale": 3.0 if sines else 1.0,
        "timestep_spacing": "trailing",
    }
