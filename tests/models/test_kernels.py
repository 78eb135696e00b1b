"""Every family's network with the Metal kernels, in the emulator, is what it is without them."""

from __future__ import annotations

import importlib

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_map_with_path

from mlxvid.catalog import CATALOG
from tests.metal_emulator import emulated
from tests.metal_emulator.build import COMPILER

from .held import Case, call_of

pytestmark = pytest.mark.skipif(COMPILER is None, reason="the emulator needs g++ 11 or newer")

ROWS = {"mlxvid_modulation", "mlxvid_added_modulation"}
ROTARY = "mlxvid_norm_rotary"
TWO_STREAMS = "mlxvid_two_norms_rotary"
JOINED = "mlxvid_joined_gelu"
OVER_TIME = "mlxvid_temporal_attention"
# What is launched.
LAUNCHED = {
    "mini": {*ROWS, ROTARY, OVER_TIME},
    "wan2.1-t2v-1.3b": {*ROWS, ROTARY},
    "latte-1": {*ROWS, OVER_TIME},
    "opensora-1.2": {*ROWS, OVER_TIME},
    "cogvideox-5b": {*ROWS, ROTARY},
    "ltxv-2b-0.9.8-distilled": {*ROWS, ROTARY},
    "hunyuanvideo": {*ROWS, ROTARY, TWO_STREAMS, JOINED},
}
CASE = Case(2, 3, 4, 6, inner=64)
# Of so many tokens a frame that they don't go through the temporal kernel too.
CASES = {"mini": Case(2, 2, 18, 16)}


@pytest.fixture
def uncompiled():
    """Emulated kernels run when they are called, which mx.compile's tracing doesn't allow."""
    mx.disable_compile()
    yield
    mx.enable_compile()


def drawn(network, dtype):
    """In place of weights of zero: random ones, each tensor's its own."""
    names: list[str] = []

    def values(name, weight):
        names.append(name)
        key = mx.random.key(len(names))
        return (mx.random.normal(weight.shape, key=key) * 0.2 + 0.1).astype(dtype)

    network.update(tree_map_with_path(values, network.parameters()))
    return network


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize("model", LAUNCHED)
def test_a_network_with_kernels_equals_the_plain_one(model, monkeypatch):
    card = CATALOG[model]
    if "attention" not in card.takes:
        blocks = importlib.import_module(f"tests.models.{card.family.name}.blocks")
        monkeypatch.setattr(blocks, "lazy", drawn)
    case = CASES.get(model, CASE)._replace(patch=card.geometry.patch[1])
    call, latents = call_of(model, case)
    x = mx.random.normal(latents.shape, key=mx.random.key(0))
    plain = np.array(call(x))
    with emulated(watched=False) as log:
        ours = np.array(call(x))
    assert {name for name, *_ in log.log} == LAUNCHED[model]
    assert np.abs(ours - plain).max() <= 1e-4 * np.abs(plain).max()


def test_every_family_is_here():
    families = {CATALOG[name].family.name for name in LAUNCHED}
    assert families == {card.family.name for card in CATALOG.values()}
