"""Text encoders, CLIP's image encoder, tokenizers and prompt cleaning against the references.

The references are transformers and Diffusers.
"""

from __future__ import annotations

import io
import json
import resource
import shutil
from pathlib import Path

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import sentencepiece
from mlx.utils import tree_flatten

from mlxvid.model.folder import from_json
from mlxvid.text.clean import clean, clean_caption
from mlxvid.text.clip_vision import CLIPVisionModel, pixels_of
from mlxvid.text.clip_vision_config import CLIPVisionConfig
from mlxvid.text.t5 import T5EncoderModel, UMT5EncoderModel, distance_buckets
from mlxvid.text.t5_config import T5Config, UMT5Config
from mlxvid.text.tokenizer import load_tokenizer
from mlxvid.weights.reading import fill

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from .encoders import close, randomised, through  # noqa: E402

GOLDEN = Path(__file__).parents[1] / "golden" / "opensora12"
T5 = dict(
    vocab_size=50,
    d_model=24,
    d_kv=8,
    d_ff=40,
    num_layers=3,
    num_heads=5,
    relative_attention_num_buckets=16,
    relative_attention_max_distance=20,
    feed_forward_proj="gated-gelu",
)
CLIP = dict(
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=3,
    num_attention_heads=3,
    image_size=28,
    patch_size=7,
)
ENCODERS = {
    "t5": (T5EncoderModel, T5Config, transformers.T5EncoderModel, transformers.T5Config),
    "umt5": (UMT5EncoderModel, UMT5Config, transformers.UMT5EncoderModel, transformers.UMT5Config),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("length", [1, 7, 33])
def test_t5(kind, length, tmp_path):
    ours_class, config_class, theirs_class, their_config = ENCODERS[kind]
    theirs = randomised(theirs_class(their_config(**T5)))
    ours = through(tmp_path, theirs, ours_class, config_class)
    ids = np.random.default_rng(0).integers(0, 50, (2, length))
    mask = np.arange(length) < np.array([[length], [max(1, length // 3)]])
    with torch.no_grad():
        output = theirs(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    states = ours(mx.array(ids), mx.array(mask))
    close(states, output.last_hidden_state)
    # Ids beyond the text's end don't change the states of its tokens.
    end = mask[1].sum()
    ids[1, end:] = 7
    again = ours(mx.array(ids), mx.array(mask))
    assert mx.allclose(again[1, :end], states[1, :end], atol=1e-5)


def test_distances_fall_into_the_reference_s_buckets():
    for buckets, farthest, length in ((32, 128, 512), (16, 20, 40), (32, 64, 100)):
        sizes = {
            "relative_attention_num_buckets": buckets,
            "relative_attention_max_distance": farthest,
            "num_layers": 1,
        }
        config = transformers.T5Config(**{**T5, **sizes})
        attention = transformers.T5EncoderModel(config).encoder.block[0].layer[0].SelfAttention
        offset = torch.arange(length)[None] - torch.arange(length)[:, None]
        expected = attention._relative_position_bucket(offset, True, buckets, farthest).numpy()
        assert np.array_equal(np.array(distance_buckets(length, buckets, farthest)), expected)


@pytest.mark.parametrize(
    "names", ["shared.weight", "encoder.embed_tokens.weight", "both, and a decoder"]
)
def test_t5_has_one_embedding_under_either_name(names):
    config = T5Config(**T5)
    weights = dict(tree_flatten(T5EncoderModel(config).parameters()))
    stored = dict(weights)
    if names != "shared.weight":
        stored["encoder.embed_tokens.weight"] = stored["shared.weight"]
    if names == "encoder.embed_tokens.weight":
        del stored["shared.weight"]
    if "decoder" in names:
        stored |= {
            "decoder.block.0.layer.0.SelfAttention.q.weight": mx.zeros((1,)),
            "lm_head.weight": mx.zeros((1,)),
        }
    network = T5EncoderModel(config)
    fill(network, T5EncoderModel.sanitize(stored), "here")
    assert mx.array_equal(network.shared.weight, weights["shared.weight"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("bits", [None, 4])
def test_t5_does_not_overflow_in_half_precision(dtype, bits, tmp_path):
    """States leave float16's range in the middle of the network, as those of the large T5s do."""
    config = {**T5, "d_model": 64, "d_ff": 64, "num_heads": 8}
    theirs = randomised(transformers.T5EncoderModel(transformers.T5Config(**config)))
    with torch.no_grad():
        for block in theirs.encoder.block[:2]:
            for name in ("wi_0", "wi_1"):
                getattr(block.layer[1].DenseReluDense, name).weight.mul_(60)
            block.layer[1].DenseReluDense.wo.weight.mul_(100)
    ids = np.arange(14).reshape(2, 7)
    mask = np.ones((2, 7), bool)
    with torch.no_grad():
        output = theirs(
            torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), output_hidden_states=True
        )
    assert output.hidden_states[1].abs().max() > 65504
    network = through(tmp_path, theirs, T5EncoderModel, T5Config)
    network.set_dtype(getattr(mx, dtype))
    if bits:
        nn.quantize(network, 64, bits, class_predicate=network.quantizable)
        assert "scales" in network.encoder.block[0].layer[1].DenseReluDense.wo
        assert "scales" not in network.shared
    states = network(mx.array(ids), mx.array(mask))
    assert states.dtype == mx.float32 and mx.isfinite(states).all()
    expected = output.last_hidden_state.numpy()
    error = np.abs(np.array(states) - expected).mean() / np.abs(expected).mean()
    assert error < {None: 0.05, 4: 0.5}[bits]


def test_a_t5_of_another_kind_is_refused(tmp_path):
    with pytest.raises(mlxvid.WeightsError) as caught:
        from_json(T5Config, {"feed_forward_proj": "relu"}, tmp_path)
    assert "feed_forward_proj" in str(caught.value) and "'relu'" in str(caught.value)
    with pytest.raises(ValueError):
        T5Config()  # the reference's default is T5 1.0


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_clip_vision(act, tmp_path):
    config = transformers.CLIPVisionConfig(**CLIP, hidden_act=act)
    theirs = randomised(transformers.CLIPVisionModel(config))
    ours = through(tmp_path, theirs, CLIPVisionModel, CLIPVisionConfig)
    pixels = np.random.default_rng(0).standard_normal((2, 28, 28, 3)).astype(np.float32)
    with torch.no_grad():
        output = theirs(torch.from_numpy(pixels).permute(0, 3, 1, 2), output_hidden_states=True)
    close(ours(mx.array(pixels)), output.hidden_states[-2])


def test_clip_vision_names_of_all_releases(tmp_path):
    """Some have "vision_model.", and some a buffer and a projection that nothing reads."""
    network = CLIPVisionModel(CLIPVisionConfig(**CLIP))
    stored = {"vision_model.embeddings.position_ids": mx.zeros((1, 17))}
    for name, weight in tree_flatten(network.parameters()):
        stored[name] = mx.moveaxis(weight, -1, 1) if weight.ndim > 2 else weight
    with_projection = {**stored, "visual_projection.weight": mx.zeros((3, 24))}
    fill(network, CLIPVisionModel.sanitize(with_projection), tmp_path)
    bare = {name.removeprefix("vision_model."): weight for name, weight in stored.items()}
    fill(network, CLIPVisionModel.sanitize(bare), tmp_path)


PREPROCESSORS = {
    "the usual": {},
    "old": {"size": 30, "crop_size": 28, "resample": 2},
    "square": {"size": {"height": 31, "width": 40}, "crop_size": {"height": 28, "width": 33}},
    "plain": {"do_center_crop": False, "do_normalize": False, "size": {"shortest_edge": 25}},
    "raw": {
        "do_resize": False,
        "do_rescale": False,
        "crop_size": {"height": 11, "width": 12},
        "image_mean": [1, 2, 3],
        "image_std": [4, 5, 6],
    },
}


@pytest.mark.parametrize("shape", [(224, 224), (480, 833), (833, 480), (37, 301), (12, 13)])
@pytest.mark.parametrize("name", PREPROCESSORS)
def test_pictures_are_prepared_for_clip(name, shape, tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    processor = transformers.CLIPImageProcessorPil(**PREPROCESSORS[name])
    processor.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "preprocessor_config.json").read_text())
    made = processor(picture, return_tensors="np", input_data_format="channels_last")
    expected = made["pixel_values"].transpose(0, 2, 3, 1)
    # With every key written out, and with those alone that are not the default.
    for config in (written, PREPROCESSORS[name]):
        ours = np.array(pixels_of(picture, config))
        assert ours.shape == expected.shape and np.abs(ours - expected).max() < 1e-5


XXL = dict(
    d_model=4096,
    d_kv=64,
    d_ff=10240,
    num_layers=24,
    num_heads=64,
    feed_forward_proj="gated-gelu",
)
# Kind, size of the vocabulary and number of parameters.
INVENTORY = {
    "umt5-xxl": ("umt5", 256384, 5_680_910_336),
    "t5-v1_1-xxl": ("t5", 32128, 4_762_310_656),
}


def inventory(network, sanitize) -> dict[str, tuple]:
    """A PyTorch network's names and shapes after `sanitize`; lazy arrays take no memory."""
    stored = {name: mx.zeros(tuple(t.shape)) for name, t in network.state_dict().items()}
    return {name: tuple(array.shape) for name, array in sanitize(stored).items()}


def ours(network) -> dict[str, tuple]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shapes = {name: tuple(array.shape) for name, array in tree_flatten(network.parameters())}
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2**20, "the weights were made"
    return shapes


@pytest.mark.parametrize("name", INVENTORY)
def test_every_tensor_of_the_real_t5s(name):
    kind, vocab_size, parameters = INVENTORY[name]
    sizes = {**XXL, "vocab_size": vocab_size}
    ours_class, config_class, theirs_class, their_config = ENCODERS[kind]
    with torch.device("meta"):
        theirs = theirs_class(their_config(**sizes))
    shapes = ours(ours_class(config_class(**sizes)))
    assert shapes == inventory(theirs, ours_class.sanitize)
    assert sum(np.prod(shape) for shape in shapes.values()) == parameters


def test_every_tensor_of_the_real_clip():
    sizes = dict(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=16,
        patch_size=14,
        hidden_act="gelu",
    )
    with torch.device("meta"):
        theirs = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes))
    shapes = ours(CLIPVisionModel(CLIPVisionConfig(**sizes)))
    assert shapes == inventory(theirs, CLIPVisionModel.sanitize)
    assert shapes["vision_model.embeddings.position_embedding.weight"] == (257, 1280)


CORPUS = [
    "a red ball moving left",
    "a blue star on a white background",
    "two green rings, spinning slowly",
    "the café's seven lives",
] * 8
PROMPTS = [
    "a red ball moving left",
    "",
    "   two  green\trings,\nspinning   slowly ",
    "Ärger: the ﬁrst ＣＡＦＥ\u0301's café, e\u0301t 5½ lives™",
    "unknown signs 山雪 and 🙂🙂, side by side",
    "<extra_id_0> a ball <extra_id_17>red</s> again",
    "a" * 200,
    "\u200b zero\u00a0width and hard\u3000spaces \u2028 here",
]


def charsmap(model: bytes) -> bytes:
    """The normaliser's table in a sentencepiece model: field 2 of field 3 of its protobuf."""
    return _field(_field(model, 3), 2)


def _field(data: bytes, wanted: int) -> bytes:
    """The content of a protobuf message's field of that number."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        wire_type = key & 7
        size = {1: 8, 5: 4}.get(wire_type, 0)
        if wire_type == 0:
            _, at = _varint(data, at)
        elif wire_type == 2:
            size, at = _varint(data, at)
        if key >> 3 == wanted:
            return data[at : at + size]
        at += size
    raise AssertionError(f"no field {wanted}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A protobuf's number at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        shift += 7
        if byte < 128:
            return value, at


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory):
    """A T5 tokenizer as transformers saves it, and the sentencepiece model that it is made of."""
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=file,
        vocab_size=90,
        model_type="unigram",
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    vocab = [(model.id_to_piece(i), model.get_score(i)) for i in range(model.get_piece_size())]
    vocab += [(f"<extra_id_{i}>", 0.0) for i in range(99, -1, -1)]
    folder = tmp_path_factory.mktemp("tokenizer")
    transformers.T5Tokenizer(
        vocab=vocab, _spm_precompiled_charsmap=charsmap(file.getvalue())
    ).save_pretrained(folder)
    (folder / "spiece.model").write_bytes(file.getvalue())
    return folder


@pytest.mark.parametrize("file", ["tokenizer.json", "spiece.model"])
@pytest.mark.parametrize("pad", ["longest", "max"])
def test_tokenizers(tokenizer_folder, file, pad, tmp_path):
    theirs = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
    for name in (file, "tokenizer_config.json"):
        shutil.copy(tokenizer_folder / name, tmp_path / name)
    ours = load_tokenizer(tmp_path, 40)
    assert ours.size == len(theirs)
    padding = {"longest": "longest", "max": "max_length"}[pad]
    for prompts in (PROMPTS, PROMPTS[:1], PROMPTS[1:2]):
        expected = theirs(
            prompts, padding=padding, max_length=40, truncation=True, return_tensors="np"
        )
        ids, mask = ours(prompts, pad=pad)
        assert np.array_equal(np.array(ids), expected["input_ids"])
        assert np.array_equal(np.array(mask), expected["attention_mask"].astype(bool))


# What LattePipeline's cleaning made of them, with BeautifulSoup 4.15 and ftfy 6.3.
CAPTIONS = [
    ("", ""),
    ("   ", ""),
    ('"Quoted"', "quoted"),
    ("'It's' -", "it's"),
    (
        "<p>One<br>two</p><script>var x = 1 < 2;</script> &lt;three&gt; &#65;&#x42; &nosuch; AT&T",
        "onetwo ab nosuch att",
    ),
    (
        "ruby <ruby>漢<rt>kan</rt></ruby> <!-- hidden --> <template>not shown</template> end",
        "ruby end",
    ),
    (
        "see http://www.example.com/a/b?c=d&e and www.site.org/page_1 or mail me@host.net",
        "see ?c=d e and or mail me",
    ),
    ("JC6640 jc6640vc 6640vc231 j2d1a2a b2b", ""),
    ("photo_12.JPG images, PNG image of #12 #123456 and 1234567, page 12", "images, of and"),
    ("Worldwide free shipping! Free download free click on this", "!"),
    ("3.5x4 10×20 7х8 sizes at 12:30   ", "3. sizes at 12:30"),
    ("!!!***SALE***!!! ... wow . end", "!!! sale !!! wow end"),
    ("â€œmojibakeâ€\x9d cafÃ© naïve", '"mojibake" cafã naïve'),
    ("％ full ﾊﾝｶｸ width ㈱ 〜 ー ‐ – — ―", "% full ハンカク width ー"),
    ("\\n literal\\nnewline\nreal\ttab", "literal newline real tab"),
    ("a,b.c/d;e", "a, b. c d;e"),
    (".hidden", ""),
    ("-dash at both ends-", "dash at both ends"),
    ("x_y-z_w-v", "x y z w v"),
    ("x_y-z_w", "x_y-z_w"),
    ("emoji 🙂 ½ ¾ ™ ® ©", "emoji 🙂"),
    ("%41%20plus+signs%zz", "a plus signs%zz"),
    ("it&amp;amp;s &quot &quot;q&quot; &Eacute;", 'it;s " "q" é'),
]


@pytest.mark.parametrize(("caption", "expected"), CAPTIONS)
def test_captions_are_cleaned_as_in_latte(caption, expected):
    assert clean_caption(caption) == expected


def test_captions_are_cleaned_as_in_opensora():
    pairs = json.loads((GOLDEN / "text_and_strategy.json").read_text())["caption_cleaning"]
    assert len(pairs) > 10
    for pair in pairs:
        assert clean_caption(pair["in"]) == pair["out"]


@pytest.mark.filterwarnings("ignore")  # BeautifulSoup's, that a caption looks like an address
def test_captions_against_latte_itself(monkeypatch):
    soup = pytest.importorskip("bs4").BeautifulSoup
    from diffusers.pipelines.latte import pipeline_latte

    monkeypatch.setattr(pipeline_latte, "BeautifulSoup", soup, raising=False)
    monkeypatch.setattr(pipeline_latte, "is_bs4_available", lambda: True)
    latte = object.__new__(pipeline_latte.LattePipeline)
    captions = [caption for caption, _ in CAPTIONS] + [
        "<![CDATA[data]]> <rt>a<![CDATA[b]]>",
        "</b></p>x<b",
        "1 < 2 & 3 > 2",
        "<a b='>'>c",
    ]
    expected = latte._text_preprocessing(captions, clean_caption=True)
    assert [clean_caption(caption) for caption in captions] == expected


def test_html_that_a_parser_refuses_is_no_error():
    # How much of the rest stays depends on Python's version.
    assert clean_caption("A cat <![odd[ thing").startswith("a cat")


def test_prompts_are_cleaned_as_in_wan():
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    prompts = [caption for caption, _ in CAPTIONS] + [
        *PROMPTS,
        "&amp;lt;b&amp;gt;",
        "l’œuvre\r\n\x00 of\u2028lines ",
        "A  Cat &hearts; &#28;",
    ]
    assert [clean(prompt) for prompt in prompts] == [prompt_clean(prompt) for prompt in prompts]
    assert clean(" â€œA  catâ€\x9d &amp;amp; a\ndog ") == '"A cat" & a dog'
