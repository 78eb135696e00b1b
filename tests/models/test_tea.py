"""TeaCache in each family: what its networks say of their input, and what they make of a residual,
against Diffusers' own networks, whose stack is watched and replaced from outside.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from mlxvid import models  # noqa: E402
from mlxvid.layers import stack  # noqa: E402
from mlxvid.model.caching import Tea  # noqa: E402
from mlxvid.model.step_cache import CALLS, SKIPPED, TeaCache  # noqa: E402
from mlxvid.models.ltx.rope import coords, tables  # noqa: E402
from mlxvid.models.ltx.transformer import Times  # noqa: E402
from mlxvid.models.opensora.config import STDiT3Config  # noqa: E402
from mlxvid.models.opensora.transformer import STDiT3  # noqa: E402
from mlxvid.models.wan.config import WanTransformerConfig  # noqa: E402
from mlxvid.models.wan.transformer import WanTransformer3DModel  # noqa: E402
from mlxvid.weights.reading import fill  # noqa: E402
from tests.models.cogvideox import test_transformer as cogvideox  # noqa: E402
from tests.models.hunyuan import test_transformer as hunyuan  # noqa: E402
from tests.models.hunyuan.twins import TINY as HUNYUAN  # noqa: E402
from tests.models.latte import test_parity as latte  # noqa: E402
from tests.models.ltx import test_transformer as ltx  # noqa: E402
from tests.models.wan import tiny as wan  # noqa: E402


@dataclass
class Twins:
    """Our network and Diffusers' as functions of latents and a call's number, which gives the
    timesteps; and of theirs: the first block, the layer after the last one, and what sees the
    signal, as it goes into a layer ("in") or comes out of it ("out").
    """

    ours: Callable[[np.ndarray, int], mx.array]
    theirs: Callable[[np.ndarray, int], np.ndarray]
    shape: tuple[int, ...]
    first: Any
    after: Any
    signal: Any
    seen: str
    others: tuple[Any, ...] = ()

    @property
    def left_out(self) -> tuple[Any, ...]:
        """What of theirs is block 0."""
        return (self.first, *self.others)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def times(call: int) -> np.ndarray:
    """Of two rows."""
    return np.array([917.0, 420.0], np.float32) - 30 * call


def of_wan() -> Twins:
    theirs = wan.randomised(wan.transformer("t2v"), 1)
    config = {name: value for name, value in theirs.config.items() if not name.startswith("_")}
    known = WanTransformerConfig.__dataclass_fields__
    ours = WanTransformer3DModel(
        WanTransformerConfig(**{name: config[name] for name in known if name in config})
    )
    weights = {name: mx.array(value.numpy()) for name, value in theirs.state_dict().items()}
    fill(ours, ours.sanitize(weights), "the twin")
    text = random(2, 9, wan.TEXT, seed=2)

    def reference(x, call):
        (y,) = theirs(
            torch.from_numpy(x).permute(0, 4, 1, 2, 3),
            torch.from_numpy(times(call)),
            torch.from_numpy(text),
            return_dict=False,
        )
        return y.permute(0, 2, 3, 4, 1).numpy()

    return Twins(
        lambda x, call: ours(mx.array(x), mx.array(times(call)), mx.array(text)),
        reference,
        (2, 3, 4, 6, wan.CHANNELS),
        theirs.blocks[0],
        theirs.norm_out,
        theirs.condition_embedder.time_embedder,
        "out",
    )


def of_latte() -> Twins:
    theirs = latte.reference(latte.TINY)
    ours = latte.twin(theirs, latte.TINY)
    _, _, text = latte.inputs(3, 6, 10)

    def whole(call):
        return times(call).astype(np.int32)

    return Twins(
        lambda x, call: ours(mx.array(x), mx.array(whole(call)), mx.array(text)),
        lambda x, call: latte.expected(theirs, x, whole(call), text),
        (2, 3, 6, 10, 4),
        theirs.transformer_blocks[0],
        theirs.norm_out,
        theirs.transformer_blocks[0].attn1,
        "in",
        (theirs.temporal_transformer_blocks[0],),
    )


def of_cogvideox(variant: str) -> Twins:
    config = cogvideox.VARIANTS[variant]
    ours, theirs = cogvideox.twins(config)
    grid = (config["sample_height"], config["sample_width"])
    frames = 4
    x, _, text = cogvideox.inputs(config, (frames, *grid))

    def whole(call):
        return times(call).astype(np.int32)

    return Twins(
        lambda x, call: ours(mx.array(x), mx.array(whole(call)), mx.array(text)),
        lambda x, call: cogvideox.reference(theirs, config, x, whole(call), text),
        x.shape,
        theirs.transformer_blocks[0],
        theirs.norm_final,
        theirs.time_embedding,
        "out",
    )


def of_hunyuan() -> Twins:
    ours, theirs = hunyuan.twins(HUNYUAN)
    x, text, pooled = hunyuan.inputs(HUNYUAN, (2, 2, 6))
    guidance = hunyuan.GUIDANCE

    def reference(x, call):
        (y,) = theirs(
            torch.from_numpy(np.moveaxis(x, -1, 1).copy()),
            torch.from_numpy(times(call)),
            torch.from_numpy(text),
            torch.ones(text.shape[:2]).long(),
            torch.from_numpy(pooled),
            torch.from_numpy(guidance),
            return_dict=False,
        )
        return np.moveaxis(y.numpy(), 1, -1)

    def our(x, call):
        given = map(mx.array, (x, times(call), text, pooled, guidance))
        return ours(*given)

    first = theirs.transformer_blocks[0]
    return Twins(our, reference, x.shape, first, theirs.norm_out, first.norm1, "out")


def of_ltx() -> Twins:
    ours, theirs = ltx.twins(ltx.config())
    grid = (4, 3, 2)
    text = random(2, 7, 11, seed=2)
    positions = {"video_coords": ltx.condition_coords(grid).repeat(2, 1, 1)}
    rope = tables(ours.config, coords(grid, ltx.FPS, True))

    def our(x, call):
        given = (mx.array(x), mx.array(text), mx.array(ltx.MASK), Times.of(times(call) / 1000))
        return ours(*given, rope)

    def reference(x, call):
        return ltx.reference(theirs, x, text, ltx.MASK, times(call) / 1000, **positions)

    first = theirs.transformer_blocks[0]
    return Twins(our, reference, (2, 24, 5), first, theirs.norm_out, first.attn1, "in")


FAMILIES: dict[str, Callable[[], Twins]] = {
    "wan": of_wan,
    "latte": of_latte,
    "cogvideox": lambda: of_cogvideox(next(iter(cogvideox.VARIANTS))),
    "hunyuan": of_hunyuan,
    "ltx": of_ltx,
}


class Watched:
    """The reference's stack: what goes in, what comes out, and what to put in its place."""

    def __init__(self, twins: Twins):
        self.residual = None
        self.signal = None
        twins.first.register_forward_pre_hook(self._before, with_kwargs=True)
        twins.after.register_forward_pre_hook(self._after)
        if twins.seen == "in":
            twins.signal.register_forward_pre_hook(self._signal_in, with_kwargs=True)
        else:
            twins.signal.register_forward_hook(self._signal_out)

    def _before(self, module, args, named):
        self.x = args[0] if args else named["hidden_states"]

    def _after(self, module, args):
        if self.residual is not None:
            return ((self.x + self.residual).to(args[0].dtype), *args[1:])
        self.y = args[0]
        return None

    def _signal_in(self, module, args, named):
        self.signal = args[0] if args else named["hidden_states"]

    def _signal_out(self, module, args, out):
        self.signal = out[0] if isinstance(out, tuple) else out

    def keep_residual(self) -> None:
        self.residual = self.y - self.x


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_goes_on_with_its_residual(family):
    with torch.no_grad():
        twins = FAMILIES[family]()
        watched = Watched(twins)
        xs = [random(*twins.shape, seed=seed) for seed in (1, 2)]
        memory: dict[str, mx.array] = {}
        cache = TeaCache(memory, 0.1, lambda time: "one", lambda change: change / 1e9)

        def our(call: int) -> np.ndarray:
            def evaluate():
                return {"prompt": twins.ours(xs[call], call)}

            return np.array(cache(mx.array(xs[call]), 0.5, ["prompt"], evaluate, False)["prompt"])

        close(our(0), twins.theirs(xs[0], 0))
        watched.keep_residual()
        close(our(1), twins.theirs(xs[1], 1))
        assert (int(memory[CALLS]), int(memory[SKIPPED])) == (2, 1)
        signal = np.array(memory["cache.signal"]).ravel()
        close(signal, watched.signal.numpy().ravel())


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "ltx"])
def test_a_block_that_is_left_out_passes_its_input_on(family):
    with torch.no_grad():
        twins = FAMILIES[family]()
        x = random(*twins.shape, seed=1)

        def left_out(module, args, named, out):
            known = [*args, *named.values()]
            return tuple(known[: len(out)]) if isinstance(out, tuple) else known[0]

        for block in twins.left_out:
            block.register_forward_hook(left_out, with_kwargs=True)
        with stack.without({0}):
            ours = np.array(twins.ours(x, 0))
        close(ours, twins.theirs(x, 0))


