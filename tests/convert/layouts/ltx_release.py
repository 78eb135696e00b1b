"""Tiny single files of LTX-Video: Diffusers' tensors by the names that the release gives them.

The names are made by counting: the release numbers the blocks of each side of the VAE in the order
in which they run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.models.ltx import tiny
from tests.models.wan.tiny import tokenizer

# Of a tiny model that counts as one of the large releases: more than the small ones' 28 blocks.
LARGE = 29
# What stands in a level, in the order in which it runs.
DOWN = ("resnets", "downsamplers.0", "conv_out")
UP = ("conv_in", "upsamplers.0", "resnets")
SEGMENTS = {
    "proj_in": "patchify_proj",
    "time_embed": "adaln_single",
    "norm_q": "q_norm",
    "norm_k": "k_norm",
}


def original_transformer(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The transformer's tensors by the release's names."""
    renamed = {}
    for name, tensor in tensors.items():
        renamed[".".join(SEGMENTS.get(part, part) for part in name.split("."))] = tensor
    return renamed


def original_vae(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The VAE's tensors by the release's names, with the statistics that nothing reads."""
    down = _numbered(tensors, "encoder.down_blocks", DOWN)
    down.append(("encoder.mid_block", ("resnets",)))
    up = [("decoder.mid_block", ("resnets", "time_embedder"))]
    up += _numbered(tensors, "decoder.up_blocks", UP)
    renamed = {}
    for name, tensor in tensors.items():
        if name in ("latents_mean", "latents_std"):
            statistic = "mean-of-means" if name == "latents_mean" else "std-of-means"
            renamed[f"per_channel_statistics.{statistic}"] = tensor
            continue
        name = _by_number(name, "encoder.down_blocks", down)
        name = _by_number(name, "decoder.up_blocks", up)
        name = name.replace("resnets.", "res_blocks.")
        name = name.replace("conv_shortcut.conv.", "conv_shortcut.").replace(
            "norm3.", "norm3.norm."
        )
        for last in ("time_embedder", "scale_shift_table"):
            name = name.replace(f"decoder.{last}", f"decoder.last_{last}")
        renamed[name] = tensor
    for unread in ("channel", "mean-of-stds", "mean-of-stds_over_std-of-means"):
        renamed[f"per_channel_statistics.{unread}"] = torch.ones(3)
    return renamed


def _numbered(
    tensors: Iterable[str], prefix: str, order: tuple[str, ...]
) -> list[tuple[str, tuple[str, ...]]]:
    """The parts of all levels that are there, in the order in which they run."""
    names = list(tensors)
    parts: list[tuple[str, tuple[str, ...]]] = []
    for level in range(9):
        block = f"{prefix}.{level}"
        for inside in order:
            if any(name.startswith(f"{block}.{inside}.") for name in names):
                # A level's time is its residual blocks'.
                with_time = (inside, "time_embedder") if inside == "resnets" else (inside,)
                parts.append((block, with_time))
    return parts


def _by_number(name: str, side: str, blocks: list[tuple[str, tuple[str, ...]]]) -> str:
    for number, (block, inside) in enumerate(blocks):
        rest = name.removeprefix(f"{block}.")
        if rest != name and rest.startswith(inside):
            return f"{side}.{number}.{_without_place(rest)}"
    return name


def _without_place(rest: str) -> str:
    for place in ("downsamplers.0.", "upsamplers.0.", "conv_out.", "conv_in."):
        if rest.startswith(place):
            return rest.removeprefix(place)
    return rest


def single_file(
    transformer: Mapping[str, torch.Tensor], vae: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The content of a single file."""
    both = {f"model.diffusion_model.{n}": t for n, t in original_transformer(transformer).items()}
    both |= {f"vae.{name}": tensor for name, tensor in original_vae(vae).items()}
    return {name: tensor.contiguous() for name, tensor in both.items()}


def metadata(config: Mapping[str, object], times: list[float] | None = None) -> dict[str, str]:
    """What a release writes beside the tensors. config: of the transformer."""
    content = {"transformer": config, "vae": {}, "scheduler": {}}
    if times is not None:
        content["allowed_inference_steps"] = times
    return {"config": json.dumps(content)}


def write_t5(folder: Path) -> None:
    """T5 as PixArt's repository has it: two folders."""
    words = tokenizer()
    tiny.text_encoder(len(words)).save_pretrained(folder / "text_encoder")
    words.save_pretrained(folder / "tokenizer")


def save(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path, metadata)
