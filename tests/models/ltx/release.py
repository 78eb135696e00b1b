"""The release's own sampling by its formulas, over networks of Diffusers' classes.

After ltx_video/pipelines/pipeline_ltx_video.py and ltx_video/schedulers/rf.py of
Lightricks/LTX-Video: for what Diffusers' pipelines don't do, or do otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import mlx.core as mx
import numpy as np
import torch
from diffusers import LTXConditionPipeline

from .pipelines import FPS, SEED, drawn

NEAR = 1e-6


class Strengths(NamedTuple):
    """Guidance at one time, as the release's configs have it: a rescale of 1 is none."""

    scale: float = 1.0
    stg: float = 0.0
    rescale: float = 1.0
    blocks: Sequence[int] = ()


class Given(NamedTuple):
    """Latents [1, C, f, h, w] in front of the clip's own, with noise already in them, the frame
    where they stand, and how strongly they hold.
    """

    latents: torch.Tensor
    frame: int
    strength: float


class ItsOwnValues:
    """An attention processor: each token keeps its values instead of attending to others."""

    def __call__(self, attn, hidden_states, *_, **__):
        return attn.to_out[0](attn.to_v(hidden_states))


def places(pipe: LTXConditionPipeline, latents: torch.Tensor, frame: int = 0) -> torch.Tensor:
    """Seconds, rows and columns [1, 3, N] of latents [1, C, F, H, W] that begin at a frame."""
    ids = pipe._prepare_video_ids(1, *latents.shape[2:])
    coords = pipe._scale_video_ids(ids, frame_index=frame).float()
    coords[:, 0] *= 1 / FPS
    return coords


def packed(latents: torch.Tensor) -> torch.Tensor:
    """[1, C, F, H, W] -> [1, N, C]."""
    return latents.flatten(2).transpose(1, 2)


@torch.no_grad()
def sampled(
    pipe: LTXConditionPipeline,
    prompts: Sequence[str],
    latents: torch.Tensor,
    times: Sequence[float],
    course: Callable[[float], Strengths] = lambda time: Strengths(),
    star: bool = False,
    ahead: Sequence[Given] = (),
    held: torch.Tensor | None = None,
    renoise: Callable[[int, torch.Size], torch.Tensor] | None = None,
    fresh: Callable[[int, torch.Size], torch.Tensor] | None = None,
) -> torch.Tensor:
    """The clip's latents [1, C, F, H, W] after the last step, which ends at 0.

    prompts: the prompt, the negative prompt. held: [F], the strengths of the latents' own frames.
    renoise, fresh: the noise of step i for so many tokens: of what is held fully, and of the
    stochastic sampler; None for none.
    """
    texts = [pipe._get_t5_prompt_embeds([prompt]) for prompt in prompts]
    area = latents.shape[3] * latents.shape[4]
    frames = torch.zeros(latents.shape[2]) if held is None else held
    mask = frames.repeat_interleave(area)[None]
    x = packed(latents)
    coords = places(pipe, latents)
    for item in reversed(ahead):
        tokens = packed(item.latents)
        x = torch.cat([tokens, x], 1)
        mask = torch.cat([torch.full(tokens.shape[:2], item.strength), mask], 1)
        coords = torch.cat([places(pipe, item.latents, item.frame), coords], 2)
    first = x.clone()
    blocks = pipe.transformer.transformer_blocks
    ends = torch.tensor([*times, 0.0])
    for i, t in enumerate(times):
        if renoise is not None:
            x = torch.where(mask[..., None] == 1, first + renoise(i, x.shape) * t**2, x)
        now = torch.minimum(torch.tensor(t), 1 - mask)

        def velocity(which: int, x=x, now=now) -> torch.Tensor:
            text, text_mask = texts[which]
            return pipe.transformer(
                hidden_states=x,
                encoder_hidden_states=text,
                timestep=1000 * now,
                encoder_attention_mask=text_mask,
                video_coords=coords,
                return_dict=False,
            )[0]

        strengths = course(t)
        prompt = velocity(0)
        v = prompt
        if strengths.scale > 1:
            negative = velocity(1)
            if star:
                negative = (prompt * negative).sum() / ((negative**2).sum() + 1e-8) * negative
            v = negative + strengths.scale * (prompt - negative)
        if strengths.stg > 0:
            usual = {number: blocks[number].attn1.processor for number in strengths.blocks}
            for number in usual:
                blocks[number].attn1.processor = ItsOwnValues()
            v = v + strengths.stg * (prompt - velocity(0))
            for number, processor in usual.items():
                blocks[number].attn1.processor = processor
            if strengths.rescale != 1:
                factor = prompt.std() / v.std()
                v = v * (strengths.rescale * factor + 1 - strengths.rescale)
        below = ends[None, None] < now[..., None] - NEAR
        then = torch.where(below, ends, torch.zeros(())).amax(-1)
        if fresh is None:
            moved = x - (now - then)[..., None] * v
        else:
            x0 = x - now[..., None] * v
            moved = (1 - then[..., None]) * x0 + then[..., None] * fresh(i, x.shape)
        x = torch.where((t - NEAR < 1 - mask)[..., None], moved, x)
    own = x[:, x.shape[1] - latents[0, 0].numel() :]
    return own.transpose(1, 2).reshape(latents.shape)


@torch.no_grad()
def decoded(
    pipe: LTXConditionPipeline,
    latents: torch.Tensor,
    size: tuple[int, int] | None = None,
    tone_mapping: float = 0.0,
) -> torch.Tensor:
    """Frames [F, H, W, 3] from 0 to 1 of normalised latents, with the decoder's noise and time.

    size: (height, width), to which they are then resized.
    """
    mixed = 0.975 * latents + 0.025 * drawn(latents.shape, "decode")
    scale = 0.75 * tone_mapping
    mixed = mixed * (1 - 0.8 * scale * torch.sigmoid(4 * scale * (mixed.abs() - 1)))
    shape = (1, -1, 1, 1, 1)
    z = mixed * pipe.vae.latents_std.view(shape) + pipe.vae.latents_mean.view(shape)
    frames = pipe.vae.decode(z, torch.tensor([0.05])).sample[0].transpose(0, 1)
    if size is not None:
        frames = torch.nn.functional.interpolate(
            frames, size=size, mode="bilinear", align_corners=False
        )
    return (frames.permute(0, 2, 3, 1) / 2 + 0.5).clip(0, 1)


def fresh_noise(i: int, shape: Sequence[int]) -> torch.Tensor:
    """What our stochastic sampler draws in step i."""
    key = mx.random.split(mx.random.key(SEED), i + 1)[i]
    return torch.from_numpy(np.array(mx.random.normal(tuple(shape), key=key)))
