"""LTX-Video's transformer against Diffusers'."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import dataclasses

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers import LTXConditionPipeline, LTXVideoTransformer3DModel  # noqa: E402

from mlxvid.layers import bounds  # noqa: E402
from mlxvid.models.ltx import transformer as ltx  # noqa: E402
from mlxvid.models.ltx.config import LTXTransformerConfig  # noqa: E402
from mlxvid.models.ltx.rope import coords, tables  # noqa: E402
from mlxvid.models.ltx.transformer import Times, cut  # noqa: E402

from .twins import config, random, twins  # noqa: E402

TOLERANCE = 1e-4
FPS = 25.0
# Of 32, 28 and 24 channels: 2, 4 and none have no position.
WIDTHS = {"32": (2, 16), "28": (2, 14), "24": (3, 8)}
B2 = dict(in_channels=128, out_channels=128, caption_channels=4096)
RELEASES = {
    "2b": (config(32, 64, 28, **B2), 1_923_385_472, 715),
    "13b": (config(32, 128, 48, **B2), 13_042_569_344, 1_215),
}
MASK = np.arange(7) < np.array([[3], [7]])


def condition_coords(grid: tuple[int, int, int], first_frame: int = 0):
    """What LTXConditionPipeline gives the network, for one row."""
    ids = LTXConditionPipeline._prepare_video_ids(1, *grid)
    ids = LTXConditionPipeline._scale_video_ids(ids, frame_index=first_frame).float()
    ids[:, 0] = ids[:, 0] * (1.0 / FPS)
    return ids


def reference(theirs, x, text, mask, times, **positions) -> np.ndarray:
    with torch.no_grad():
        (y,) = theirs(
            torch.from_numpy(x),
            torch.from_numpy(text),
            torch.from_numpy(1000 * times),
            torch.from_numpy(mask),
            return_dict=False,
            **positions,
        )
    return y.numpy()


def close(y: mx.array, expected: np.ndarray) -> None:
    assert y.dtype == mx.float32 and y.shape == expected.shape and expected.std() > 0.1
    assert np.abs(np.array(y) - expected).max() < TOLERANCE


@pytest.mark.parametrize("grid", [(1, 3, 5), (4, 3, 2)])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("causal", [False, True])
def test_parity(causal, width, grid):
    ours, theirs = twins(config(*WIDTHS[width]))
    n = int(np.prod(grid))
    x = random(2, n, 5, seed=1)
    text = random(2, 7, 11, seed=2)
    times = np.array([0.917, 0.042], np.float32)
    if causal:
        positions = {"video_coords": condition_coords(grid).repeat(2, 1, 1)}
    else:
        sizes = dict(zip(("num_frames", "height", "width"), grid, strict=True))
        positions = {**sizes, "rope_interpolation_scale": (8 / FPS, 32, 32)}
    expected = reference(theirs, x, text, MASK, times, **positions)
    rope = tables(ours.config, coords(grid, FPS, causal))
    given = (mx.array(x), mx.array(text), mx.array(MASK), Times.of(times))
    close(ours(*given, rope), expected)


@pytest.mark.parametrize("rows", ["each row's own", "the same"])
def test_a_time_and_a_position_of_each_token(rows):
    """Two extra tokens' frames in front, and several times: as with pictures given."""
    ours, theirs = twins(config())
    grid = (3, 2, 3)
    places = (condition_coords((1, 2, 3), 17), condition_coords(grid))
    x = random(2, 24, 5, seed=1)
    text = random(2, 7, 11, seed=2)
    times = np.full((2, 24), 0.7, np.float32)
    times[:, :6] = 0.0
    times[:, 9:11] = 0.25
    if rows != "the same":
        times[1, 3:12] = 0.5
    expected = reference(
        theirs, x, text, MASK, times, video_coords=torch.cat(places, dim=2).repeat(2, 1, 1)
    )
    positions = [coords((1, 2, 3), FPS, True, 17), coords(grid, FPS, True)]
    rope = tables(ours.config, np.concatenate(positions, axis=1))
    given = Times.of(times if rows != "the same" else times[:1])
    assert given.values.shape == ((4,) if rows != "the same" else (3,))
    close(ours(mx.array(x), mx.array(text), mx.array(MASK), given, rope), expected)


