"""Llama as a text encoder against transformers', whole and layer by layer."""

from __future__ import annotations

import dataclasses
import json
import resource
import subprocess
import sys
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.catalog import CATALOG
from mlxvid.model.card import Card, Part
from mlxvid.model.folder import from_json
from mlxvid.model.memory import streamed_bytes
from mlxvid.text.llama import LlamaEncoder
from mlxvid.text.llama_config import LLAMA_3_8B, LlamaConfig
from mlxvid.weights.loading import Components

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from .encoders import close, randomised, through  # noqa: E402

SIZES = dict(
    vocab_size=50,
    hidden_size=64,
    intermediate_size=88,
    num_hidden_layers=5,
    num_attention_heads=4,
    num_key_value_heads=2,
    rms_norm_eps=1e-5,
    rope_theta=500000.0,
)
LENGTH = 33
VALID = (LENGTH, 11)
IDS = np.random.default_rng(0).integers(0, 50, (2, LENGTH))
MASK = np.arange(LENGTH) < np.array(VALID)[:, None]


def reference(**changes):
    return randomised(transformers.LlamaModel(transformers.LlamaConfig(**{**SIZES, **changes})))


def states_of(theirs):
    with torch.no_grad():
        output = theirs(
            torch.from_numpy(IDS), attention_mask=torch.from_numpy(MASK), output_hidden_states=True
        )
    return output.hidden_states[-3]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True, "head_dim": 24},
        {"rope_theta": 10000.0, "num_key_value_heads": 1},
    ],
)
def test_states_before_the_last_two_layers(changes, tmp_path):
    theirs = reference(**changes)
    ours = through(tmp_path, theirs, LlamaEncoder, LlamaConfig)
    assert len(ours.layers) == 3
    states = ours(mx.array(IDS), mx.array(MASK))
    expected = states_of(theirs)
    for row, length in enumerate(VALID):
        close(states[row : row + 1, :length], expected[row : row + 1, :length])
    # A prompt alone, cut to its own length, has the same states.
    alone = ours(mx.array(IDS[1:, : VALID[1]]), mx.array(MASK[1:, : VALID[1]]))
    close(alone, expected[1:, : VALID[1]])


def test_the_head_and_other_leftovers_are_no_part_of_it(tmp_path):
    config = transformers.LlamaConfig(**SIZES)
    theirs = randomised(transformers.LlamaForCausalLM(config))
    ours = through(tmp_path, theirs, LlamaEncoder, LlamaConfig)
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": mx.zeros((8,))}
    assert ours.sanitize(buffer) == {}
    close(ours(mx.array(IDS[:1]), mx.array(MASK[:1])), states_of(theirs.model)[:1])


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"hidden_act": "gelu"}, "'gelu'"),
        ({"num_hidden_layers": 2}, "num_hidden_layers"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "'llama3'"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "'linear'"),
    ],
)
def test_a_llama_of_another_kind_is_refused(values, fact):
    with pytest.raises(mlxvid.WeightsError) as caught:
        from_json(LlamaConfig, {**SIZES, **values}, Path("here/config.json"))
    assert fact in str(caught.value) and "here/config.json" in str(caught.value)


