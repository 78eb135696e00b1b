"""HunyuanVideo's transformer against Diffusers'."""

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

from diffusers import HunyuanVideoTransformer3DModel as Reference  # noqa: E402

from mlxvid.layers import bounds  # noqa: E402
from mlxvid.models.hunyuan.config import HunyuanVideoTransformerConfig  # noqa: E402
from mlxvid.models.hunyuan.transformer import HunyuanVideoTransformer3DModel  # noqa: E402

from .twins import (  # noqa: E402
    TINY,
    VARIANTS,
    channels_first,
    channels_last,
    close,
    random,
    same_tensors,
    twins,
)

LENGTHS = (3, 9)  # of two prompts, padded to 9
TIMES = np.array([917.3, 42.0], np.float32)
# Not the released 6000: at that angle the last bit of a frequency is 5e-4 of a sinusoid.
GUIDANCE = np.array([600.0, 150.0], np.float32)
RELEASES = {
    "t2v": ({}, 12_821_012_544, 1_264),
    "i2v": ({"image_condition_type": "token_replace"}, 12_821_012_544, 1_264),
    "i2v-33ch": (
        {"in_channels": 33, "guidance_embeds": False, "image_condition_type": "latent_concat"},
        12_810_991_680,
        1_260,
    ),
}


def inputs(config: dict, grid: tuple[int, int, int]) -> list[np.ndarray]:
    """Two clips' latents, padded texts and pooled texts."""
    return [
        random(2, *grid, config["in_channels"], seed=1),
        random(2, max(LENGTHS), config["text_embed_dim"], seed=2),
        random(2, config["pooled_projection_dim"], seed=3),
    ]


def reference(theirs: Reference, lengths, x, text, pooled) -> np.ndarray:
    """Diffusers' velocity of both clips at once, with padding hidden by a mask."""
    mask = torch.arange(text.shape[1]) < torch.tensor(lengths)[:, None]
    guidance = torch.from_numpy(GUIDANCE) if theirs.config.guidance_embeds else None
    with torch.no_grad():
        (y,) = theirs(
            channels_first(x),
            torch.from_numpy(TIMES),
            torch.from_numpy(text),
            mask.long(),
            torch.from_numpy(pooled),
            guidance,
            return_dict=False,
        )
    return channels_last(y)


def ours_of(ours: HunyuanVideoTransformer3DModel, rows: slice, length: int, x, text, pooled):
    guidance = mx.array(GUIDANCE[rows]) if ours.config.guidance_embeds else None
    times = mx.array(TIMES[rows])
    words = mx.array(text[rows, :length])
    return ours(mx.array(x[rows]), times, words, mx.array(pooled[rows]), guidance)


