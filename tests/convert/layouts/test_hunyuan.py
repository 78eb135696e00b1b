"""HunyuanVideo as Tencent released it: converted without PyTorch, tensor for tensor."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import torch
from diffusers import HunyuanVideoTransformer3DModel
from safetensors.torch import save_file
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from mlxvid.convert import convert
from mlxvid.convert.layouts import hunyuan_transformer as layout
from mlxvid.errors import WeightsError
from mlxvid.models import card_of
from mlxvid.weights import loading
from mlxvid.weights.tensors import Tensor
from tests.models.hunyuan.encoders import CLIP, LLAMA, VISION
from tests.models.hunyuan.tokenizers_of import write_clip_tokenizer, write_llama_tokenizer
from tests.models.wan.tiny import randomised

from ..contents import assert_states, bytes_in
from . import hunyuan_release as tiny
from .test_wan import BLOCKED
from .torch_tensors import assert_same, tensors_in

CONDITIONS = {"text": None, "token replace": "token_replace", "latent concat": "latent_concat"}
LANGUAGE = "language_model.model."


def expected(name: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """A component's tensors as they are to be written."""
    tensors = dict(module.state_dict())
    if name == "text_encoder_2":
        return {f"text_model.{key}": tensor for key, tensor in tensors.items()}
    if name == "text_encoder" and "lm_head.weight" in tensors:
        made = {}
        for key, tensor in tensors.items():
            key = key.removeprefix("model.").replace("language_model.", LANGUAGE)
            made[key] = tensor
        del made["lm_head.weight"]
        return made
    return tensors


@pytest.mark.parametrize("kind", tiny.FOLDERS)
def test_every_tensor_is_the_same(kind, hunyuan):
    _, modules, out = hunyuan[kind]
    for name, module in modules.items():
        assert_same(tensors_in(out / name), expected(name, module))