def close(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape and theirs.std() > 0.01
    assert np.abs(ours - theirs).max() < 2e-4


def test_open_sora_goes_on_with_its_residual():
    """Of which Diffusers has no class: by its own blocks, called one by one."""
    network = STDiT3(
        STDiT3Config(
            in_channels=4, hidden_size=48, depth=2, num_heads=3, caption_channels=10,
            patch_size=[1, 2, 2],
        )
    )  # fmt: skip
    mx.random.seed(1)
    network.apply(lambda array: 0.3 * mx.random.normal(array.shape))
    text = mx.array(random(2, 5, 10, seed=3))
    seen = {}

    def watch(layer, name):
        class Seen(type(layer)):
            def __call__(self, x, *known):
                seen[name] = x
                return super().__call__(x, *known)

        layer.__class__ = Seen

    watch(network.spatial_blocks[0].attn, "signal")
    watch(network.final_layer, "stacked")
    memory: dict[str, mx.array] = {}
    cache = TeaCache(memory, 0.1, lambda time: "one", lambda change: change / 1e9)

    def call(number: int) -> mx.array:
        x = mx.array(random(2, 3, 4, 6, 4, seed=number))
        fps = mx.array([24.0, 8.0])

        def evaluate():
            y = network(x, mx.array(times(number)), text, None, fps, 32.0, 48.0)
            return {"prompt": y}

        return cache(x, 0.5, ["prompt"], evaluate, False)["prompt"]

    call(0)
    computed = seen["stacked"]
    assert np.allclose(memory["cache.signal"], seen["signal"], atol=1e-6)
    residual = memory["cache.residual.prompt.0"]
    call(1)
    assert not np.allclose(seen["stacked"], computed, atol=1e-2)
    assert np.array_equal(memory["cache.residual.prompt.0"], residual)
    assert int(memory[SKIPPED]) == 1


# --- constants -----------------------------------------------------------------------------------


def test_the_embedded_models_constants():
    tea = next(card.tea for card in models.cards() if card.name == "mini")
    assert tea.threshold == 0.1
    # Distances grow with the change, nearly as far as the clips of the fit have them.
    distances = [tea.distance(change) for change in np.linspace(0.02, 0.35, 34)]
    assert distances[0] > 0 and distances == sorted(distances)


# The threshold, and what np.poly1d makes of ali-vilab/TeaCache's coefficients for a change of .1.
GOLDEN = {
    "wan2.1-t2v-1.3b": (0.05, 0.24992289),
    "wan2.1-t2v-14b": (0.14, -0.63595065),
    "wan2.1-i2v-14b-480p": (0.13, 0.053626948),
    "wan2.1-i2v-14b-720p": (0.2, 0.12299809),
    "ltx-video-0.9.0": (0.03, 0.10141477),
    "hunyuanvideo": (0.1, 0.12919582),
    "cogvideox-2b": (0.1, 0.13528198),
    "cogvideox-5b-i2v": (0.1, 0.090506424),
    "cogvideox1.5-5b": (0.1, 0.17546513),
    "cogvideox1.5-5b-i2v": (0.1, 0.17769748),
    "latte-1": (0.1, 0.56867456),
    "opensora-1.2": (0.1, 0.21593691),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_constants_are_the_authors(name):
    tea = next(card.tea for card in models.cards() if card.name == name)
    threshold, distance = GOLDEN[name]
    assert tea.threshold == threshold
    assert tea.distance(0.1) == pytest.approx(distance)


def test_the_polynomial_is_numpys():
    tea = Tea((2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774), 0.05)
    for change in (0.0, 0.01, 0.05, 0.1, 0.3):
        assert tea.distance(change) == pytest.approx(float(np.poly1d(tea.coefficients)(change)))


def test_which_models_have_constants():
    names = {card.name for card in models.cards() if card.tea is not None}
    assert {
        "mini", "wan2.1-t2v-1.3b", "wan2.1-t2v-14b", "wan2.1-i2v-14b-480p", "wan2.1-i2v-14b-720p",
        "latte-1", "opensora-1.2", "hunyuanvideo", "ltx-video-0.9.0", "ltx-video-0.9.1",
        "cogvideox-2b", "cogvideox-5b", "cogvideox-5b-i2v", "cogvideox1.5-5b",
        "cogvideox1.5-5b-i2v",
    } <= names  # fmt: skip
    assert not {"wan2.1-flf2v-14b-720p", "fasthunyuan", "ltxv-13b-0.9.8-dev"} & names