@pytest.mark.parametrize("grid", [(1, 6, 2), (3, 4, 10)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_is_cut_off_where_the_reference_masks_it(variant, grid):
    ours, theirs = twins(VARIANTS[variant])
    given = inputs(VARIANTS[variant], grid)
    expected = reference(theirs, LENGTHS, *given)
    for row, length in enumerate(LENGTHS):
        rows = slice(row, row + 1)
        close(ours_of(ours, rows, length, *given), expected[rows])


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_prompts_of_one_length(variant):
    ours, theirs = twins(VARIANTS[variant])
    given = inputs(VARIANTS[variant], (2, 2, 6))
    close(ours_of(ours, slice(None), 4, *given), reference(theirs, (4, 4), *given))


def test_patches_in_time():
    config = {**TINY, "patch_size_t": 2, "out_channels": 3}
    ours, theirs = twins(config)
    given = inputs(config, (4, 2, 6))
    close(ours_of(ours, slice(None), 4, *given), reference(theirs, (4, 4), *given))


def test_the_released_rotary_tables():
    ours = HunyuanVideoTransformer3DModel(
        HunyuanVideoTransformerConfig(num_layers=0, num_single_layers=0, num_refiner_layers=0)
    ).rope(33, 9, 16, text=5)
    with torch.device("meta"):
        theirs = Reference(num_layers=0, num_single_layers=0, num_refiner_layers=0).rope
    cos, sin = theirs(torch.empty(1, 16, 33, 18, 32))
    for table, expected, unmoved in ((ours.cos, cos, 1), (ours.sin, sin, 0)):
        assert np.abs(np.array(table[:-5]) - expected[:, ::2].numpy()).max() < 1e-5
        assert (np.array(table[-5:]) == unmoved).all()


@pytest.mark.parametrize("name", RELEASES)
def test_every_tensor_of_the_releases_has_its_place(name):
    config, values, tensors = RELEASES[name]
    with torch.device("meta"):
        theirs = Reference(**config)
    before = mx.get_active_memory()
    ours = HunyuanVideoTransformer3DModel(HunyuanVideoTransformerConfig(**config))
    assert same_tensors(ours, theirs) == (values, tensors)
    assert mx.get_active_memory() - before < 10**7  # nothing of the 13 billion was made


def test_defaults_are_the_reference_s():
    with torch.device("meta"):
        theirs = Reference(num_layers=0, num_single_layers=0).config
    ours = dataclasses.asdict(HunyuanVideoTransformerConfig())
    for name in ours.keys() - {"num_layers", "num_single_layers"}:
        expected = theirs[name]
        assert ours[name] == (list(expected) if isinstance(expected, tuple) else expected)
    assert (ours["num_layers"], ours["num_single_layers"]) == (20, 40)


def test_in_small_pieces_it_is_the_same(monkeypatch):
    ours, _ = twins(VARIANTS["token replace"])
    given = inputs(VARIANTS["token replace"], (2, 4, 6))
    whole = ours_of(ours, slice(1), 5, *given)
    monkeypatch.setattr(bounds._Bound, "ops", 5e3)
    shares = []
    with bounds.heard(shares.append):
        pieces = ours_of(ours, slice(1), 5, *given)
    assert [share for share in shares if share is not None] == [0.25, 0.5, 0.75, 1.0]
    assert None in shares
    assert mx.allclose(pieces, whole, atol=1e-5)


def test_guidance_is_given_where_it_has_a_place():
    for variant, guidance in (("text", None), ("text, no guidance", mx.array([1000.0]))):
        ours, _ = twins(VARIANTS[variant])
        x, text, pooled = map(mx.array, inputs(VARIANTS[variant], (1, 2, 2)))
        with pytest.raises(ValueError, match="guidance_embeds"):
            ours(x[:1], mx.array([1.0]), text[:1], pooled[:1], guidance)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"qk_norm": "layer_norm"}, "qk_norm"),
        ({"image_condition_type": "other"}, "image_condition_type"),
        ({"rope_axes_dim": [16, 56, 55]}, "rope_axes_dim"),
        ({"rope_axes_dim": [64, 64]}, "rope_axes_dim"),
        ({"image_condition_type": "token_replace", "patch_size_t": 2}, "patch_size_t"),
    ],
)
def test_configs_of_no_checkpoint_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        HunyuanVideoTransformerConfig(**wrong)


def test_the_blocks_matrices_are_quantized():
    config = {**TINY, "num_attention_heads": 2, "attention_head_dim": 32}
    config = {**config, "rope_axes_dim": [8, 12, 12], "text_embed_dim": 32, "mlp_ratio": 2.0}
    ours = HunyuanVideoTransformer3DModel(HunyuanVideoTransformerConfig(**config))
    nn.quantize(ours, 32, 8, class_predicate=ours.quantizable)
    quantized = set()
    for name, module in ours.named_modules():
        if isinstance(module, nn.QuantizedLinear):
            quantized.add(name)
    matrices = set()
    for name, module in ours.named_modules():
        if isinstance(module, nn.Linear):
            matrices.add(name)
    assert all("transformer_blocks." in name for name in quantized)
    assert not any("transformer_blocks." in name for name in matrices)
    assert len(quantized) == 2 * 14 + 2 * 6


def test_half_precision_stays_near():
    ours, _ = twins(VARIANTS["token replace"])
    given = inputs(VARIANTS["token replace"], (2, 4, 6))
    exact = ours_of(ours, slice(1), 5, *given)
    ours.set_dtype(mx.bfloat16)
    assert {weight.dtype for _, weight in tree_flatten(ours.parameters())} == {mx.bfloat16}
    y = ours_of(ours, slice(1), 5, *given)
    assert y.dtype == mx.bfloat16
    assert 0 < mx.abs(y - exact).max() < 0.15 * mx.abs(exact).max()
