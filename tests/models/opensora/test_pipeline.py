"""Open-Sora 1.2 from prompt to frames.

There is nothing to install and compare with, so the pipeline is held against

* the reference's own sampling, as the golden data has it: texts, noise and given latents go in, the
  latents after the last step come out;
* its steps done over again here, as plainly as the golden data's FORMAT.md words them, with the
  networks that are proved elsewhere.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
import sentencepiece

from mlxvid.model.conditions import Conditions
from mlxvid.models.opensora.strategy import parse_strategy, put_in
from mlxvid.run.latents import read_latents
from mlxvid.text.clean import clean_caption

from . import tiny as tiny_opensora

GOLDEN = tiny_opensora.GOLDEN
TOLERANCE = 1e-3  # after sampling


def picture(seed: int, width: int, height: int, frames: int | None = None) -> np.ndarray:
    shape = (height, width, 3) if frames is None else (frames, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def latents_of(clip) -> np.ndarray:
    return np.array(read_latents(clip.kept.path)[0])


# --- golden traces -------------------------------------------------------------------------------


def golden(name: str) -> tuple[dict, dict[str, mx.array]]:
    settings = json.loads((GOLDEN / f"{name}.json").read_text())
    return settings, mx.load(str(GOLDEN / f"{name}.safetensors"))


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        ("rflow_plain_notransform", 0),
        ("rflow_plain_notransform", 1),
        ("rflow_masked_0", 0),
        ("rflow_masked_0", 1),
        ("rflow_masked_loop1", 0),
    ],
)
def test_golden_sampling(pipe, monkeypatch, name, sample):
    """One sample of a trace at a time, by generate(): the samples of a batch know nothing of each
    other.
    """
    settings, tensors = golden(name)
    model = pipe.model
    length = int(tensors["in.mask"][sample].sum())
    text = tensors["in.y"][sample, :, :length]  # [1, L, D]: of the one text of the prompt

    def encode_text(prompts, watch):
        rows = len(prompts)
        return Conditions(
            {
                "text": mx.broadcast_to(text[None], (rows, *text.shape)),
                "lengths": mx.full((rows, 1), length),
                "prompted": mx.arange(rows) == rows - 1,
            }
        )

    monkeypatch.setattr(model, "encode_text", encode_text)
    if settings["masked"]:
        encode_inputs = model.encode_inputs
        strategy = parse_strategy(settings["mask_strategy"][sample])
        keys = sorted(key for key in tensors if key.startswith(f"in.ref_{sample}_"))
        references = [mx.moveaxis(tensors[key], 0, -1)[None] for key in keys]
        loop = settings["loop_index"]

        def encode_given(request, watch):
            shape = (1, *model.latent_shape(request), 4)
            given, edit = put_in(shape, references, strategy, loop, settings["align"])
            placed = {"given": given, "edit": mx.array(edit)}
            frames = {"given": 1, "edit": 1}
            return encode_inputs(request, watch).joined(Conditions(placed, frames))

        monkeypatch.setattr(model, "encode_inputs", encode_given)
        noises = tensors["in.step_noise"][:, sample : sample + 1].transpose(0, 1, 3, 4, 5, 2)
        monkeypatch.setattr(model, "fresh", lambda request, number, i, shape: noises[i])
    noise = tensors["in.noise" if settings["masked"] else "z"]
    noise = np.array(noise[sample] if settings["masked"] else noise[0, sample])[None]
    height, width = settings["image_size"]
    clip = pipe.generate(
        "a red ball",
        width=width,
        height=height,
        frames=settings["num_frames"],
        fps=settings["fps"],
        steps=settings["num_sampling_steps"],
        guidance=settings["cfg_scale"],
        latents=noise,
        shift=None if settings["use_timestep_transform"] else 1.0,
    )
    expected = np.moveaxis(np.array(tensors["z"][-1, sample]), 0, -1)[None]
    assert expected.std() > 0.1
    assert np.abs(latents_of(clip) - expected).max() < TOLERANCE
    assert float(tensors["arg.fps"][sample]) == (
        120 if settings["num_frames"] == 1 else settings["fps"]
    )


# --- the reference's steps, done over again ------------------------------------------------------


def encoded(pipe, folder: Path, text: str) -> mx.array:
    """What T5 makes of a text, [1, L, D]."""
    words = folder / "tokenizer" / "spiece.model"
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(words))
    ids = mx.array([[*pieces.encode(clean_caption(text))[:11], pieces.eos_id()]])
    return pipe.model.network("text_encoder")(ids, mx.ones(ids.shape, mx.bool_))


def sampled(pipe, text, noise, width, height, frames, fps, steps, guidance, given=None, mask=None):
    """Latents [1, F, h, w, C] after the last step. given, mask: latents and 1 for the frames that
    are to be made.
    """
    network = pipe.model.network("transformer")
    z = noise
    null = network.y_embedder.y_embedding[None, : text.shape[1]]
    times = [(1 - i / steps) * 1000 for i in range(steps)]
    ratio = math.sqrt(height * width / 512**2) * math.sqrt(1 if frames == 1 else frames // 17 * 5)
    times = [1000 * ratio * (t / 1000) / (1 + (ratio - 1) * t / 1000) for t in times] + [0.0]
    made = np.ones(z.shape[:2], bool) if mask is None else mask * 1000 >= 1000
    z = z if given is None else mx.where(mx.array(made)[:, :, None, None, None], z, given)
    for now, then in zip(times, times[1:], strict=False):
        both = mx.concatenate([z, z])
        out = network(
            both,
            mx.array([now, now]),
            mx.concatenate([text, null]),
            None,
            mx.array([fps, fps]),
            height,
            width,
            None if mask is None else mx.array(np.repeat(made, 2, axis=0)),
        )[..., :4]
        v = out[1:] + guidance * (out[:1] - out[1:])
        moved = z + v * ((now - then) / 1000)
        z = mx.where(mx.array(made)[:, :, None, None, None], moved, z)
    return z


def noise_of(frames: int, width: int, height: int) -> np.ndarray:
    latents = frames // 17 * 5 + -(-(frames % 17) // 4)
    shape = (1, 4, latents, height // 8, width // 8)
    return np.random.default_rng(11).standard_normal(shape).astype(np.float32)


def shown(pipe, latents: mx.array, frames: int) -> np.ndarray:
    pixels = mx.concatenate(list(pipe.model.network("vae").decode(latents, frames)), axis=1)[0]
    return np.round(np.clip(np.array(pixels) * 127.5 + 127.5, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "frames", "guidance", "options", "words"),
    [
        (60, 44, 51, 7.0, {}, "a red ball aesthetic score: 6.5."),
        (32, 48, 22, 3.0, {"aesthetic": 0}, "a red ball"),
        (
            48,
            32,
            1,
            5.0,
            {"aesthetic": 5, "motion_score": 3},
            "a red ball aesthetic score: 5.0. motion score: 3.0.",
        ),
    ],
)
def test_text_to_video(pipe, folder, width, height, frames, guidance, options, words):
    noise = noise_of(frames, width, height)
    clip = pipe.generate(
        "A RED ball",
        width=width,
        height=height,
        frames=frames,
        fps=12,
        steps=4,
        guidance=guidance,
        latents=noise,
        options=options,
    )
    fps = 120 if frames == 1 else 12
    text = encoded(pipe, folder, words)
    expected = sampled(
        pipe,
        text,
        mx.array(noise).transpose(0, 2, 3, 4, 1),
        width,
        height,
        frames,
        fps,
        4,
        guidance,
    )
    assert np.abs(latents_of(clip) - np.array(expected)).max() < TOLERANCE
    pixels = shown(pipe, expected, frames)
    assert clip.frames.shape == (frames, height // 8 * 8, width // 8 * 8, 3) == pixels.shape
    assert np.abs(clip.frames.astype(int) - pixels).max() <= 2
    assert pixels.std() > 5


def test_pictures(pipe, folder):
    """The first and the last picture stand at the beginning of the first and of the last chunk,
    untouched to the end.
    """
    first = picture(1, 48, 32)
    last = picture(2, 48, 32)
    noise = noise_of(51, 48, 32)
    clip = pipe.generate(
        "a star",
        image=first,
        last_image=last,
        frames=51,
        steps=3,
        latents=noise,
        options={"aesthetic": 0},
    )
    latents = latents_of(clip)
    given = np.zeros_like(latents)
    mask = np.ones((1, 15))
    for slot, image in ((0, first), (10, last)):
        still = mx.array(image)[None, None].astype(mx.float32) / 127.5 - 1
        mean = np.array(pipe.model.network("vae").encode(still))
        mask[:, slot] = 0
        given[:, slot] = latents[:, slot]
        # Drawn from what the VAE says of the picture: near its mean, and not the mean.
        assert 0 < np.abs(given[:, slot] - mean[:, 0]).max() < 5
    assert clip.settings["keyframes"] == {"0": "a picture in memory", "34": "a picture in memory"}
    expected = sampled(
        pipe,
        encoded(pipe, folder, "a star"),
        mx.array(noise).transpose(0, 2, 3, 4, 1),
        48,
        32,
        51,
        24.0,
        3,
        7.0,
        mx.array(given),
        mask,
    )
    assert np.abs(latents - np.array(expected)).max() < TOLERANCE


def test_pieces_of_a_long_clip(pipe, folder, short_pieces):
    """Pieces of 34 frames, of which each later one begins with the last 17 of the one before, and
    has the text of its number.
    """
    noise = noise_of(68, 48, 32)
    prompt = "|0|a red ball|2|a blue star"
    clip = pipe.generate(prompt, frames=68, steps=3, latents=noise, options={"aesthetic": 0})
    z = mx.array(noise).transpose(0, 2, 3, 4, 1)
    done = z[:, :0]
    for number, start in enumerate((0, 5, 10)):
        text = encoded(pipe, folder, "a red ball" if number < 2 else "a blue star")
        given = mx.zeros((1, 10, 4, 6, 4))
        mask = np.ones((1, 10))
        if number:
            given = mx.concatenate([done[:, -5:], given[:, 5:]], axis=1)
            mask[:, :5] = 0
        made = sampled(
            pipe,
            text,
            z[:, start : start + 10],
            48,
            32,
            34,
            24.0,
            3,
            7.0,
            given if number else None,
            mask if number else None,
        )
        done = mx.concatenate([done, made[:, 5 if number else 0 :]], axis=1)
    assert np.abs(latents_of(clip) - np.array(done)).max() < TOLERANCE
    assert clip.frames.shape == (68, 32, 48, 3)
    assert np.abs(clip.frames.astype(int) - shown(pipe, done, 68)).max() <= 2


@pytest.mark.parametrize("join", [False, True])
def test_given_clips(pipe, folder, join):
    """A clip that extends another begins with the last 17 frames of that, five latent frames; one
    that joins another ends so.
    """
    before = picture(3, 48, 32, 20)
    after = picture(4, 48, 32, 40)
    noise = noise_of(51, 48, 32)
    clip = pipe.generate(
        "a star",
        extend=before,
        join=after if join else None,
        frames=51,
        width=48,
        height=32,
        steps=2,
        latents=noise,
        options={"aesthetic": 0},
    )
    latents = latents_of(clip)
    mask = np.ones((1, 15))
    given = latents.copy()
    shared = [(0, before[-17:])]
    if join:
        shared.append((10, after[:17]))
    for start, frames in shared:
        pixels = mx.array(frames)[None].astype(mx.float32) / 127.5 - 1
        mean = np.array(pipe.model.network("vae").encode(pixels))
        drawn = latents[0, start : start + 5]
        assert np.corrcoef(drawn.ravel(), mean[0].ravel())[0, 1] > 0.5
        mask[:, start : start + 5] = 0
    expected = sampled(
        pipe,
        encoded(pipe, folder, "a star"),
        mx.array(noise).transpose(0, 2, 3, 4, 1),
        48,
        32,
        51,
        24.0,
        2,
        7.0,
        mx.array(given),
        mask,
    )
    assert np.abs(latents - np.array(expected)).max() < TOLERANCE
    assert clip.settings["extend"] == "a picture in memory"
    assert ("join" in clip.settings) == join


def test_full_and_spatial_attention_are_other_clips(pipe):
    def made(attention: str) -> np.ndarray:
        clip = pipe.generate("a star", seed=1, attention=attention, steps=2)
        return clip.frames.astype(int)

    factored = made("factored")
    assert np.abs(made("full") - factored).max() > 2
    assert np.abs(made("spatial") - factored).max() > 2


def test_shift_by_hand(pipe):
    """A shift that is asked for is taken in place of the size's own."""
    settings = {
        "width": 48,
        "height": 32,
        "frames": 17,
        "steps": 3,
        "latents": noise_of(17, 48, 32),
    }
    own = math.sqrt(48 * 32 / 512**2 * 5)
    same = pipe.generate("a star", **settings, shift=own).frames
    assert (pipe.generate("a star", **settings).frames == same).all()
    assert (pipe.generate("a star", **settings, shift=4.0).frames != same).any()
