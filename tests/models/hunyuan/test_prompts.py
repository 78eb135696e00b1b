"""Prompts in their templates, and the text encoders' states of them, against Diffusers."""

from __future__ import annotations

import json

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest

from mlxvid.errors import WeightsError
from mlxvid.models.hunyuan.prompts import (
    FROM_PICTURE,
    PICTURE,
    VIDEO,
    Template,
    llama_tokenizer,
    text_conditions,
)
from mlxvid.progress import Watch

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers.pipelines.hunyuan_video import pipeline_hunyuan_video as theirs_text  # noqa: E402
from diffusers.pipelines.hunyuan_video import (  # noqa: E402
    pipeline_hunyuan_video_image2video as theirs_picture,
)

from tests.text.encoders import close  # noqa: E402

from .encoders import text_encoders, theirs_cut  # noqa: E402
from .tokenizers_of import PROMPTS, write_llama_tokenizer  # noqa: E402

LONG = "a cat walks on the grass, " * 60


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return text_encoders(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """The tokenizer's folder, by whether the file itself says that the begin token comes first."""
    folder = tmp_path_factory.mktemp("tokenizers")
    write_llama_tokenizer(folder / "begins")
    write_llama_tokenizer(folder / "does not", begins=False)
    return folder


@pytest.mark.parametrize("name", ["begins", "does not"])
@pytest.mark.parametrize("template", [VIDEO, PICTURE, FROM_PICTURE])
def test_a_template_has_as_many_ids_before_the_prompt_as_are_cut_off(name, template, tokenizers):
    """With words for pieces, as those of Llama 3 are, and one begin token."""
    before, _, _ = template.text.partition("{}")
    tokenizer = llama_tokenizer(tokenizers / name, template)
    ids, mask = tokenizer([before])
    assert ids.shape == (1, template.before) and bool(mask.all())
    begin = tokenizer.start[0]
    assert np.array(ids[0]).tolist().count(begin) == 1 and ids[0, 0].item() == begin


def test_the_templates_are_the_reference_s():
    for ours, theirs in ((VIDEO, theirs_text), (FROM_PICTURE, theirs_picture)):
        expected = theirs.DEFAULT_PROMPT_TEMPLATE
        assert ours == Template(expected["template"], expected["crop_start"])


def test_the_picture_is_the_sixth_id(tokenizers):
    ids, _ = llama_tokenizer(tokenizers / "begins", FROM_PICTURE)([FROM_PICTURE.text])
    image = json.loads((tokenizers / "begins" / "tokenizer.json").read_text())["added_tokens"]
    number = next(token["id"] for token in image if token["content"] == "<image>")
    assert np.array(ids[0]).tolist().index(number) == 5


@pytest.mark.parametrize("prompt", [*PROMPTS, LONG])
def test_conditions_of_a_prompt(prompt, both):
    theirs, ours = both
    with torch.no_grad():
        states, pooled, mask = theirs.encode_prompt(prompt, device="cpu")
    (conditions,) = text_conditions(ours, [prompt], Watch(None, None))
    expected = theirs_cut(states, mask)
    assert (expected.shape[1] == 256) == (prompt is LONG)
    close(conditions["text"], expected)
    close(conditions["pooled"], pooled)


def test_each_of_two_prompts_has_its_own_length(both):
    theirs, ours = both
    made = text_conditions(ours, PROMPTS[:2], Watch(None, None))
    assert made[0]["text"].shape != made[1]["text"].shape
    for prompt, conditions in zip(PROMPTS[:2], made, strict=True):
        with torch.no_grad():
            states, pooled, mask = theirs.encode_prompt(prompt, device="cpu")
        close(conditions["text"], theirs_cut(states, mask))
        close(conditions["pooled"], pooled)


def test_a_prompt_that_is_cut_is_told_without_its_template(both, caplog):
    text_conditions(both[1], [LONG], Watch(None, None))
    assert "takes 256 word pieces" in caplog.text and "75 word pieces" in caplog.text


def test_a_tokenizer_of_another_model_is_refused(both, tmp_path):
    folder = both[1].path / "tokenizer_2"
    with pytest.raises(WeightsError) as caught:
        llama_tokenizer(folder, VIDEO)
    assert str(folder) in str(caught.value) and "<|begin_of_text|>" in str(caught.value)
    with pytest.raises(WeightsError):
        llama_tokenizer(tmp_path, VIDEO)
