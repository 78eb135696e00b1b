"""What looks like a release of HunyuanVideo and is none, or only in part."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from mlxvid.convert import convert
from mlxvid.errors import WeightsError

from ..contents import assert_states
from . import hunyuan_release as tiny


@pytest.mark.parametrize(
    ("kind", "names", "fact"),
    [
        ("text", ["text_encoder/model.safetensors"], "llava-llama-3-8b"),
        ("text", ["text_encoder_2/model.safetensors"], "clip-vit-large-patch14"),
        ("text", ["text_encoder/tokenizer.json"], "tokenizer of xtuner"),
        ("text", ["text_encoder_2/tokenizer.json"], "tokenizer of openai"),
        ("text", ["hunyuan-video-t2v-720p/vae"], "VAE"),
        ("text", ["hunyuan-video-t2v-720p/transformers"], "transformer"),
    ],
)
def test_what_is_missing_is_named(kind, names, fact, hunyuan, tmp_path):
    source = tiny.without(hunyuan[kind].source, tmp_path / "source", *names)
    with pytest.raises(WeightsError) as caught:
        convert(source, tmp_path / "out")
    assert_states(caught.value, fact, str(source))
    assert not (tmp_path / "out").exists()


def test_a_model_for_pictures_needs_the_whole_llava(hunyuan, tmp_path):
    source = tiny.without(hunyuan["token replace"].source, tmp_path / "source", "text_encoder")
    shutil.copytree(hunyuan["text"].source / "text_encoder", source / "text_encoder")
    with pytest.raises(WeightsError) as caught:
        convert(source, tmp_path / "out")
    assert_states(caught.value, "image encoder", "llava")


def changed(hunyuan, tmp_path, change) -> Path:
    """A text release whose transformer's tensors were changed."""
    source = shutil.copytree(hunyuan["text"].source, tmp_path / "source")
    path = source / tiny.FOLDERS["text"] / tiny.TRANSFORMER_FILE
    tensors = torch.load(path)["module"]
    change(tensors)
    torch.save({"module": tensors}, path)
    return source


def of_other_channels(tensors) -> None:
    tensors["img_in.proj.weight"] = torch.ones(64, 8, 1, 2, 2)


def of_odd_rows(tensors) -> None:
    name = "double_blocks.0.img_attn_qkv.weight"
    tensors[name] = tensors[name][:-1]


def of_short_rows(tensors) -> None:
    name = "single_blocks.1.linear1.weight"
    tensors[name] = tensors[name][:100]


def without_a_matrix(tensors) -> None:
    del tensors["double_blocks.1.txt_mlp.fc2.weight"]


def with_more(tensors) -> None:
    tensors["audio_in.proj.weight"] = torch.ones(3, 3)


def of_no_axes(tensors) -> None:
    tensors["img_in.proj.weight"] = torch.ones(())


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (of_other_channels, "8 channels"),
        (of_odd_rows, "img_attn_qkv"),
        (of_short_rows, "single_transformer_blocks.1"),
        (without_a_matrix, "transformer_blocks.1.ff_context.net.2.weight"),
        (with_more, "audio_in.proj.weight"),
        (of_no_axes, "img_in.proj.weight"),
    ],
)
def test_a_transformer_of_another_model_is_refused(change, fact, hunyuan, tmp_path):
    source = changed(hunyuan, tmp_path, change)
    with pytest.raises(WeightsError) as caught:
        convert(source, tmp_path / "out")
    assert_states(caught.value, fact)
    assert not (tmp_path / "out").exists()
