"""Open-Sora 1.2's transformer, sampler and sizes against golden data of the reference, which can't
be installed (tests/golden).
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.model.folder import from_json
from mlxvid.models.opensora.config import STDiT3Config
from mlxvid.models.opensora.sampling import exact_sigmas, time_shift
from mlxvid.models.opensora.sizes import ASPECTS, LENGTHS, SIZES, named_size
from mlxvid.models.opensora.transformer import STDiT3
from tests.facts import facts
from tests.golden import files

from .golden import pieces, rflow, sizes, stdit3

GOLDEN = Path(__file__).parents[2] / "golden" / "opensora12"


def random(*shape: int, seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.fixture(scope="module")
def network():
    return files.read_network(GOLDEN, "stdit3_c", STDiT3, STDiT3Config)


@pytest.fixture(scope="module")
def inputs():
    """Two clips of 3 frames of odd height, at different times, with texts of 12 and 5 tokens."""
    mask = mx.arange(12) < mx.array([[12], [5]])
    return [
        random(2, 3, 5, 8, 4, seed=1),
        mx.array([731.25, 40.5]),
        random(2, 12, 24, seed=2),
        mask,
        mx.array([24.0, 8.0]),
        40.0,
        64.0,
    ]


@pytest.mark.parametrize(
    ("check", "count"), [(stdit3.check, 6), (rflow.check, 17), (pieces.check, 6), (sizes.check, 2)]
)
def test_golden(check, count):
    results = list(check(GOLDEN))
    assert len(results) == count
    for name, error, tolerance in results:
        assert error <= tolerance, name


def test_in_spatial_mode_frames_know_nothing_of_each_other(network, inputs):
    x, *rest = inputs
    clip = network(x, *rest, attention="spatial")
    frames = [network(x[:, i : i + 1], *rest, attention="spatial") for i in range(3)]
    assert mx.allclose(clip, mx.concatenate(frames, axis=1), atol=1e-4)
    assert mx.abs(clip - network(x, *rest)).max() > 0.01


def test_full_attention_takes_a_clip_s_tokens_for_one_frame_s(network, inputs):
    block = network.spatial_blocks[0]
    x, ada, text = (
        random(*shape, seed=i)
        for i, shape in enumerate([(2, 3, 5, 40), (2, 1, 6, 40), (2, 12, 40)])
    )
    whole = block(x, ada, text, None, None, "clip")
    assert mx.allclose(
        whole.reshape(2, 1, 15, 40),
        block(x.reshape(2, 1, 15, 40), ada, text, None, None, "space"),
        atol=1e-6,
    )
    assert mx.abs(whole - block(x, ada, text, None, None, "space")).max() > 0.01
    assert mx.abs(network(*inputs, attention="full") - network(*inputs)).max() > 0.01


def test_padding_of_the_text_is_not_seen(network, inputs):
    x, time, text, mask, fps, *size = inputs
    both = network(*inputs)
    spoiled = mx.where(mask[..., None], text, 100.0)
    assert mx.allclose(network(x, time, spoiled, mask, fps, *size), both, atol=1e-6)
    alone = network(x[1:], time[1:], text[1:, :5], None, fps[1:], *size)
    assert mx.allclose(alone, both[1:], atol=1e-4)


def test_given_frames_are_at_time_0(network, inputs):
    x, time, *rest = inputs
    every, none = mx.ones((2, 3), mx.bool_), mx.zeros((2, 3), mx.bool_)
    assert mx.allclose(network(*inputs, x_mask=every), network(*inputs), atol=1e-5)
    assert mx.allclose(network(*inputs, x_mask=none), network(x, mx.zeros(2), *rest), atol=1e-5)


def test_half_precision_keeps_its_tables(inputs):
    """Times and their sinusoids are float32 whatever the weights are: with times in bfloat16 the
    mean error is 0.04 instead of 0.01.
    """
    network = files.read_network(GOLDEN, "stdit3_c", STDiT3, STDiT3Config)
    wanted = network(*inputs)
    network.set_dtype(mx.bfloat16)
    out = network(*inputs)
    assert out.dtype == mx.bfloat16
    assert mx.abs(out.astype(mx.float32) - wanted).mean() < 0.02


def test_rotary_frequencies_may_be_stored_or_not():
    weights = files.read_tensors(GOLDEN / "stdit3_c.weights.safetensors")
    assert "rope.freqs" in weights
    without = STDiT3.sanitize(
        {name: value for name, value in weights.items() if name != "rope.freqs"}
    )
    assert STDiT3.sanitize(weights).keys() == without.keys() and "rope.freqs" not in without


def test_the_released_config():
    released = {
        "architectures": ["STDiT3"],
        "caption_channels": 4096,
        "class_dropout_prob": 0.1,
        "depth": 28,
        "drop_path": 0.0,
        "enable_flash_attn": True,
        "enable_layernorm_kernel": True,
        "enable_sequence_parallelism": False,
        "freeze_y_embedder": True,
        "hidden_size": 1152,
        "in_channels": 4,
        "input_size": [None, None, None],
        "input_sq_size": 512,
        "mlp_ratio": 4.0,
        "model_max_length": 300,
        "model_type": "STDiT3",
        "num_heads": 16,
        "only_train_temporal": False,
        "patch_size": [1, 2, 2],
        "pred_sigma": True,
        "qk_norm": True,
        "skip_y_embedder": False,
        "torch_dtype": "float32",
    }
    config = from_json(STDiT3Config, released, Path("config.json"))
    assert config == STDiT3Config() and (config.head_dim, config.out_channels) == (72, 8)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"patch_size": [2, 2, 2]}, "a patch of [2, 2, 2] is not one square of one frame"),
        ({"num_heads": 7}, "1152 channels are not 7 heads"),
        ({"skip_y_embedder": True}, "a skip_y_embedder that is true"),
        ({"qk_norm": "yes"}, "qk_norm"),
    ],
)
def test_a_config_of_another_form_is_refused(change, why):
    with pytest.raises(WeightsError, match=facts("config.json", f"({why})", "download or convert")):
        from_json(STDiT3Config, change, Path("config.json"))


def test_what_is_quantized(network):
    linear = {
        name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)
    }
    chosen = {name for name, module in linear.items() if network.quantizable(name, module)}
    assert {name.split(".")[0] for name in chosen} == {"spatial_blocks", "temporal_blocks"}
    left = {name.split(".")[0] for name in linear.keys() - chosen}
    assert left == {
        "x_embedder",
        "t_embedder",
        "fps_embedder",
        "t_block",
        "y_embedder",
        "final_layer",
    }


def test_sigmas_begin_at_exactly_1_at_every_size():
    for resolution in SIZES:
        for aspect in ASPECTS:
            for frames in (1, 17, *LENGTHS.values()):
                sigmas = exact_sigmas(5, time_shift(*named_size(resolution, aspect), frames))
                assert sigmas[0] == 1 and sigmas[-1] == 0 and (np.diff(sigmas) < 0).all()
    assert time_shift(512, 512, 1) == 1 and time_shift(512, 2048, 17) == pytest.approx(2 * 5**0.5)
    assert time_shift(512, 512, 16) == 1  # where the reference would divide 0 by 0
