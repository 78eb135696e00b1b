"""The factored transformer at the edges of its shapes, and its three attention modes."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.layers import stack
from mlxvid.model.geometry import ATTENTION_MODES
from mlxvid.models.factored.config import TransformerConfig
from mlxvid.models.factored.transformer import FactoredTransformer

TINY = dict(
    in_channels=3,
    patch_size=2,
    hidden_size=64,
    num_layers=2,
    attention_head_dim=32,
    text_dim=16,
)


def make(**sizes) -> FactoredTransformer:
    mx.random.seed(5)
    return FactoredTransformer(TransformerConfig(**{**TINY, **sizes}))


def run(
    network: FactoredTransformer,
    f: int,
    h: int,
    w: int,
    mode: str = "factored",
    change: slice | None = None,
) -> mx.array:
    """The velocity of fixed noise; `change`: latent frames with other noise."""
    x = np.random.default_rng(0).standard_normal((1, f, h, w, 3)).astype(np.float32)
    if change is not None:
        x[:, change] += 1
    text = mx.array(np.random.default_rng(1).standard_normal((1, 4, 16)).astype(np.float32))
    return network(
        mx.array(x),
        mx.zeros((1, f, h, w, 4)),
        mx.array([0.5]),
        text,
        mx.ones((1, 4), dtype=mx.bool_),
        mode,
    )


def differ(a: mx.array, b: mx.array) -> float:
    return mx.abs(a - b).max().item()


def influence(network: FactoredTransformer, mode: str) -> float:
    """How much the first frame changes with the last one."""
    before = run(network, 3, 4, 4, mode)
    after = run(network, 3, 4, 4, mode, change=slice(2, 3))
    return differ(before[:, 0], after[:, 0])


def without_time(network: FactoredTransformer) -> FactoredTransformer:
    """Shut the temporal attention's gate, so that modes differ in the spatial sublayer only."""
    dim = network.config.hidden_size
    network.adaln.weight[5 * dim : 6 * dim] = 0
    network.adaln.bias[5 * dim : 6 * dim] = 0
    for block in network.blocks:
        block.scale_shift_table[5] = 0
    return network


def test_factored_equals_full_with_one_latent_frame():
    network = make()
    assert differ(run(network, 1, 6, 4, "factored"), run(network, 1, 6, 4, "full")) < 1e-5
    # One frame still attends to itself over time.
    assert differ(run(network, 1, 6, 4, "factored"), run(network, 1, 6, 4, "spatial")) > 1e-3
    assert differ(run(network, 2, 6, 4, "factored"), run(network, 2, 6, 4, "full")) > 1e-4


def test_spatial_frames_are_independent_and_the_others_are_not():
    network = make()
    for mode in ATTENTION_MODES:
        reach = influence(network, mode)
        assert (reach < 1e-6) if mode == "spatial" else (reach > 1e-5), mode


def test_full_attends_to_other_frames_by_its_spatial_sublayer():
    network = without_time(make())
    assert influence(network, "full") > 1e-5
    assert influence(network, "factored") <= 1e-5


@pytest.mark.parametrize("mode", ATTENTION_MODES)
@pytest.mark.parametrize(
    ("f", "h", "w", "sizes"),
    [
        (1, 2, 2, {}),  # one frame of one token
        (5, 2, 2, {}),  # 1x1 positions
        (3, 6, 6, {"patch_size_t": 3, "patch_size": 6}),  # the patch is the whole latent: one token
        (1, 1, 1, {"patch_size": 1}),
        (2, 10, 14, {}),
        (13, 4, 2, {}),
    ],
)
def test_any_size_runs_with_the_same_weights(mode, f, h, w, sizes):
    v = run(make(**sizes), f, h, w, mode)
    assert v.shape == (1, f, h, w, 3) and mx.isfinite(v).all() and mx.std(v).item() > 0


@pytest.mark.parametrize("head", [16, 24, 32, 64])
def test_rotary_tables_cover_every_channel_of_a_head(head):
    ropes = make(hidden_size=2 * head, attention_head_dim=head).ropes(3, 4, 5)
    assert ropes["full"].cos.shape == (60, head // 2)
    assert mx.array_equal(ropes["space"].cos, ropes["full"].cos[:20])
    assert ropes["time"].cos.shape == (3, head // 2)
    # At time 0 the channels of time are not rotated: the spatial step is the same in every frame.
    time = head // 2 - 2 * ((head - head // 8 * 2) // 4 * 2) // 2
    assert mx.array_equal(ropes["space"].sin[:, :time], mx.zeros((20, time)))


def test_a_given_frame_is_seen():
    network = make()
    x = mx.random.normal((1, 2, 4, 4, 3))
    text = mx.zeros((1, 1, 16))
    mask = mx.ones((1, 1), dtype=mx.bool_)
    sigma = mx.array([0.5])
    condition = mx.concatenate([mx.ones((1, 1, 4, 4, 4)), mx.zeros((1, 1, 4, 4, 4))], axis=1)
    with_it = network(x, condition, sigma, text, mask)
    without = network(x, mx.zeros_like(condition), sigma, text, mask)
    assert differ(with_it[:, 1], without[:, 1]) > 1e-5  # in the other frame too


def test_the_stack_is_all_blocks_and_its_signal_is_what_their_first_attention_reads():
    network = make()
    seen = {}

    class Watched(type(network.blocks[0].attn1)):
        def __call__(self, x, *known):
            seen["read"] = x
            return super().__call__(x, *known)

    def hook(x, signal, blocks):
        seen["signal"] = signal()
        return x

    with stack.hooked(hook):
        passed_by = run(network, 3, 4, 6)
    with stack.without({0, 1}):
        assert differ(passed_by, run(network, 3, 4, 6)) == 0
    assert differ(passed_by, run(network, 3, 4, 6)) > 1e-3
    network.blocks[0].attn1.__class__ = Watched
    run(network, 3, 4, 6)
    assert differ(seen["signal"].reshape(seen["read"].shape), seen["read"]) < 1e-6
