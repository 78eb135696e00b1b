"""Guidance against Diffusers' guiders, on random outputs."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

torch = pytest.importorskip("torch")
guiders = pytest.importorskip("diffusers.guiders")
from mlxvid.model.guidance import (  # noqa: E402
    away_from_skipped,
    classifier_free,
    projected,
    zero_star,
)
from mlxvid.model.interval import is_within  # noqa: E402
from mlxvid.model.skipped_layers import SkippedLayers  # noqa: E402

SHAPE = (2, 3, 4, 5, 6)
STEPS = 17


def drawn(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    prompt = rng.standard_normal(SHAPE).astype(np.float32)
    negative = 0.8 * prompt + 0.5 * rng.standard_normal(SHAPE).astype(np.float32)
    return {"prompt": prompt, "negative": negative}


def ours(outputs: dict[str, np.ndarray]) -> dict[str, mx.array]:
    return {name: mx.array(output) for name, output in outputs.items()}


def theirs(guider, outputs: dict[str, np.ndarray], step: int = 5) -> np.ndarray:
    guider.set_state(step, STEPS, torch.tensor(500))
    guider._count_prepared = 1
    passes = [torch.tensor(outputs[name]) for name in ("prompt", "negative")]
    return guider.forward(*passes).pred.numpy()


def near(x: mx.array, y: np.ndarray) -> bool:
    return bool(np.abs(np.array(x) - y).max() < 1e-4)


@pytest.mark.parametrize("scale", [0.5, 3.0, 7.5])
def test_classifier_free(scale):
    outputs = drawn(1)
    guider = guiders.ClassifierFreeGuidance(guidance_scale=scale)
    assert near(classifier_free(ours(outputs), scale), theirs(guider, outputs))


@pytest.mark.parametrize("scale", [0.5, 3.0, 7.5])
def test_zero_star(scale):
    outputs = drawn(2)
    guider = guiders.ClassifierFreeZeroStarGuidance(guidance_scale=scale)
    assert near(zero_star(ours(outputs), scale), theirs(guider, outputs))


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("momentum", [-0.5, -0.75])
@pytest.mark.parametrize("longest", [None, 3.0, 1000.0])
def test_projected_over_several_steps(eta, momentum, longest):
    guider = guiders.AdaptiveProjectedGuidance(
        guidance_scale=6.0,
        adaptive_projected_guidance_momentum=momentum,
        adaptive_projected_guidance_rescale=longest or 0.0,
        eta=eta,
    )
    guider.momentum_buffer = guiders.adaptive_projected_guidance.MomentumBuffer(momentum)
    average = None
    for seed in range(3):
        outputs = drawn(seed)
        made, average = projected(ours(outputs), 6.0, average, momentum, eta, longest)
        assert near(made, theirs(guider, outputs))


def test_of_the_prompts_pass_alone_it_is_that_passs_output():
    outputs = {"prompt": mx.array(drawn(4)["prompt"])}
    assert classifier_free(outputs, 5.0) is outputs["prompt"]
    assert zero_star(outputs, 5.0) is outputs["prompt"]


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.1, 0.8), (0.0, 0.03), (0.5, 0.9)])
def test_an_interval_is_theirs(interval):
    guider = guiders.ClassifierFreeGuidance(start=interval[0], stop=interval[1])
    for step in range(STEPS):
        guider.set_state(step, STEPS, torch.tensor(500))
        assert is_within(step, STEPS, interval) is guider._is_cfg_enabled()


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_away_from_skipped(scale):
    outputs = {**drawn(5), "without layers": drawn(6)["prompt"]}
    guider = guiders.SkipLayerGuidance(
        guidance_scale=scale, skip_layer_guidance_layers=[1], skip_layer_guidance_stop=0.9
    )
    guider.set_state(5, STEPS, torch.tensor(500))
    passes = {name: torch.tensor(output) for name, output in outputs.items()}
    negative = None if scale == 1 else passes["negative"]
    theirs = guider.forward(passes["prompt"], negative, passes["without layers"]).pred.numpy()
    known = ours(outputs)
    if scale == 1:
        del known["negative"]
    assert near(away_from_skipped(known, classifier_free(known, scale), 2.8), theirs)


@pytest.mark.parametrize("reach", [(0.01, 0.2), (0.0, 1.0), (0.2, 0.25)])
def test_the_steps_of_skipped_layers_are_theirs(reach):
    guider = guiders.SkipLayerGuidance(
        skip_layer_guidance_layers=[1],
        skip_layer_guidance_start=reach[0],
        skip_layer_guidance_stop=reach[1],
    )
    skipped = SkippedLayers.of({"skip_layers": "1", "skip_start": reach[0], "skip_stop": reach[1]})
    for step in range(STEPS):
        guider.set_state(step, STEPS, torch.tensor(500))
        assert skipped.is_within(step, STEPS) is guider._is_slg_enabled()
