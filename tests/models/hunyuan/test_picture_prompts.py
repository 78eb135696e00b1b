"""Prompts with a picture, and LLaVA's states of both, against Diffusers."""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import numpy as np
import pytest
from PIL import Image

from mlxvid.errors import SettingError
from mlxvid.models.hunyuan.picture_prompts import picture_conditions
from mlxvid.progress import Watch

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from tests.text.encoders import close  # noqa: E402

from .encoders import picture_encoders, theirs_cut  # noqa: E402
from .tokenizers_of import PROMPTS  # noqa: E402

LONG = "a cat walks on the grass, " * 60
# The answer's header is there in part: as long as it can be, and one id longer.
NEARLY = ["the " * count for count in (251, 252, 253, 254, 255)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return picture_encoders(tmp_path_factory.mktemp("model"))


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("every", [2, 4])
@pytest.mark.parametrize("prompt", [*PROMPTS, LONG, *NEARLY])
def test_conditions_of_a_prompt_and_its_picture(prompt, every, both):
    theirs, ours = both
    given = picture(0, 61, 90)
    with torch.no_grad():
        states, pooled, mask = theirs.encode_prompt(
            Image.fromarray(given), prompt, device="cpu", image_embed_interleave=every
        )
    (conditions,) = picture_conditions(ours, [prompt], [given], every, Watch(None, None))
    expected = theirs_cut(states, mask)
    assert expected.shape[1] > 576 // every
    close(conditions["text"], expected)
    close(conditions["pooled"], pooled)


def test_each_prompt_has_its_own_picture(both):
    theirs, ours = both
    pictures = [np.zeros((50, 70, 3), np.uint8), picture(1, 50, 70)]
    made = picture_conditions(ours, PROMPTS[:2], pictures, 4, Watch(None, None))
    for prompt, given, conditions in zip(PROMPTS[:2], pictures, made, strict=True):
        with torch.no_grad():
            states, _, mask = theirs.encode_prompt(
                Image.fromarray(given), prompt, device="cpu", image_embed_interleave=4
            )
        close(conditions["text"], theirs_cut(states, mask))


def test_a_prompt_can_t_write_the_picture_s_token_out(both):
    with pytest.raises(SettingError) as caught:
        picture_conditions(both[1], ["a <image>"], [picture(0, 50, 50)], 4, Watch(None, None))
    assert caught.value.setting == "prompt" and "<image>" in str(caught.value)