def test_times_that_are_all_the_same_are_not_spread():
    assert Times.of(np.full((1, 9), 0.3)).index is None
    ours, _ = twins(config())
    x = mx.array(random(2, 6, 5, seed=1))
    text = mx.array(random(2, 7, 11, seed=2))
    rope = tables(ours.config, coords((1, 2, 3), FPS, True))
    y = ours(x, text, None, Times.of(np.full((2,), 0.3)), rope)
    for times in (np.full((1, 6), 0.3), np.full((2, 6), 0.3)):
        assert mx.allclose(ours(x, text, None, Times.of(times), rope), y, atol=1e-6)


def test_few_times_do_not_become_the_modulation_of_every_token():
    """That, [N, 6C], would be six times as large as the tokens."""
    ours = ltx.LTXVideoTransformer3DModel(LTXTransformerConfig(**config(2, 256, 1)))
    tokens = 512
    x_bytes = 4 * tokens * 512
    rope = tables(ours.config, coords((8, 8, 8), FPS, True))
    x = mx.array(random(1, tokens, 5))
    text = mx.array(random(1, 7, 11))
    mx.eval(ours.parameters(), rope, x, text)
    taken = []
    for times in (np.array([0.5]), np.where(np.arange(tokens) < 64, 0.0, 0.5)[None]):
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        mx.eval(ours(x, text, None, Times.of(times), rope))
        taken.append(mx.get_peak_memory() - before)
    assert taken[1] < taken[0] + 6 * x_bytes


def test_padding_is_cut_where_every_row_has_it():
    text = mx.array(random(2, 7, 11))
    short, mask = cut(text, np.arange(7) < np.array([[3], [5]]))
    assert short.shape == (2, 5, 11)
    assert mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    short, mask = cut(text, np.arange(7) < np.array([[4], [4]]))
    assert short.shape == (2, 4, 11) and mask is None


def test_a_text_that_is_cut_reads_as_one_that_is_masked():
    ours, _ = twins(config())
    x = mx.array(random(2, 6, 5, seed=1))
    text = mx.array(random(2, 7, 11, seed=2))
    rope = tables(ours.config, coords((1, 2, 3), FPS, True))
    times = Times.of(np.array([0.3]))
    mask = np.broadcast_to(np.arange(7) < 4, (2, 7))
    masked = ours(x, text, mx.array(mask), times, rope)
    assert mx.allclose(ours(x, *cut(text, mask), times, rope), masked, atol=1e-5)


def test_unattended_blocks_pass_their_values():
    """As Diffusers' network whose self-attention gives its values, in the blocks that are named."""
    ours, theirs = twins(config(layers=3))
    grid = (2, 2, 3)
    x = random(2, 12, 5, seed=1)
    text = random(2, 7, 11, seed=2)
    times = np.array([0.6, 0.6], np.float32)
    plain = theirs.transformer_blocks[0].attn1.processor

    def values(attn, hidden_states, *args, **kwargs):
        return attn.to_out[0](attn.to_v(hidden_states))

    given = (mx.array(x), mx.array(text), mx.array(MASK), Times.of(times))
    rope = tables(ours.config, coords(grid, FPS, True))
    positions = condition_coords(grid).repeat(2, 1, 1)
    seen = [reference(theirs, x, text, MASK, times, video_coords=positions)]
    for unattended in ([0], [1, 2]):
        for number, block in enumerate(theirs.transformer_blocks):
            block.attn1.processor = values if number in unattended else plain
        expected = reference(theirs, x, text, MASK, times, video_coords=positions)
        assert all(np.abs(expected - other).max() > 0.01 for other in seen)
        seen.append(expected)
        close(ours(*given, rope, unattended), expected)


