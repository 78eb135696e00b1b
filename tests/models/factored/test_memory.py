"""The memory that a plan estimates is what MLX measures."""

from __future__ import annotations

import mlx.core as mx
import pytest

from mlxvid.model.machine import GIB, Machine
from mlxvid.model.memory import RUNTIME_BYTES
from mlxvid.models.factored.config import TransformerConfig, VAEConfig
from mlxvid.models.factored.transformer import FactoredTransformer
from mlxvid.models.factored.vae import FactoredVAE
from mlxvid.run.planning import Plan, plan

# A VAE's estimate is for MLX's own convolutions, which Metal has; those of the CPU copy less.
MORE_ON_METAL = 2.8
CPU = Machine("test", 16 * GIB, 12 * GIB, metal=False)


@pytest.fixture(scope="module")
def transformer():
    return FactoredTransformer(TransformerConfig())


def without_weights(planned: Plan, stage: str, component: str) -> int:
    """Bytes of a stage besides its weights."""
    weights = sum(planned.weights[component].values())
    return planned.stage_bytes[stage] - RUNTIME_BYTES - weights


def check_estimate(estimate: int, work, above: float = 1.35) -> None:
    """The estimate covers what `work` holds at its peak; on the CPU backend it isn't far above
    either. above: how many times that may be.
    """
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    work()
    measured = mx.get_peak_memory() - before
    assert estimate > 0.9 * measured
    if mx.default_device() == mx.Device(mx.cpu):
        assert estimate < above * measured


@pytest.mark.parametrize("attention", ["factored", "full", "spatial"])
def test_denoising(transformer, attention):
    planned = plan(attention=attention, machine=CPU)
    shape = (2, *planned.latent_shape)
    inputs = (
        mx.random.normal((*shape, 16)),
        mx.zeros((*shape, 17)),
        mx.array([0.5, 0.5]),
        mx.zeros((2, 20, transformer.config.text_dim)),
        mx.ones((2, 20), dtype=mx.bool_),
    )
    mx.eval(transformer.parameters(), inputs)
    estimate = without_weights(planned, "denoise", "transformer")
    check_estimate(estimate, lambda: mx.eval(transformer(*inputs, attention)))


@pytest.mark.parametrize(("frames", "width", "height"), [(9, 96, 96), (33, 96, 64), (9, 320, 32)])
def test_decoding(frames, width, height):
    planned = plan(frames=frames, width=width, height=height, machine=CPU)
    vae = FactoredVAE(VAEConfig())
    latents = mx.random.normal((1, *planned.latent_shape, 16))
    mx.eval(vae.parameters(), latents)

    def decode():
        parts = []
        for part in vae.decode(latents):
            parts.append((part * 127).astype(mx.uint8))
            mx.eval(parts[-1])
        assert sum(part.shape[1] for part in parts) == frames

    check_estimate(without_weights(planned, "decode", "vae"), decode, MORE_ON_METAL)


@pytest.mark.parametrize(("frames", "width", "height"), [(33, 96, 96), (33, 96, 64), (65, 96, 96)])
def test_encoding_a_clip(frames, width, height):
    planned = plan(frames=frames, width=width, height=height, from_clip=True, machine=CPU)
    vae = FactoredVAE(VAEConfig())
    pixels = mx.random.randint(0, 256, (frames, height, width, 3)).astype(mx.uint8)
    mx.eval(vae.parameters(), pixels)

    def encode():
        mx.eval(vae.encode(pixels.astype(mx.float32)[None] / 127.5 - 1))

    check_estimate(without_weights(planned, "encode", "vae"), encode, MORE_ON_METAL)
