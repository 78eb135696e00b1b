"""Few-step LoRAs as released: their keys on the real sizes, and what they are run with."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import math

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from mlxvid.errors import SettingError
from mlxvid.models.wan import few_steps
from mlxvid.models.wan.config import WanTransformerConfig
from mlxvid.models.wan.original import transformer_name
from mlxvid.models.wan.transformer import WanTransformer3DModel
from mlxvid.weights.lora_layers import apply_lora
from tests.facts import facts
from tests.weights.lora_tensors import arrays, random, same, weights, written

from .loras import network, run

pytest.importorskip("torch")
pytest.importorskip("diffusers")
from . import tiny as tiny_wan  # noqa: E402

RANK = 64
I2V = dict(in_channels=36, image_dim=1280, added_kv_proj_dim=5120)
# Of wan2.1_i2v_lora_rank64_lightx2v_4step.safetensors at lightx2v/Wan2.1-Distill-Loras: bytes,
# pairs of factors and full differences, as loaders of it on GitHub state them.
I2V_BYTES = 739_472_104
I2V_PAIRS = 487
I2V_DIFFERENCES = 775


def released(
    pictures: bool, dim: int = 5120, ffn: int = 13824, blocks: int = 40, **sizes: int
) -> dict[str, tuple[int, ...]]:
    """The keys and shapes of LightX2V's LoRAs: factors of every matrix but the first and the last,
    which are whole, as are all biases and norms.
    """
    rank = sizes.get("rank", RANK)
    text = sizes.get("text", 4096)
    freq = sizes.get("freq", 256)
    image = sizes.get("image", 1280)
    channels = sizes.get("channels", 36 if pictures else 16)
    out = sizes.get("out", 64)
    layers = {
        "text_embedding.0": (dim, text),
        "text_embedding.2": (dim, dim),
        "time_embedding.0": (dim, freq),
        "time_embedding.2": (dim, dim),
        "time_projection.1": (6 * dim, dim),
    }
    norms = {}
    biases = {"patch_embedding": dim, "head.head": out}
    if pictures:
        layers |= {"img_emb.proj.1": (image, image), "img_emb.proj.3": (dim, image)}
        norms |= {"img_emb.proj.0": image, "img_emb.proj.4": dim}
        biases |= norms
    for block in range(blocks):
        name = f"blocks.{block}"
        attention = [
            f"{name}.{kind}.{part}" for kind in ("self_attn", "cross_attn") for part in "qkvo"
        ]
        normed = [
            f"{name}.{kind}.norm_{part}" for kind in ("self_attn", "cross_attn") for part in "qk"
        ]
        if pictures:
            attention += [f"{name}.cross_attn.{part}_img" for part in "kv"]
            normed.append(f"{name}.cross_attn.norm_k_img")
        layers |= dict.fromkeys(attention, (dim, dim))
        layers |= {f"{name}.ffn.0": (ffn, dim), f"{name}.ffn.2": (dim, ffn)}
        norms |= dict.fromkeys([*normed, f"{name}.norm3"], dim)
        biases[f"{name}.norm3"] = dim
    shapes = {"patch_embedding.diff": (dim, channels, 1, 2, 2), "head.head.diff": (out, dim)}
    for name, (rows, columns) in layers.items():
        shapes[f"{name}.lora_down.weight"] = (rank, columns)
        shapes[f"{name}.lora_up.weight"] = (rows, rank)
        shapes[f"{name}.diff_b"] = (rows,)
    shapes |= {f"{name}.diff": (width,) for name, width in norms.items()}
    shapes |= {f"{name}.diff_b": (width,) for name, width in biases.items()}
    return {f"diffusion_model.{key}": shape for key, shape in shapes.items()}


def test_the_list_of_keys_is_the_released_files():
    """Two bytes a number make up the file but for its header: about 120 bytes a tensor."""
    shapes = released(pictures=True)
    pairs = [key for key in shapes if key.endswith(".lora_down.weight")]
    assert len(pairs) == I2V_PAIRS
    assert len(shapes) - 2 * len(pairs) == I2V_DIFFERENCES
    header = I2V_BYTES - 2 * sum(map(math.prod, shapes.values()))
    assert 100 < header / len(shapes) < 140


@pytest.mark.parametrize("pictures", [True, False])
def test_every_tensor_has_a_place_at_the_real_size(pictures):
    """Shapes alone: nothing is evaluated."""
    config = WanTransformerConfig(**(I2V if pictures else {}))
    shapes = released(pictures)
    tensors = {key: mx.zeros(shape, mx.bfloat16) for key, shape in shapes.items()}
    network = WanTransformer3DModel(config)
    before = dict(tree_flatten(network.parameters()))
    assert apply_lora(network, tensors, 1.0, "a LoRA") is None
    after = dict(tree_flatten(network.parameters()))
    changed = {name for name in after if after[name] is not before[name]}
    unchanged = after.keys() - changed
    assert all("scale_shift_table" in name for name in unchanged)
    assert len(unchanged) == 41


def tiny_lora(pictures: bool) -> dict[str, np.ndarray]:
    shapes = released(
        pictures,
        64,
        96,
        2,
        rank=3,
        text=32,
        freq=32,
        image=32,
        channels=6 if pictures else 4,
        out=16,
    )
    return {key: random(*shape, seed=i) * 0.05 for i, (key, shape) in enumerate(shapes.items())}


def test_merged_is_unmerged():
    """In whole weights the sum, beside 8-bit ones the products: the same outputs but for what the
    bits lose, which is no more with the LoRA than without.
    """
    tensors = tiny_lora(True)
    plain = network(pos_embed_seq_len=None)
    quantized = network(8, pos_embed_seq_len=None)
    lost = np.abs(run(plain) - run(quantized)).max()
    before = run(plain)
    for one in (plain, quantized):
        assert apply_lora(one, arrays(tensors), 0.8, "a LoRA") is None
    assert np.abs(run(plain) - before).max() > 20 * lost
    assert np.abs(run(plain) - run(quantized)).max() < 3 * lost


def test_merging_by_hand_gives_the_same_weights():
    tensors = tiny_lora(True)
    plain = network(pos_embed_seq_len=None)
    before = weights(plain)
    apply_lora(plain, arrays(tensors), 0.5, "a LoRA")
    after = dict(before)
    given = {key.removeprefix("diffusion_model."): value for key, value in tensors.items()}
    for key, value in given.items():
        layer, _, part = key.rpartition(".")
        if part == "diff_b":
            place = f"{transformer_name(layer)}.bias"
        elif part == "diff":
            place = f"{transformer_name(layer)}.weight"
            value = patches(value) if value.ndim == 5 else value
        elif key.endswith(".lora_up.weight"):
            layer = key.removesuffix(".lora_up.weight")
            place = f"{transformer_name(layer)}.weight"
            value = value @ given[f"{layer}.lora_down.weight"]
        else:
            continue
        after[place] = after[place] + 0.5 * value
    assert same(weights(plain), after)


def patches(kernel: np.ndarray) -> np.ndarray:
    """A patch convolution's kernel as the network's matrix."""
    named = WanTransformer3DModel.sanitize({"patch_embedding.weight": mx.array(kernel)})
    return np.array(named["patch_embedding.weight"])


NAMES = {
    "wan2.1_t2v_14b_lora_rank64_lightx2v_4step.safetensors": few_steps.FOUR_STEPS,
    "wan2.1_i2v_lora_rank64_lightx2v_4step.safetensors": few_steps.FOUR_STEPS,
    "Wan21_T2V_14B_lightx2v_cfg_step_distill_lora_rank64.safetensors": few_steps.FOUR_STEPS,
    "lightx2v/Wan2.1-T2V-14B-StepDistill-CfgDistill-Lightx2v": few_steps.FOUR_STEPS,
    "Wan21_CausVid_14B_T2V_lora_rank32.safetensors": few_steps.CAUSVID,
    "lightx2v/Wan2.1-T2V-14B-CausVid": few_steps.CAUSVID,
    "FastWan_T2V_14B_480p_lora_rank_128_bf16.safetensors": few_steps.DMD,
    "studio_ghibli_wan2.1_t2v_14b_v1.0.safetensors": None,
    "style_24steps.safetensors": None,
    "14b_stepwise.safetensors": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_known_by_names(name):
    assert few_steps.by_names([name]) is NAMES[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_wan.write_model(tmp_path_factory.mktemp("wan") / "t2v", "t2v")


def lora_file(path, metadata=None):
    tensors = {
        "diffusion_model.blocks.0.self_attn.q.lora_down.weight": random(3, 64) * 0.1,
        "diffusion_model.blocks.0.self_attn.q.lora_up.weight": random(64, 3) * 0.1,
        "diffusion_model.blocks.0.self_attn.q.diff_b": random(64) * 0.1,
    }
    return written(path, tensors, metadata)


def test_what_is_not_given_comes_from_the_lora_and_is_said(folder, tmp_path, caplog):
    file = lora_file(tmp_path / "wan2.1_t2v_14b_lora_rank64_lightx2v_4step.safetensors")
    pipe = mlxvid.load(str(folder), loras=[str(file)])
    (note,) = [message for message in caplog.messages if "few steps" in message]
    for fact in (file.name, "`steps` 4", "`guidance` 1", "`sampler` euler-even", "`shift` 5"):
        assert fact in note
    small = dict(width=32, height=16, frames=5, seed=1)
    clip = pipe.generate("a red ball", **small)
    made = clip.settings
    assert (made["steps"], made["guidance"], made["sampler"], made["shift"]) == (
        4,
        1,
        "euler-even",
        5,
    )
    given = dict(steps=4, guidance=1.0, sampler="euler-even", shift=5.0)
    assert np.array_equal(pipe.generate("a red ball", **small, **given).frames, clip.frames)
    own = pipe.generate("a red ball", **small, steps=2, sampler="unipc", shift=3.0).settings
    assert (own["steps"], own["guidance"], own["sampler"], own["shift"]) == (2, 1, "unipc", 3)
    with pytest.raises(SettingError, match=facts("4 steps", "`cache`")):
        pipe.generate("a red ball", **small, steps=20, cache="easy")


def test_the_name_in_the_metadata_counts_too(folder, tmp_path):
    file = lora_file(tmp_path / "fast.safetensors", {"ss_output_name": "FastWan_T2V"})
    card = mlxvid.load(str(folder), loras=[str(file)]).model.card
    assert (card.defaults.steps, card.defaults.sampler, card.shift(832, 480)) == (3, "dmd", 8)


def test_other_loras_and_those_of_scale_0_leave_the_defaults(folder, tmp_path, caplog):
    style = lora_file(tmp_path / "style.safetensors")
    fast = lora_file(tmp_path / "lightx2v.safetensors")
    card = mlxvid.load(str(folder), loras=[str(style), f"{fast}@0"]).model.card
    assert (card.defaults.steps, card.defaults.sampler) == (50, "unipc")
    assert not any("few steps" in message for message in caplog.messages)


def test_a_licence_that_is_not_the_models_is_said(folder, tmp_path, caplog):
    file = lora_file(tmp_path / "Wan21_CausVid_14B_T2V_lora_rank32.safetensors")
    card = mlxvid.load(str(folder), loras=[str(file)]).model.card
    assert card.defaults.steps == 8
    (note,) = [message for message in caplog.messages if "non-commercial" in message]
    assert file.name in note
