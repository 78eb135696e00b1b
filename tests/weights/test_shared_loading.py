"""Each of several machines loads its share of a network, and holds no more than that."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.models.factored.config import TransformerConfig
from mlxvid.models.factored.transformer import FactoredTransformer
from tests.machines.launched import launched, told
from tests.models.factored.tiny import TRANSFORMER, write_model

SCRIPT = Path(__file__).with_name("shared_loading.py")
WIDTH = 512
LARGEST = 4 * WIDTH * WIDTH * 4  # bytes of a tensor
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """A model whose blocks are most of it: of 90 MB, in tensors of 4 at most."""
    model = write_model(tmp_path / "model")
    config = {**TRANSFORMER, "hidden_size": WIDTH, "num_layers": 4}
    network = FactoredTransformer(TransformerConfig(**config))
    (model / "transformer" / "config.json").write_text(json.dumps(config))
    network.save_weights(str(model / "transformer" / WEIGHTS))
    return model


def write_lora(path: Path) -> str:
    tensors = {}
    for name in ("attn1.qkv", "attn2.proj"):
        rows = WIDTH * (3 if name.endswith("qkv") else 1)
        tensors[f"blocks.1.{name}.lora_A.weight"] = 0.1 * mx.random.normal((4, WIDTH))
        tensors[f"blocks.1.{name}.lora_B.weight"] = 0.1 * mx.random.normal((rows, 4))
    mx.save_safetensors(str(path), tensors)
    return str(path)


def check(found: list[dict]) -> None:
    for each in found:
        assert each["equal"]
        assert each["held"] < 0.8 * each["whole"]
        assert each["peak"] < each["held"] + 5 * LARGEST


def test_a_share_is_that_of_the_whole(tmp_path, folder):
    check(told(tmp_path, 2, SCRIPT, folder, 0))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [0, 4])
def test_with_loras(tmp_path, folder, bits):
    check(told(tmp_path, 2, SCRIPT, folder, bits, write_lora(tmp_path / "lora.safetensors")))


@pytest.mark.slow
def test_quantized_when_it_was_converted(tmp_path, folder):
    config = json.loads((folder / "transformer" / "config.json").read_text())
    network = FactoredTransformer(TransformerConfig(**config))
    path = folder / "transformer" / WEIGHTS
    network.load_weights(str(path))
    nn.quantize(network, 64, 4, class_predicate=network.quantizable)
    network.save_weights(str(path))
    config["quantization"] = {"group_size": 64, "bits": 4}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    check(told(tmp_path, 4, SCRIPT, folder, 0))


def pickled(folder: Path) -> None:
    """PyTorch's file in the place of the other."""
    torch = pytest.importorskip("torch")
    path = folder / "transformer" / WEIGHTS
    weights = mx.load(str(path))
    tensors = {name: torch.from_numpy(np.array(weight)) for name, weight in weights.items()}
    torch.save(tensors, path.with_suffix(".bin"))
    path.unlink()


@pytest.mark.slow
def test_of_pytorchs_files(tmp_path, folder):
    pickled(folder)
    check(told(tmp_path, 2, SCRIPT, folder, 8))
    lora = write_lora(tmp_path / "lora.safetensors")
    _, err = launched(tmp_path, 2, SCRIPT, folder, 8, lora)
    assert "convert the model" in err