def test_every_tensor_of_the_real_llama():
    sizes = dataclasses.asdict(LLAMA_3_8B)
    del sizes["rope_scaling"], sizes["rope_parameters"]
    with torch.device("meta"):
        theirs = transformers.LlamaModel(transformers.LlamaConfig(**sizes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = LlamaEncoder(LLAMA_3_8B)
    shapes = {name: tuple(array.shape) for name, array in tree_flatten(ours.parameters())}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20, "made"
    stored = {name: mx.zeros(tuple(t.shape)) for name, t in theirs.state_dict().items()}
    kept = ours.sanitize(stored)
    assert shapes == {name: tuple(array.shape) for name, array in kept.items()}
    left_out = {".".join(name.split(".")[:2]) for name in set(stored) - set(kept)}
    assert left_out == {"layers.30", "layers.31", "norm.weight"}
    assert sum(np.prod(shape) for shape in shapes.values()) == 7_068_958_720


def test_mlx_lm_s_llama_brings_no_pytorch():
    unwanted = "{'torch', 'transformers', 'mlx_lm'}"
    code = f"import sys, mlxvid.text.llama; print({unwanted} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "set()", done.stderr


# --- layer by layer ------------------------------------------------------------------------------

NAME = "text_encoder"
PART = Part(
    "mlxvid.text.llama:LlamaEncoder",
    LlamaConfig,
    "encode",
    "bfloat16",
    quantized=True,
    streamed=True,
)
# The proportions of Llama 3 8B, at an eighth of its width and a quarter of its depth.
STAND_IN = dict(
    vocab_size=16040,
    hidden_size=512,
    intermediate_size=1792,
    num_hidden_layers=10,
    num_attention_heads=8,
    num_key_value_heads=2,
)


def card_of(folder: Path) -> Card:
    """A card with a Llama for its text encoder, and nothing else."""
    latte = CATALOG["latte-1"]
    family = dataclasses.replace(latte.family, parts={NAME: PART})
    return dataclasses.replace(latte, family=family, folder=folder)


def written(folder: Path, sizes: dict) -> Path:
    """A folder with a random Llama, with the layers, norm and head that are not used."""
    network = LlamaEncoder(
        LlamaConfig(**{**sizes, "num_hidden_layers": sizes["num_hidden_layers"] + 2})
    )
    key = mx.random.key(0)
    weights = {"lm_head.weight": mx.ones((3, 3)), "model.norm.weight": mx.ones((3,))}
    for name, array in tree_flatten(network.parameters()):
        key, own = mx.random.split(key)
        scale = 0.5 * array.shape[-1] ** -0.5
        weights[f"model.{name}"] = scale * mx.random.normal(array.shape, key=own)
    (folder / NAME).mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / NAME / "config.json").write_text(json.dumps(sizes))
    mx.save_safetensors(str(folder / NAME / "model.safetensors"), weights)
    return folder


def loaded(folder: Path, streamed: bool, **how):
    made = Components(card_of(folder), **how)
    made.usable = 0 if streamed else 2**60
    assert made.streams(PART) == streamed
    return made.network(NAME, PART)


@pytest.mark.parametrize("how", [{}, {"dtype": "bfloat16"}, {"quantize": 4}, {"quantize": 8}])
def test_layer_by_layer_it_makes_the_same_to_the_bit(how, tmp_path):
    folder = written(tmp_path / "model", {**SIZES, "intermediate_size": 128})
    ids = mx.array(IDS)
    mask = mx.array(MASK)
    whole = loaded(folder, streamed=False, **how)
    assert ("scales" in whole.layers[0].mlp.up_proj) == ("quantize" in how)
    expected = whole(ids, mask)
    piecewise = loaded(folder, streamed=True, **how)
    for _ in range(2):
        assert mx.array_equal(piecewise(ids, mask), expected)
    assert bool(mx.isfinite(expected).all()) and float(expected.std()) > 0.01


def peak(function) -> int:
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    function()
    return mx.get_peak_memory() - before


@pytest.mark.parametrize(("how", "tokens"), [({}, 64), ({"quantize": 4}, 64)])
def test_the_peak_is_a_layer_and_as_planned(how, tokens, tmp_path):
    folder = written(tmp_path / "model", STAND_IN)
    ids = mx.arange(tokens)[None]
    mask = mx.ones((1, tokens), mx.bool_)
    states = {}

    def use(streamed: bool) -> None:
        states[streamed] = loaded(folder, streamed, **how)(ids, mask)
        mx.eval(states[streamed])

    whole = peak(lambda: use(False))
    piecewise = peak(lambda: use(True))
    print(f"{how}: whole {whole / 2**20:.1f} MiB, layer by layer {piecewise / 2**20:.1f} MiB")
    assert mx.array_equal(states[True], states[False])
    made = Components(card_of(folder), **how)
    planned = streamed_bytes(
        made.sizes[NAME], LlamaConfig(**STAND_IN).streamed(tokens), metal=False
    )
    assert piecewise < whole / 3
    assert planned == pytest.approx(piecewise, rel=0.15)