@pytest.mark.parametrize("kind", tiny.FOLDERS)
def test_the_configs_are_those_that_it_was_made_of(kind, hunyuan):
    _, modules, out = hunyuan[kind]
    written = json.loads((out / "transformer" / "config.json").read_text())
    for key, value in modules["transformer"].config.items():
        if not key.startswith("_") and key != "rope_axes_dim":  # which follow from a head of 128
            assert written[key] == value, key
    assert written["image_condition_type"] == CONDITIONS[kind]
    vae = json.loads((out / "vae" / "config.json").read_text())
    theirs = modules["vae"].config
    assert vae["block_out_channels"] == list(theirs.block_out_channels)
    for key in ("layers_per_block", "latent_channels", "norm_num_groups", "scaling_factor"):
        assert vae[key] == theirs[key], key
    scheduler = json.loads((out / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["shift"] == 7.0


@pytest.mark.parametrize("kind", tiny.FOLDERS)
def test_mlxvid_loads_every_component(kind, hunyuan):
    out = hunyuan[kind].out
    card = card_of(out)
    assert card.needs == (set() if kind == "text" else {"image"})
    components = loading.Components(card)
    for name, part in card.family.parts.items():
        mx.eval(components.network(name, part).parameters())
    for file in ("tokenizer/tokenizer.json", "tokenizer_2/tokenizer.json"):
        assert (out / file).is_file()
    assert (out / "image_processor").is_dir() == (kind != "text")


@pytest.mark.parametrize("kind", ["text", "latent concat"])
def test_quantized_while_it_is_converted(kind, hunyuan, tmp_path):
    out = convert(hunyuan[kind].source, tmp_path / "out", "float32", quantize=4)
    blocks = tensors_in(out / "transformer")
    assert "single_transformer_blocks.0.proj_mlp.scales" in blocks
    card = card_of(out)
    network = loading.Components(card).network("transformer", card.family.parts["transformer"])
    assert "scales" in network.single_transformer_blocks[0].proj_mlp


def test_torch_is_not_needed(hunyuan, tmp_path):
    out = tmp_path / "out"
    arguments = [str(hunyuan["token replace"].source), "--out", str(out), "--dtype", "float32"]
    command = [sys.executable, "-c", BLOCKED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
    assert bytes_in(out) == bytes_in(hunyuan["token replace"].out)


# --- FP8 -----------------------------------------------------------------------------------------


def in_fp8(source: Path, copy: Path, scales: bool = True) -> Path:
    """A text release with its transformer in FP8, as Tencent has it."""
    shutil.copytree(source, copy)
    folder = copy / tiny.FOLDERS["text"]
    original = torch.load(folder / tiny.TRANSFORMER_FILE)["module"]
    stored, numbers = tiny.quantized(original)
    torch.save({"module": stored}, folder / tiny.FP8_FILE)
    if scales:
        torch.save(numbers, folder / tiny.FP8_FILE.replace(".pt", "_map.pt"))
    (folder / tiny.TRANSFORMER_FILE).unlink()
    return copy


def test_fp8_is_multiplied_by_its_scales(hunyuan, tmp_path):
    source, modules, _ = hunyuan["text"]
    out = convert(in_fp8(source, tmp_path / "source"), tmp_path / "out", "float32")
    original = tiny.original_transformer(modules["transformer"].state_dict())
    stored, scales = tiny.quantized(original)
    for name, tensor in stored.items():
        if tensor.dtype == tiny.FP8:
            original[name] = tensor.float() * scales[name.removesuffix(".weight")]
    assert_same(tiny.original_transformer(tensors_in(out / "transformer")), original)


def test_fp8_without_its_scales_is_refused(hunyuan, tmp_path):
    source = in_fp8(hunyuan["text"].source, tmp_path / "source", scales=False)
    with pytest.raises(WeightsError) as caught:
        convert(source, tmp_path / "out")
    assert_states(caught.value, "_fp8_map.pt", "FP8")


def test_of_a_model_in_16_bits_beside_fp8_the_former_is_taken(hunyuan, tmp_path, caplog):
    source, _, out = hunyuan["text"]
    copy = in_fp8(source, tmp_path / "source")
    kept = f"{tiny.FOLDERS['text']}/{tiny.TRANSFORMER_FILE}"
    shutil.copy(source / kept, copy / kept)
    caplog.set_level("INFO", "mlxvid")
    made = convert(copy, tmp_path / "out", "float32")
    assert_same(tensors_in(made / "transformer"), tensors_in(out / "transformer"))
    assert any("Left out" in note and "_fp8.pt" in note for note in caplog.messages)


# --- ComfyUI -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", tiny.FOLDERS)
def test_files_repackaged_for_comfyui(kind, hunyuan, tmp_path):
    source, modules, out = hunyuan[kind]
    folder = tmp_path / "comfy"
    for name in ("diffusion_models", "text_encoders", "vae", "clip_vision"):
        (folder / name).mkdir(parents=True)
    original = tiny.original_transformer(modules["transformer"].state_dict())
    stored = {f"model.model.{n}": t for n, t in tiny.comfyui_transformer(original).items()}
    name = "image_to_video" if kind == "token replace" else "t2v"
    save_file(stored, folder / "diffusion_models" / f"hunyuan_video_{name}_720p_bf16.safetensors")
    vae = dict(modules["vae"].state_dict())
    save_file(vae, folder / "vae" / "hunyuan_video_vae_bf16.safetensors")
    (folder / "vae" / "config.json").write_bytes(
        (source / tiny.FOLDERS[kind] / "vae" / "config.json").read_bytes()
    )
    for name in ("text_encoder", "text_encoder_2"):
        shutil.copytree(source / name, folder / "text_encoders" / name)
    made = convert(folder, tmp_path / "out", "float32")
    for name in modules:
        assert_same(tensors_in(made / name), tensors_in(out / name))
    assert card_of(made).needs == card_of(out).needs


def test_a_llava_is_read_for_its_llama_where_there_are_no_pictures(hunyuan, tmp_path):
    source = tiny.without(hunyuan["text"].source, tmp_path / "source", "text_encoder")
    llava = hunyuan["token replace"]
    shutil.copytree(llava.source / "text_encoder", source / "text_encoder")
    made = tensors_in(convert(source, tmp_path / "out", "float32") / "text_encoder")
    theirs = expected("text_encoder", llava.modules["text_encoder"])
    language = {n.removeprefix(LANGUAGE): t for n, t in theirs.items() if n.startswith(LANGUAGE)}
    assert_same(made, language)


def test_text_encoders_of_comfyui(hunyuan, tmp_path):
    """Single files without configs: FP8 with scales, and the image encoder in one of its own."""
    llama = dict(LLAMA, head_dim=128, num_attention_heads=2, num_key_value_heads=1)
    vision = dict(VISION, hidden_size=64, num_attention_heads=1)
    modules = {
        "language": LlavaForConditionalGeneration(
            LlavaConfig(
                text_config=LlamaConfig(**llama),
                vision_config=CLIPVisionConfig(**vision),
                image_token_index=5,
            )
        ),
        "clip": CLIPTextModel(
            CLIPTextConfig(**{**CLIP, "hidden_size": 64, "num_attention_heads": 1})
        ),
    }
    source = tiny.without(
        hunyuan["token replace"].source, tmp_path / "source", "text_encoder", "text_encoder_2"
    )
    config = dict(hunyuan["token replace"].modules["transformer"].config)
    transformer = HunyuanVideoTransformer3DModel.from_config(
        {**config, "pooled_projection_dim": 64}
    )
    original = tiny.original_transformer(randomised(transformer, 1).state_dict())
    path = source / tiny.FOLDERS["token replace"] / tiny.TRANSFORMER_FILE
    torch.save({"module": original}, path)
    language = {}
    seeing = {"vision_model.embeddings.position_ids": torch.arange(577)}
    for name, tensor in randomised(modules["language"], 2).state_dict().items():
        name = name.removeprefix("model.")
        if name.startswith("language_model."):
            language[f"model.{name.removeprefix('language_model.')}"] = tensor
        elif name.startswith("vision_tower."):
            seeing[f"vision_model.{name.removeprefix('vision_tower.')}"] = tensor
        elif name.startswith("multi_modal_projector."):
            seeing[name] = tensor
    whole = dict(language)
    layer = "model.layers.0.self_attn.q_proj"
    scale = torch.tensor(0.5)
    language[f"{layer}.weight"] = (whole[f"{layer}.weight"] / scale).to(tiny.FP8)
    language[f"{layer}.scale_weight"] = scale
    language["scaled_fp8"] = torch.empty(2).to(tiny.FP8)
    save_file(language, source / "llava_llama3_fp8_scaled.safetensors")
    save_file(seeing, source / "llava_llama3_vision.safetensors")
    clip = randomised(modules["clip"], 3).state_dict()
    stored = {f"text_model.{name}": tensor for name, tensor in clip.items()}
    save_file(stored, source / "clip_l.safetensors")
    for write, name in ((write_llama_tokenizer, "llama3"), (write_clip_tokenizer, "clip")):
        write(source / name)

    out = convert(source, tmp_path / "out", "float32")
    card = card_of(out)
    components = loading.Components(card)
    for name, part in card.family.parts.items():
        mx.eval(components.network(name, part).parameters())
    made = tensors_in(out / "text_encoder")
    loaded = json.loads((out / "text_encoder" / "config.json").read_text())
    text = loaded["text_config"]
    assert (text["num_attention_heads"], text["num_key_value_heads"]) == (2, 1)
    assert (text["rope_theta"], text["rms_norm_eps"]) == (500000.0, 1e-5)
    assert loaded["image_token_index"] == 128257
    assert loaded["vision_config"]["image_size"] == VISION["image_size"]
    kept = f"{LANGUAGE}layers.0.self_attn.q_proj.weight"
    assert torch.equal(made[kept], language[f"{layer}.weight"].float() * scale)
    for name, tensor in whole.items():
        name = LANGUAGE + name.removeprefix("model.")
        assert name == kept or torch.equal(made[name], tensor)
    assert_same(tensors_in(out / "text_encoder_2"), stored)
    side = json.loads((out / "image_processor" / "preprocessor_config.json").read_text())
    assert side["size"] == {"shortest_edge": VISION["image_size"]}


# --- the released sizes --------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["text_config", "vision_config"])
@pytest.mark.parametrize("value", [None, 5, []])
def test_a_llava_s_damaged_config_is_refused(inner, value, hunyuan, tmp_path):
    source = shutil.copytree(hunyuan["token replace"].source, tmp_path / "source")
    path = source / "text_encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), inner: value}))
    with pytest.raises(WeightsError) as caught:
        convert(source, tmp_path / "out")
    assert_states(caught.value, inner, str(path))


@pytest.mark.parametrize("comfyui", [False, True])
def test_the_released_sizes(comfyui, tmp_path):
    """Every name and shape of the reference at its size, there and back."""
    with torch.device("meta"):
        theirs = HunyuanVideoTransformer3DModel()
    original = tiny.original_transformer(theirs.state_dict())
    if comfyui:
        original = tiny.comfyui_transformer(original)
    blank = {
        name: Tensor(np.broadcast_to(np.uint16(0), tuple(t.shape)), "bfloat16", name)
        for name, t in original.items()
    }
    made = layout.tensors(blank)
    assert {n: tuple(t.shape) for n, t in made.items()} == {
        n: tuple(t.shape) for n, t in theirs.state_dict().items()
    }
    config = layout.config(made, tmp_path / "a.pt")
    for key, value in theirs.config.items():
        if not key.startswith("_"):
            assert config[key] == (list(value) if isinstance(value, tuple) else value), key
