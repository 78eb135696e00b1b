"""CLIP's text encoder and tokenizer against transformers'."""

from __future__ import annotations

import json
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import numpy as np
import pytest
import tokenizers
from mlx.utils import tree_flatten

from mlxvid.text.clip_text import CLIPTextModel
from mlxvid.text.clip_text_config import CLIP_L, CLIPTextConfig
from mlxvid.text.tokenizer import load_tokenizer
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from .encoders import close, randomised, through  # noqa: E402

SIZES = dict(
    vocab_size=50,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=3,
    max_position_embeddings=13,
    bos_token_id=48,
)


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("eos", [2, 49, 30])
def test_the_state_of_the_end(act, eos, tmp_path):
    """2 stands for the largest id; 49 and 30 for themselves, of which the first one counts."""
    config = transformers.CLIPTextConfig(**SIZES, hidden_act=act, eos_token_id=eos)
    theirs = randomised(transformers.CLIPTextModel(config))
    ours = through(tmp_path, theirs, CLIPTextModel, CLIPTextConfig)
    ids = np.random.default_rng(0).integers(3, 30, (2, 13))
    ends = (5, 11)
    for row, end in enumerate(ends):
        ids[row, end:] = 49 if eos == 2 else eos
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)).pooler_output
    mask = mx.arange(13) <= mx.array(ends)[:, None]
    close(ours(mx.array(ids), mask), expected)
    # What is after the end doesn't count: the prompt alone makes the same.
    close(ours(mx.array(ids[:1, :6]), mask[:1, :6]), expected[:1])


def test_names_of_all_releases(tmp_path):
    """With and without "text_model.", with a projection, and with the whole of a CLIP around it."""
    sizes = {name: size for name, size in SIZES.items() if name != "bos_token_id"}
    network = CLIPTextModel(CLIPTextConfig(**sizes))
    stored = dict(tree_flatten(network.parameters()))
    stored["text_model.embeddings.position_ids"] = mx.zeros((1, 13))
    more = ("text_projection.weight", "visual_projection.weight", "vision_model.x.bias")
    whole = stored | {name: mx.zeros((3, 24)) for name in more} | {"logit_scale": mx.zeros(())}
    fill(network, CLIPTextModel.sanitize(whole), tmp_path)
    bare = {name.removeprefix("text_model."): weight for name, weight in stored.items()}
    fill(network, CLIPTextModel.sanitize(bare), tmp_path)


def test_every_tensor_of_the_real_clip():
    config = transformers.CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_attention_heads=12
    )
    with torch.device("meta"):
        theirs = transformers.CLIPTextModel(config)
    stored = {name: mx.zeros(tuple(t.shape)) for name, t in theirs.state_dict().items()}
    expected = {name: array.shape for name, array in CLIPTextModel.sanitize(stored).items()}
    network = CLIPTextModel(CLIP_L)
    shapes = {name: array.shape for name, array in tree_flatten(network.parameters())}
    assert shapes == expected
    assert sum(np.prod(shape) for shape in shapes.values()) == 123_060_480


# --- tokenizer -----------------------------------------------------------------------------------

WORDS = ["a red ball", "it's the dog's ball and we're glad", "two 12 345 balls!!", "café ünder"] * 3
PROMPTS = [
    "a red ball",
    "A  Red\tBALL,\nit's 12 balls!! (we're)",
    "",
    "cafe\u0301 山 🙂 ½",
    "a ball<|endoftext|> and more",
    "ball " * 30,
]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """CLIP's two files: a vocabulary trained here, with the special tokens at its end."""
    folder = tmp_path_factory.mktemp("clip")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    bpe.train_from_iterator(WORDS, trainer)
    model = json.loads(bpe.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].get)
    pieces += [f"{letter}</w>" for letter in alphabet if f"{letter}</w>" not in model["vocab"]]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    return folder


@pytest.mark.parametrize("form", ["two files", "tokenizer.json"])
@pytest.mark.parametrize("pad", ["longest", "max"])
def test_tokenizers(files, form, pad, tmp_path):
    theirs = transformers.CLIPTokenizer.from_pretrained(files)
    folder = files
    if form == "tokenizer.json":
        theirs.save_pretrained(tmp_path)
        folder = tmp_path
    ours = load_tokenizer(folder, 17)
    assert ours.size == len(theirs)
    padding = {"longest": "longest", "max": "max_length"}[pad]
    for prompts in (PROMPTS, PROMPTS[:1], PROMPTS[2:3]):
        expected = theirs(
            prompts, padding=padding, max_length=17, truncation=True, return_tensors="np"
        )
        ids, mask = ours(prompts, pad=pad)
        assert np.array_equal(np.array(ids), expected["input_ids"])
        assert np.array_equal(np.array(mask), expected["attention_mask"].astype(bool))


def test_a_prompt_that_is_cut_is_told_in_words(files, caplog):
    load_tokenizer(files, 7)(["a red ball a red ball"])
    assert "red ball" in caplog.text and "</w>" not in caplog.text and "5" in caplog.text


@pytest.mark.parametrize("damage", ["no end", "no merges", "not text", "a merge of nothing"])
def test_damaged_files_are_refused(damage, files, tmp_path):
    vocabulary = json.loads((files / "vocab.json").read_text())
    if damage == "no end":
        del vocabulary["<|endoftext|>"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    if damage != "no merges":
        merges = b"\xff\xfe\xff" if damage == "not text" else b"#version: 0.2\nqzx zqx\n"
        (tmp_path / "merges.txt").write_bytes(merges)
    with pytest.raises(mlxvid.WeightsError) as caught:
        load_tokenizer(tmp_path, 17)
    assert str(tmp_path) in str(caught.value) and "again" in str(caught.value)
