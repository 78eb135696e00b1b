"""Tiny releases of HunyuanVideo: Diffusers' tensors by the original names, and by ComfyUI's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, LlamaConfig, LlamaModel

from tests.models.hunyuan import tiny
from tests.models.hunyuan.encoders import CLIP, LLAMA, llava
from tests.models.hunyuan.tokenizers_of import write_clip_tokenizer, write_llama_tokenizer
from tests.models.wan.tiny import randomised

# The kinds of tiny models, by the folder that the release has for each.
FOLDERS = {
    "text": "hunyuan-video-t2v-720p",
    "token replace": "hunyuan-video-i2v-720p",
    "latent concat": "hunyuan-video-v1",
}
TRANSFORMER_FILE = "transformers/mp_rank_00_model_states.pt"
FP8_FILE = "transformers/mp_rank_00_model_states_fp8.pt"
VAE_FILE = "vae/pytorch_model.pt"
FP8 = torch.float8_e4m3fn
# Released: what a module is called, after what it is of.
_MODULES = {
    "x_embedder.proj": "img_in.proj",
    "context_embedder.proj_in": "txt_in.input_embedder",
    "norm_out.linear": "final_layer.adaLN_modulation.1",
    "proj_out": "final_layer.linear",
}
for _ours, _theirs in (
    ("timestep_embedder", "time_in.mlp"),
    ("guidance_embedder", "guidance_in.mlp"),
):
    for _number in (1, 2):
        _MODULES[f"time_text_embed.{_ours}.linear_{_number}"] = f"{_theirs}.{2 * _number - 2}"
for _number, _layer in ((1, "in_layer"), (2, "out_layer")):
    _text = "context_embedder.time_text_embed"
    _MODULES[f"time_text_embed.text_embedder.linear_{_number}"] = f"vector_in.{_layer}"
    _MODULES[f"{_text}.text_embedder.linear_{_number}"] = f"txt_in.c_embedder.linear_{_number}"
    _place = f"txt_in.t_embedder.mlp.{2 * _number - 2}"
    _MODULES[f"{_text}.timestep_embedder.linear_{_number}"] = _place
_DUAL = {
    "norm1.linear": "img_mod.linear",
    "norm1_context.linear": "txt_mod.linear",
    "attn.norm_q": "img_attn_q_norm",
    "attn.norm_k": "img_attn_k_norm",
    "attn.norm_added_q": "txt_attn_q_norm",
    "attn.norm_added_k": "txt_attn_k_norm",
    "attn.to_out.0": "img_attn_proj",
    "attn.to_add_out": "txt_attn_proj",
    "ff.net.0.proj": "img_mlp.fc1",
    "ff.net.2": "img_mlp.fc2",
    "ff_context.net.0.proj": "txt_mlp.fc1",
    "ff_context.net.2": "txt_mlp.fc2",
}
_SINGLE = {
    "norm.linear": "modulation.linear",
    "attn.norm_q": "q_norm",
    "attn.norm_k": "k_norm",
    "proj_out": "linear2",
}
_REFINER = {
    "norm1": "norm1",
    "norm2": "norm2",
    "norm_out.linear": "adaLN_modulation.1",
    "attn.to_out.0": "self_attn_proj",
    "ff.net.0.proj": "mlp.fc1",
    "ff.net.2": "mlp.fc2",
}
_QKV = ["attn.to_q", "attn.to_k", "attn.to_v"]
# Blocks of each kind: Diffusers' place, the release's, its modules, and its joined matrices.
_BLOCKS = [
    (
        "transformer_blocks",
        "double_blocks",
        _DUAL,
        {
            "img_attn_qkv": _QKV,
            "txt_attn_qkv": ["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
        },
    ),
    ("single_transformer_blocks", "single_blocks", _SINGLE, {"linear1": [*_QKV, "proj_mlp"]}),
    (
        "context_embedder.token_refiner.refiner_blocks",
        "txt_in.individual_token_refiner.blocks",
        _REFINER,
        {"self_attn_qkv": _QKV},
    ),
]
# What ComfyUI makes of the released names, one after the other, when it saves them.
_COMFYUI = [
    (r"txt_in\.t_embedder\.mlp\.0\.", "txt_in.t_embedder.in_layer."),
    (r"txt_in\.t_embedder\.mlp\.2\.", "txt_in.t_embedder.out_layer."),
    (r"txt_in\.c_embedder\.linear_1\.", "txt_in.c_embedder.in_layer."),
    (r"txt_in\.c_embedder\.linear_2\.", "txt_in.c_embedder.out_layer."),
    (r"_mod\.linear\.", "_mod.lin."),
    (r"_attn_qkv\.", "_attn.qkv."),
    (r"mlp\.fc1\.", "mlp.0."),
    (r"mlp\.fc2\.", "mlp.2."),
    (r"_attn_q_norm\.weight", "_attn.norm.query_norm.scale"),
    (r"_attn_k_norm\.weight", "_attn.norm.key_norm.scale"),
    (r"\.q_norm\.weight", ".norm.query_norm.scale"),
    (r"\.k_norm\.weight", ".norm.key_norm.scale"),
    (r"_attn_proj\.", "_attn.proj."),
    (r"\.modulation\.linear\.", ".modulation.lin."),
    (r"_in\.mlp\.2\.", "_in.out_layer."),
    (r"_in\.mlp\.0\.", "_in.in_layer."),
]


def original_transformer(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A transformer's tensors by the names and in the matrices of the release."""
    made = {}
    for name, tensor in tensors.items():
        module, _, end = name.rpartition(".")
        if module in _MODULES:
            made[f"{_MODULES[module]}.{end}"] = tensor
    for ours, theirs, modules, joined in _BLOCKS:
        pattern = re.compile(rf"{re.escape(ours)}\.(\d+)\.(.+)\.(weight|bias)")
        for name, tensor in tensors.items():
            match = pattern.fullmatch(name)
            if match and match[2] in modules:
                made[f"{theirs}.{match[1]}.{modules[match[2]]}.{match[3]}"] = tensor
        count = len({m[1] for m in map(pattern.fullmatch, tensors) if m})
        for number in range(count):
            for layer, parts in joined.items():
                for end in ("weight", "bias"):
                    rows = [tensors[f"{ours}.{number}.{part}.{end}"] for part in parts]
                    made[f"{theirs}.{number}.{layer}.{end}"] = torch.cat(rows)
    for end in ("weight", "bias"):
        scale, shift = made[f"final_layer.adaLN_modulation.1.{end}"].chunk(2)
        made[f"final_layer.adaLN_modulation.1.{end}"] = torch.cat([shift, scale])
    return made


