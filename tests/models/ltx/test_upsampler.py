"""LTX-Video's latent upsamplers against Diffusers', and the functions of the original."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
from dataclasses import asdict
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import WeightsError
from mlxvid.layers import bounds
from mlxvid.model.folder import from_json
from mlxvid.models.ltx.upsampler import LTXLatentUpsamplerModel, adain, tone_mapped
from mlxvid.models.ltx.upsampler_config import LTXUpsamplerConfig

torch = pytest.importorskip("torch")
upsampling = pytest.importorskip("diffusers.pipelines.ltx.modeling_latent_upsampler")
pipelines = pytest.importorskip("diffusers.pipelines.ltx.pipeline_ltx_latent_upsample")

from .reference import (  # noqa: E402
    channels_first,
    channels_last,
    close,
    filled,
    random,
    randomised,
)

KINDS = {
    "spatial": dict(spatial_upsample=True, temporal_upsample=False),
    "temporal": dict(spatial_upsample=False, temporal_upsample=True),
    "both": dict(spatial_upsample=True, temporal_upsample=True),
}
# Parameters of the released ones, in 72 tensors each.
RELEASED = {"spatial": 126_250_624, "temporal": 130_968_192}


@pytest.fixture(scope="module", params=sorted(KINDS))
def pair(request):
    """Our network and Diffusers' with the same random weights."""
    values = dict(in_channels=5, mid_channels=64, num_blocks_per_stage=2, **KINDS[request.param])
    theirs = randomised(upsampling.LTXLatentUpsamplerModel(**values), 4)
    return filled(LTXLatentUpsamplerModel(LTXUpsamplerConfig(**values)), theirs), theirs


@torch.no_grad()
def expected_of(theirs, z: np.ndarray) -> np.ndarray:
    return channels_last(theirs(channels_first(z)))


@pytest.mark.parametrize("size", [(1, 2, 3), (4, 3, 5)])
def test_upsampled(pair, size):
    ours, theirs = pair
    z = random(2, *size, 5)
    y = ours(mx.array(z))
    frames, space, _ = ours.config.factors
    assert y.shape[1:4] == (
        frames * size[0] - (frames - 1),
        space * size[1],
        space * size[2],
    )
    close(y, expected_of(theirs, z))


def test_a_frame_an_evaluation_changes_nothing(pair, monkeypatch):
    z = mx.array(random(2, 4, 3, 5, 5))
    expected = pair[0](z)
    monkeypatch.setattr(bounds._Bound, "ops", 1.0)
    close(pair[0](z), np.array(expected))


@pytest.mark.parametrize("kind", sorted(RELEASED))
def test_every_tensor_of_the_releases_has_its_place(kind):
    with torch.device("meta"):
        theirs = upsampling.LTXLatentUpsamplerModel(**KINDS[kind])
    expected = {}
    for name, tensor in theirs.state_dict().items():
        shape = tuple(tensor.shape)
        expected[name] = (shape[0], *shape[2:], shape[1]) if len(shape) > 2 else shape
    network = LTXLatentUpsamplerModel(LTXUpsamplerConfig(**KINDS[kind]))
    ours = {name: tuple(array.shape) for name, array in tree_flatten(network.parameters())}
    assert ours == expected and len(ours) == 72
    assert sum(parameter.numel() for parameter in theirs.parameters()) == RELEASED[kind]


def test_defaults_are_the_reference_s():
    with torch.device("meta"):
        theirs = upsampling.LTXLatentUpsamplerModel().config
    ours = asdict(LTXUpsamplerConfig())
    assert ours == {name: theirs[name] for name in ours}


def test_adain_to_one_position_has_its_mean_alone():
    z = mx.array(random(2, 1, 2, 2, 3))
    like = mx.array(random(2, 1, 1, 1, 3, seed=1))
    made = adain(z, like)
    close(made.mean((1, 2, 3)), like[:, 0, 0, 0])
    close(made.std((1, 2, 3)), z.std((1, 2, 3)))


@pytest.mark.parametrize("factor", [1.0, 0.25])
def test_adain_is_the_pipeline_s(factor):
    z = random(2, 3, 4, 6, 5) * 3 + 1
    like = random(2, 3, 2, 3, 5, seed=1)
    pipeline = pipelines.LTXLatentUpsamplePipeline
    expected = pipeline.adain_filter_latent(None, channels_first(z), channels_first(like), factor)
    close(adain(mx.array(z), mx.array(like), factor), channels_last(expected))


@pytest.mark.parametrize("ratio", [0.0, 0.6, 1.0])
def test_tones_are_mapped_as_by_the_pipeline(ratio):
    z = random(2, 3, 4, 6, 5) * 2
    expected = pipelines.LTXLatentUpsamplePipeline.tone_map_latents(
        None, torch.from_numpy(z), ratio
    ).numpy()
    y = tone_mapped(mx.array(z), ratio)
    close(y, expected)
    assert (np.abs(y) < np.abs(z)).all() == (ratio > 0)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"dims": 2}, "2 dimensions"),
        ({"spatial_upsample": False}, "neither in space nor in time"),
        ({"mid_channels": 100}, "100 mid_channels"),
        ({"num_blocks_per_stage": "4"}, "num_blocks_per_stage"),
    ],
)
def test_other_configs_are_refused(values, why):
    with pytest.raises(WeightsError) as error:
        from_json(LTXUpsamplerConfig, values, Path("latent_upsampler/config.json"))
    message = str(error.value)
    assert message.startswith("latent_upsampler/config.json ") and why in message
