"""What PEFT trains and saves changes a network as PEFT itself does."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.weights.lora_layers import apply_lora

from .lora_tensors import read

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

SIZES = {"wide": (12, 8), "tall": (6, 20), "square": (8, 8)}
CONFIGS = {
    "LoRA": lambda names: peft.LoraConfig(r=3, lora_alpha=5, target_modules=names),
    "rank-stabilised": lambda names: peft.LoraConfig(
        r=4, lora_alpha=5, use_rslora=True, target_modules=names
    ),
    "patterns": lambda names: peft.LoraConfig(
        r=3,
        lora_alpha=5,
        target_modules=names,
        rank_pattern={"wide": 2},
        alpha_pattern={"tall": 9},
    ),
    "a bias": lambda names: peft.LoraConfig(
        r=3, lora_alpha=5, lora_bias=True, target_modules=names
    ),
    "DoRA": lambda names: peft.LoraConfig(r=3, lora_alpha=5, use_dora=True, target_modules=names),
    "LoHa": lambda names: peft.LoHaConfig(r=3, alpha=5, target_modules=names),
    "LoKr": lambda names: peft.LoKrConfig(r=2, alpha=5, target_modules=names),
    "LoKr of whole matrices": lambda names: peft.LoKrConfig(r=32, alpha=5, target_modules=names),
    "LoKr of four matrices": lambda names: peft.LoKrConfig(
        r=1, alpha=5, decompose_both=True, target_modules=names
    ),
}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for name, (out, width) in SIZES.items():
            self[name] = nn.Linear(width, out)


def trained(config, folder):
    """A PyTorch network's layers before, and after PEFT merged an adapter that is in `folder`."""
    torch.manual_seed(0)
    net = torch.nn.Module()
    for name, (out, width) in SIZES.items():
        net.add_module(name, torch.nn.Linear(width, out))
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    model = peft.get_peft_model(net, config(list(SIZES)))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            noise = 0.5 * torch.randn_like(parameter)
            parameter.data = parameter.data.abs() + 0.1 if "magnitude" in name else noise
            parameter.data += 0.2 * torch.rand_like(parameter)
    model.save_pretrained(str(folder))
    merged = model.merge_and_unload().state_dict()
    return before, {name: value.numpy() for name, value in merged.items()}


@pytest.mark.parametrize("case", CONFIGS)
def test_as_peft_merges_it(case, tmp_path):
    before, after = trained(CONFIGS[case], tmp_path)
    net = Net()
    net.load_weights([(name, mx.array(value)) for name, value in before.items()])
    assert apply_lora(net, read(tmp_path), 1.0, "a LoRA") is None
    for name in SIZES:
        for leaf in ("weight", "bias"):
            expected = after[f"{name}.{leaf}"]
            found = np.array(net[name][leaf])
            assert np.allclose(found, expected, atol=1e-5), (name, leaf)
        assert np.abs(after[f"{name}.weight"] - before[f"{name}.weight"]).max() > 0.05


@pytest.mark.parametrize("case", ["DoRA", "LoHa", "LoKr"])
@pytest.mark.parametrize("scale", [0.25, -1.0])
def test_a_scale_blends_before_and_after(case, scale, tmp_path):
    before, after = trained(CONFIGS[case], tmp_path)
    net = Net()
    net.load_weights([(name, mx.array(value)) for name, value in before.items()])
    apply_lora(net, read(tmp_path), scale, "a LoRA")
    for name in SIZES:
        start = before[f"{name}.weight"]
        expected = start + scale * (after[f"{name}.weight"] - start)
        assert np.allclose(np.array(net[name].weight), expected, atol=1e-5)