def comfyui_transformer(original: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A release's tensors by ComfyUI's names."""
    made = {}
    for name, tensor in original.items():
        for pattern, spelled in _COMFYUI:
            name = re.sub(pattern, spelled, name)
        made[name] = tensor
    return made


def quantized(
    original: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The blocks' matrices in FP8, and their scales by layer."""
    stored = dict(original)
    scales = {}
    for name, tensor in original.items():
        if re.match(r"(double|single)_blocks\.", name) and tensor.ndim == 2:
            scale = tensor.abs().max() / 448
            scales[name.removesuffix(".weight")] = scale
            stored[name] = (tensor / scale).to(FP8)
    return stored, scales


def text_encoders(kind: str) -> dict[str, nn.Module]:
    """LLaVA, or its Llama alone, and CLIP."""
    clip = randomised(CLIPTextModel(CLIPTextConfig(**CLIP)), 4)
    if kind == "text":
        return {
            "text_encoder": randomised(LlamaModel(LlamaConfig(**LLAMA)), 3),
            "text_encoder_2": clip,
        }
    return {"text_encoder": llava(), "text_encoder_2": clip}


def write_release(source: Path, kind: str) -> dict[str, nn.Module]:
    """Write a tiny release of that kind into `source`, and return what it was made of."""
    modules = {"transformer": tiny.transformer(kind), "vae": tiny.vae(), **text_encoders(kind)}
    folder = source / FOLDERS[kind]
    for name in ("transformers", "vae"):
        (folder / name).mkdir(parents=True)
    original = original_transformer(modules["transformer"].state_dict())
    torch.save({"module": original}, folder / TRANSFORMER_FILE)
    vae = {f"vae.{name}": tensor for name, tensor in modules["vae"].state_dict().items()}
    torch.save({"state_dict": vae}, folder / VAE_FILE)
    config = {"_class_name": "AutoencoderKLCausal3D", "norm_num_groups": 4}
    (folder / "vae" / "config.json").write_text(json.dumps(config))
    modules["text_encoder"].save_pretrained(source / "text_encoder")
    modules["text_encoder_2"].save_pretrained(source / "text_encoder_2")
    write_llama_tokenizer(source / "text_encoder")
    write_clip_tokenizer(source / "text_encoder_2")
    return modules


def without(source: Path, copy: Path, *names: str) -> Path:
    """A copy of a release that lacks these files or folders."""
    shutil.copytree(source, copy)
    for name in names:
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return copy
