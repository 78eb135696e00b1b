"""LoRAs for CogVideoX in Diffusers' spelling and SwissArmyTransformer's, merged as by hand."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import WeightsError
from mlxvid.models.cogvideox.config import CogVideoXConfig
from mlxvid.models.cogvideox.original import original_name, transformer_name
from mlxvid.models.cogvideox.transformer import CogVideoXTransformer3DModel
from mlxvid.weights.lora_layers import apply_lora
from tests.weights.lora_tensors import arrays, random, read, same, weights, written

torch = pytest.importorskip("torch")

RANK = 3
WIDTH = 64
# Layers by Diffusers' name, and SwissArmyTransformer's before and after the factor's own.
LAYERS = {
    "transformer_blocks.0.attn1.to_q": ("layers.0.attention.query_key_value", 0),
    "transformer_blocks.0.attn1.to_k": ("layers.0.attention.query_key_value", 1),
    "transformer_blocks.1.attn1.to_v": ("layers.1.attention.query_key_value", 2),
    "transformer_blocks.1.attn1.to_out.0": ("layers.1.attention.dense", 0),
}
PREFIXES = ("", "transformer.", "model.diffusion_model.transformer.")


def network(**changes) -> CogVideoXTransformer3DModel:
    """A tiny model, always the same."""
    config = dict(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=24,
        text_embed_dim=20,
        num_layers=2,
    )
    made = CogVideoXTransformer3DModel(CogVideoXConfig(**{**config, **changes}))
    names = [(name, weight.shape) for name, weight in tree_flatten(made.parameters())]
    made.load_weights([(name, mx.array(random(*s, seed=i))) for i, (name, s) in enumerate(names)])
    return made


def factors() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """down and up by Diffusers' name of the layer."""
    return {
        name: (random(RANK, WIDTH, seed=n), random(WIDTH, RANK, seed=100 + n))
        for n, name in enumerate(LAYERS)
    }


def by_hand(before: dict[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    after = dict(before)
    for name, (down, up) in factors().items():
        after[f"{name}.weight"] = after[f"{name}.weight"] + scale * up @ down
    return after


def numbered(prefix: str) -> dict[str, np.ndarray]:
    """The factors as SwissArmyTransformer saves them."""
    tensors = {}
    for name, (down, up) in factors().items():
        layer, number = LAYERS[name]
        tensors[f"{prefix}{layer}.matrix_A.{number}"] = down
        tensors[f"{prefix}{layer}.matrix_B.{number}"] = up
    return tensors


@pytest.mark.parametrize("prefix", ["", "transformer.", "base_model.model."])
def test_diffusers_spelling(prefix, tmp_path):
    tensors = {}
    for name, (down, up) in factors().items():
        tensors[f"{prefix}{name}.lora_A.weight"] = down
        tensors[f"{prefix}{name}.lora_B.weight"] = up
    ours = network()
    before = weights(ours)
    note = apply_lora(ours, read(written(tmp_path / "a.safetensors", tensors)), 0.7, "a LoRA")
    assert note is None and same(weights(ours), by_hand(before, 0.7))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_numbered_matrices_are_divided_by_their_rank(prefix, tmp_path):
    ours = network()
    before = weights(ours)
    file = written(tmp_path / "a.safetensors", numbered(prefix))
    assert apply_lora(ours, read(file), 0.7, "a LoRA") is None
    assert same(weights(ours), by_hand(before, 0.7 / RANK))


def test_a_checkpoint_has_the_model_beside_its_lora(tmp_path):
    """Nothing of the model is added, or said."""
    tensors = numbered("model.diffusion_model.transformer.")
    place = "model.diffusion_model."
    tensors[f"{place}transformer.layers.0.attention.query_key_value.original.weight"] = random(9, 4)
    tensors[f"{place}mixins.patch_embed.proj.weight"] = random(5, 4)
    tensors[f"{place}time_embed.0.bias"] = random(5)
    module = {name: torch.from_numpy(value) for name, value in tensors.items()}
    torch.save({"module": module}, tmp_path / "mp_rank_00_model_states.pt")
    found = read(tmp_path / "mp_rank_00_model_states.pt")
    assert len(found) == 3 * len(LAYERS)
    ours = network()
    before = weights(ours)
    assert apply_lora(ours, found, 1.0, "a LoRA") is None
    assert same(weights(ours), by_hand(before, 1 / RANK))


def test_layers_of_models_for_pictures_are_left_out():
    tensors = numbered("")
    for factor, value in (("A", random(RANK, 24)), ("B", random(24, RANK))):
        tensors[f"ofs_embedding.linear_1.lora_{factor}.weight"] = value
    note = apply_lora(network(), arrays(tensors), 1.0, "a LoRA")
    assert "1 layer for pictures" in note


def test_a_lora_of_another_width():
    tensors = {name: value[:, :32] for name, value in numbered("").items() if "_A." in name}
    tensors |= {name: value for name, value in numbered("").items() if "_B." in name}
    with pytest.raises(WeightsError, match="32 wide there, not 64"):
        apply_lora(network(), arrays(tensors), 1.0, "a LoRA")


def test_names_go_both_ways():
    for name, (layer, number) in LAYERS.items():
        assert original_name(name) == f"{layer}.{number}"
        assert transformer_name(f"{layer}.{number}.weight") == f"{name}.weight"
