"""LLaVA as an encoder of text and a picture against transformers', whole and layer by layer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.catalog import CATALOG
from mlxvid.model.card import Part
from mlxvid.model.folder import from_json
from mlxvid.text.llava import LlavaEncoder
from mlxvid.text.llava_config import LLAVA_LLAMA_3_8B, LlavaConfig
from mlxvid.weights.loading import Components

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from .encoders import close, randomised, through  # noqa: E402

LLAMA = dict(
    vocab_size=50,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
)
VISION = dict(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=3,
    image_size=28,
    patch_size=7,
)
IMAGE_TOKEN = 48
PART = Part("mlxvid.text.llava:LlavaEncoder", LlavaConfig, "encode", quantized=True, streamed=True)


def reference():
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**LLAMA),
        vision_config=transformers.CLIPVisionConfig(**VISION),
        image_token_index=IMAGE_TOKEN,
    )
    return randomised(transformers.LlavaForConditionalGeneration(config))


def inputs():
    """Ids with sixteen places for each picture, which differ by row, a mask, and pixels."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 48, (2, 31))
    mask = np.arange(31) < np.array([[31], [25]])
    ids[0, 3:19] = IMAGE_TOKEN
    ids[1, 7:23] = IMAGE_TOKEN
    pixels = generator.standard_normal((2, 28, 28, 3)).astype(np.float32)
    return ids, mask, pixels


def test_states_before_the_last_two_layers(tmp_path):
    theirs = reference()
    ours = through(tmp_path, theirs, LlavaEncoder, LlavaConfig)
    ids, mask, pixels = inputs()
    with torch.no_grad():
        output = theirs(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            pixel_values=torch.from_numpy(pixels).permute(0, 3, 1, 2),
            output_hidden_states=True,
        )
    states = ours(mx.array(ids), mx.array(mask), mx.array(pixels))
    close(states[:1], output.hidden_states[-3][:1])
    close(states[1:, :25], output.hidden_states[-3][1:, :25])


@pytest.mark.parametrize("how", [{}, {"quantize": 4}, {"dtype": "bfloat16"}])
def test_layer_by_layer_it_makes_the_same_to_the_bit(how, tmp_path):
    reference().save_pretrained(tmp_path / "text_encoder")
    (tmp_path / "model_index.json").write_text("{}")
    latte = CATALOG["latte-1"]
    family = dataclasses.replace(latte.family, parts={"text_encoder": PART})
    card = dataclasses.replace(latte, family=family, folder=tmp_path)
    ids, mask, pixels = map(mx.array, inputs())
    states = []
    for usable in (2**60, 0):
        components = Components(card, **how)
        components.usable = usable
        assert components.streams(PART) == (usable == 0)
        states.append(components.network("text_encoder", PART)(ids, mask, pixels))
    assert mx.array_equal(*states) and float(states[0].std()) > 0.01


@pytest.mark.parametrize("prefix", ["", "model."])
def test_names_of_both_ages(prefix):
    """Before transformers 5 the head was the language model's; now "model." may be before all."""
    sizes = {"text_config": LLAMA, "vision_config": VISION}
    network = LlavaEncoder(from_json(LlavaConfig, sizes, Path("here")))
    stored = {}
    for name, weight in tree_flatten(network.parameters()):
        if prefix:
            stored[prefix + name.replace("language_model.model.", "language_model.")] = weight
        else:
            stored[name] = weight
    head = "lm_head.weight" if prefix else "language_model.lm_head.weight"
    stored[head] = mx.zeros((50, 64))
    kept = network.sanitize(stored)
    assert kept.keys() == dict(tree_flatten(network.parameters())).keys()


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"vision_feature_layer": -1}, "vision_feature_layer"),
        ({"vision_feature_select_strategy": "full"}, "'full'"),
        ({"projector_hidden_act": "relu"}, "'relu'"),
        ({"text_config": {**LLAMA, "num_hidden_layers": 10**9}}, "num_hidden_layers"),
        ({"vision_config": {**VISION, "hidden_size": "wide"}}, "hidden_size"),
    ],
)
def test_a_llava_of_another_kind_is_refused(values, fact):
    with pytest.raises(mlxvid.WeightsError) as caught:
        from_json(LlavaConfig, values, Path("here/config.json"))
    assert fact in str(caught.value) and "here/config.json" in str(caught.value)


def test_every_tensor_of_the_real_llava():
    text = dataclasses.asdict(LLAVA_LLAMA_3_8B.text_config)
    del text["rope_scaling"], text["rope_parameters"]
    vision = dataclasses.asdict(LLAVA_LLAMA_3_8B.vision_config)
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**text),
        vision_config=transformers.CLIPVisionConfig(**vision),
    )
    with torch.device("meta"):
        theirs = transformers.LlavaForConditionalGeneration(config)
    ours = LlavaEncoder(LLAVA_LLAMA_3_8B)
    shapes = {name: array.shape for name, array in tree_flatten(ours.parameters())}
    stored = {name: mx.zeros(tuple(t.shape)) for name, t in theirs.state_dict().items()}
    assert shapes == {name: array.shape for name, array in ours.sanitize(stored).items()}
    vision_count = 303_507_456
    projector = 1024 * 4096 + 4096 + 4096 * 4096 + 4096
    total = sum(np.prod(shape) for shape in shapes.values())
    assert total == 7_068_958_720 + vision_count + projector
