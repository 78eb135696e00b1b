"""Models that can be read but not used: refused in one sentence, before anything is written."""

from __future__ import annotations

import json
import shutil

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.models import by_pipeline

WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_tensors_that_fit_no_network(source, valid_weights, refused):
    target = str(source / "vae" / WEIGHTS)
    name = "encoder.conv_in.bias"
    shape = tuple(valid_weights[name].shape)
    mx.save_safetensors(target, {**valid_weights, name: mx.zeros((3,))})
    refused(f"{name} in VAE is (3,) where {shape} is needed", "config.json")
    mx.save_safetensors(target, {k: v for k, v in valid_weights.items() if k != name})
    refused(f"in VAE lacks {name}", "another architecture or version")
    mx.save_safetensors(target, {**valid_weights, "trojan": mx.zeros((3,))})
    refused("VAE has no place for trojan", "another architecture or version")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value, source, valid_weights, refused):
    name = max(valid_weights)
    broken = np.array(valid_weights[name])
    broken.flat[-1] = value
    target = str(source / "vae" / WEIGHTS)
    mx.save_safetensors(target, {**valid_weights, name: mx.array(broken)})
    refused(f"{name} in VAE/{WEIGHTS} holds NaN or infinity", "download")


def test_weights_beyond_float16(source, valid_weights, refused):
    mx.save_safetensors(str(source / "vae" / WEIGHTS), valid_weights)
    path = source / "transformer" / WEIGHTS
    weights = mx.load(str(path))
    name = max(weights)
    weights[name] = mx.full(weights[name].shape, 1e5)
    mx.save_safetensors(str(path), weights)
    facts = (f"{name} in SOURCE/transformer/{WEIGHTS}", "float16's 65504", "`dtype`", "bfloat16")
    refused(*facts, error=SettingError, dtype="float16")


def test_a_network_that_the_family_does_not_know(source, valid_weights, refused):
    mx.save_safetensors(str(source / "vae" / WEIGHTS), valid_weights)
    shutil.copytree(source / "transformer", source / "transformer_2")
    index = json.loads((source / "model_index.json").read_text())
    index["transformer_2"] = ["mlxvid", "FactoredTransformer"]
    (source / "model_index.json").write_text(json.dumps(index))
    refused("SOURCE/transformer_2", "FactoredPipeline", "another version")


def test_a_component_without_weights(source, refused):
    refused("VAE has no weights", "download")


def test_an_unknown_pipeline(source, refused):
    (source / "model_index.json").write_text('{"_class_name": "SorcererPipeline"}')
    refused("SOURCE holds a SorcererPipeline", *by_pipeline())


def test_a_folder_without_a_known_model(source, refused):
    (source / "model_index.json").unlink()
    refused("SOURCE holds weights of no model", "complete model", "Diffusers layout")
    shutil.rmtree(source)
    source.mkdir()
    refused("SOURCE holds neither weights nor a model_index.json", "complete model")
