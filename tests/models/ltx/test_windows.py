"""Long clips in windows, against Diffusers' LTXI2VLongMultiPromptPipeline on a tiny model."""

from __future__ import annotations

import mlxvid  # before MLX

# isort: split
from itertools import count

import mlx.core as mx
import numpy as np
import pytest

from mlxvid.errors import SettingError
from mlxvid.models.ltx.geometry import LTXGeometry
from mlxvid.models.ltx.keys import key_of
from mlxvid.models.ltx.recipes import DISTILLED
from mlxvid.models.ltx.texts import texts_of
from mlxvid.run.planning import plan

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from diffusers.pipelines.ltx import pipeline_ltx_i2v_long_multi_prompt as theirs  # noqa: E402

from tests.media.moving import moving  # noqa: E402

from . import tiny as tiny_ltx  # noqa: E402
from .pipelines import FPS, NEGATIVE, SEED, noise  # noqa: E402
from .reference import CHANNELS  # noqa: E402

TEXTS = ["a red ball moving left", "a blue star on a white background"]
SIZE = dict(width=64, height=32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pipe = tiny_ltx.pipeline("C", "LTXConditionPipeline")
    folder = tiny_ltx.saved(pipe, tmp_path_factory.mktemp("ltx") / "long", "0.9.8-2b-distilled")
    long = theirs.LTXI2VLongMultiPromptPipeline(**pipe.components)
    long.set_progress_bar_config(disable=True)
    # It doesn't tell T5 where a prompt ends; the release and its other pipeline do.
    long._get_t5_prompt_embeds = pipe._get_t5_prompt_embeds
    return long, folder


@pytest.mark.parametrize("steps", [8, 3])
def test_windows_are_the_references(model, monkeypatch, steps):
    """Two windows and a part of a third; the latents, before they are decoded."""
    long, folder = model
    frames = 1 + 8 * 18
    latents = noise(frames, **SIZE)
    starts = iter([0, 7, 14])
    windows = count()

    def drawn(shape, **_):
        """The clip's own noise in the window, and ours in what stands after it."""
        number = next(windows)
        start = next(starts)
        own = latents[:, :, start : start + 10]
        if not number:
            return torch.tensor(own)
        key = key_of(SEED, "windows", number)
        front = mx.random.normal((1, 3, *own.shape[3:], CHANNELS), key=key)
        return torch.tensor(np.concatenate([own, np.array(front).transpose(0, 4, 1, 2, 3)], axis=2))

    monkeypatch.setattr(theirs, "randn_tensor", drawn)
    times = [DISTILLED[i * 8 // steps] for i in range(steps)]
    # Its loop leaves out the last of the times: here, the one after the last step.
    wanted = long(
        prompt=" | ".join(TEXTS),
        negative_prompt=NEGATIVE,
        num_frames=frames,
        frame_rate=FPS,
        guidance_scale=1.0,
        sigmas=[*times, 0.0],
        latents=torch.tensor(latents),
        seed=SEED,
        max_sequence_length=256,
        output_type="latent",
        **SIZE,
    ).frames
    pipe = mlxvid.load(str(folder))
    made = []
    decode = pipe.model.finish
    monkeypatch.setattr(
        pipe.model, "finish", lambda x, *rest: made.append(np.array(x)) or decode(x, *rest)
    )
    pipe.generate(
        "|".join(TEXTS),
        frames=frames,
        fps=FPS,
        steps=steps,
        guidance=1.0,
        latents=latents,
        seed=SEED,
        options={"upscale": False},
        **SIZE,
    )
    assert np.abs(made[0].transpose(0, 4, 1, 2, 3) - wanted.numpy()).max() < 1e-4


def test_which_windows_a_clip_has():
    geometry = LTXGeometry(8, 32, 128, (1, 1, 1))
    assert geometry.windows(10) == [range(10)]
    assert geometry.windows(18) == [range(10), range(7, 17), range(14, 18)]
    for length in range(1, 60):
        theirs_too = theirs.split_into_temporal_windows(length, 10, 3, 8)
        assert [(w.start, w.stop) for w in geometry.windows(length)] == theirs_too
    for windows in range(2, 9):
        least = geometry.latent_frames(geometry.least_frames(windows))
        assert len(geometry.windows(least)) == windows == len(geometry.windows(least - 1)) + 1
    assert geometry.at_once(257, 64, 32) == 257
    assert geometry.at_once(2001, 64, 32) == geometry.at_once(265, 64, 32) < 110


def test_texts():
    assert texts_of(" a | b|c ") == ["a", "b", "c"]
    assert texts_of("a||") == ["a"]
    assert texts_of("") == [""]


def test_more_texts_than_windows(model):
    with pytest.raises(SettingError, match=r"`prompt` has 3 texts.*97.*\(2\).*137 `frames`"):
        mlxvid.load(str(model[1])).generate("a|b|c", frames=97, **SIZE)


@pytest.mark.parametrize("asked", [{"frames": 97, "prompt": "a|b"}, {"frames": 265}])
def test_windows_are_one_pass_at_the_whole_size(folder_of, caplog, asked):
    pipe = mlxvid.load(str(folder_of("0.9.8-2b-distilled")))
    request = {"prompt": "a", "steps": 1, "seed": 1, "width": 64, "height": 64, **asked}
    clip = pipe.generate(**request)
    assert clip.settings["options"]["upscale"] is False
    assert sum("without `upscale`" in record.getMessage() for record in caplog.records) == 1
    long = plan(pipe.model.card, frames=265, width=64, height=64)
    alone = plan(pipe.model.card, frames=265, width=64, height=64, options={"upscale": False})
    assert long.stage_bytes == alone.stage_bytes
    short = {"frames": 97, "width": 640, "height": 640}
    one = plan(pipe.model.card, **short, options={"upscale": False})
    assert one.peak_bytes < plan(pipe.model.card, **short).peak_bytes


def test_a_clip_that_is_given_goes_on_in_the_next_window(folder_of, monkeypatch):
    """It begins in the last latent frame of a window; the others are those of the next, unchanged
    where they hold.
    """
    pipe = mlxvid.load(str(folder_of("0.9.6-distilled")))
    frames = 1 + 8 * 19
    clip = moving(25, 64, 32)
    other = clip.copy()
    other[1:] = 255 - clip[1:]
    made = []
    finish = pipe.model.finish
    monkeypatch.setattr(
        pipe.model, "finish", lambda x, *rest: made.append(np.array(x)) or finish(x[:, :1], *rest)
    )
    same = dict(frames=frames, steps=1, seed=1, options={"prepare": False}, **SIZE)
    for prompt, given in (("a|b", clip), ("c|d", clip), ("a|b", other)):
        pipe.generate(prompt, join=given, **same)
    first, with_other_texts, with_other_clip = made
    np.testing.assert_allclose(with_other_texts[:, -3:], first[:, -3:], atol=1e-6)
    assert np.abs(with_other_texts - first)[:, :-3].max() > 0.1
    assert np.abs(with_other_clip - first)[:, -3:].max() > 0.1