@pytest.mark.parametrize("name", RELEASES)
def test_inventory(name):
    values, parameters, tensors = RELEASES[name]
    with torch.device("meta"):
        theirs = LTXVideoTransformer3DModel(**values).state_dict()
    before = mx.get_active_memory()
    ours = ltx.LTXVideoTransformer3DModel(LTXTransformerConfig(**values))
    shapes = {name: weight.shape for name, weight in tree_flatten(ours.parameters())}
    assert shapes == {name: tuple(value.shape) for name, value in theirs.items()}
    assert len(shapes) == tensors
    assert sum(value.numel() for value in theirs.values()) == parameters
    assert mx.get_active_memory() - before < 10**7


def test_half_precision():
    ours, _ = twins(config())
    x = mx.array(random(2, 6, 5, seed=1))
    text = mx.array(random(2, 7, 11, seed=2))
    rope = tables(ours.config, coords((1, 2, 3), FPS, True))
    times = Times.of(np.where(np.arange(6) < 2, 0.0, 0.7)[None])
    exact = ours(x, text, None, times, rope)
    ours.set_dtype(mx.bfloat16)
    y = ours(x, text, None, times, rope)
    assert y.dtype == mx.bfloat16
    assert 0 < mx.abs(y - exact).max() < 0.1 * mx.abs(exact).max()


@pytest.mark.parametrize(("budget", "evaluations"), [(1.0, 3), (2.5, 1), (9.0, 0)])
def test_large_clips_are_evaluated_as_they_go(budget, evaluations, monkeypatch):
    ours, _ = twins(config(layers=3))
    x = mx.array(random(2, 24, 5, seed=1))
    text = mx.array(random(2, 7, 11, seed=2))
    rope = tables(ours.config, coords((4, 2, 3), FPS, True))
    given = (x, text, None, Times.of(np.array([0.3, 0.4])), rope)
    expected = ours(*given)
    block = bounds.block_ops(2 * 24, 28, 4 * 28, 24)
    monkeypatch.setattr(bounds._Bound, "ops", budget * block)
    seen = []
    with bounds.heard(seen.append):
        y = ours(*given)
    assert len(seen) == evaluations
    assert mx.allclose(y, expected, atol=1e-5)


def test_only_the_blocks_matrices_are_quantized():
    values = config(2, 16, 2, in_channels=32, out_channels=32, caption_channels=32)
    ours = ltx.LTXVideoTransformer3DModel(LTXTransformerConfig(**values))
    nn.quantize(ours, 32, 8, class_predicate=ours.quantizable)
    quantized = {
        name for name, module in ours.named_modules() if isinstance(module, nn.QuantizedLinear)
    }
    layers = ["ff.net.0.proj", "ff.net.2"]
    for projection in ("to_q", "to_k", "to_v", "to_out.0"):
        layers += [f"attn1.{projection}", f"attn2.{projection}"]
    assert quantized == {f"transformer_blocks.{i}.{layer}" for i in range(2) for layer in layers}


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": 2},
        {"patch_size_t": 2},
        {"activation_fn": "gelu"},
        {"qk_norm": "rms_norm"},
        {"norm_elementwise_affine": True},
        {"attention_bias": False},
        {"attention_out_bias": False},
        {"attention_head_dim": 13, "cross_attention_dim": 26},
        {"attention_head_dim": 4, "cross_attention_dim": 8},
        {"cross_attention_dim": 30},
    ],
)
def test_configs_that_no_model_has(wrong):
    with pytest.raises(ValueError):
        LTXTransformerConfig(**{**config(), **wrong})


def test_defaults_are_the_references():
    with torch.device("meta"):
        theirs = LTXVideoTransformer3DModel(num_layers=1).config
    ours = dataclasses.asdict(LTXTransformerConfig(num_layers=1))
    assert ours.pop("causal_temporal_positioning") is None
    assert {name: theirs[name] for name in ours} == ours
