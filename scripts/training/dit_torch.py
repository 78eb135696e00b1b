"""The factored model's text encoder and transformer in PyTorch, for training only.

The same names and the same maths as mlxvid.models.factored.text_encoder and .transformer.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from .vae_torch import RMSNorm, fold, unfold

TEXT: dict[str, Any] = {
    "_class_name": "FactoredTextEncoder",
    "vocab_size": 320,
    "hidden_size": 128,
    "num_layers": 2,
    "attention_head_dim": 64,
    "max_length": 48,
}
TRANSFORMER: dict[str, Any] = {
    "_class_name": "FactoredTransformer",
    "in_channels": 16,
    "patch_size": 2,
    "patch_size_t": 1,
    "hidden_size": 192,
    "num_layers": 6,
    "attention_head_dim": 64,
    "text_dim": 128,
    "rope_theta": 100.0,
}

Rope = tuple[Tensor, ...]  # cosines and sines of a rotary position embedding, [N, D/2] each


def rope_table(positions: Tensor, dim: int, theta: float) -> Rope:
    """Cosines and sines [N, dim/2] of positions [N]."""
    freqs = theta ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angle = positions.float()[:, None] * freqs
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding of [..., N, D] in halves: channel i pairs with channel i + D/2."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention, in float32 even where the products around it are bfloat16.

    PyTorch's backward pass on CPUs is 8 times faster so.
    """
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)


class Attention(nn.Module):
    """Self-attention over the middle axis of [B, N, C]; queries and keys are normed and rotated."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(head_dim)
        self.norm_k = RMSNorm(head_dim)

    def forward(self, x: Tensor, rope: Rope, mask: Tensor | None = None) -> Tensor:
        b, n, c = x.shape
        qkv = self.qkv(x).view(b, n, 3, c // self.head_dim, self.head_dim)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        q = rotate(self.norm_q(q), *rope)
        k = rotate(self.norm_k(k), *rope)
        x = attend(q, k, v, mask)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class CrossAttention(nn.Module):
    """Attention of tokens [B, N, C] to the states of a text [B, L, C]."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm_q = RMSNorm(head_dim)
        self.norm_k = RMSNorm(head_dim)

    def forward(self, x: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        b, n, c = x.shape
        q = self.q(x).view(b, n, -1, self.head_dim).transpose(1, 2)
        k, v = self.kv(text).view(b, text.shape[1], 2, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        x = attend(self.norm_q(q), self.norm_k(k), v, mask)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class FeedForward(nn.Module):
    """Two linear layers with GELU between them, four times as wide inside."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = nn.Linear(dim, 4 * dim)
        self.linear_2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(x), approximate="tanh"))


class TextLayer(nn.Module):
    """A layer of the text encoder, with the norms first."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.norm1 = RMSNorm(dim)
        self.attn = Attention(dim, head_dim)
        self.norm2 = RMSNorm(dim)
        self.ff = FeedForward(dim)

    def forward(self, x: Tensor, rope: Rope, mask: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), rope, mask)
        return x + self.ff(self.norm2(x))


class TextEncoder(nn.Module):
    """Token ids [B, L] and their mask [B, L] -> states [B, L, C]."""

    def __init__(self, cfg: dict[str, Any]):
        super().__init__()
        self.cfg = cfg
        dim = cfg["hidden_size"]
        head_dim = cfg["attention_head_dim"]
        self.embed = nn.Embedding(cfg["vocab_size"], dim)
        self.layers = nn.ModuleList(TextLayer(dim, head_dim) for _ in range(cfg["num_layers"]))
        self.norm_out = RMSNorm(dim)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(ids)
        rope = rope_table(torch.arange(ids.shape[1]), self.cfg["attention_head_dim"], 10000.0)
        for layer in self.layers:
            x = layer(x, rope, mask[:, None, None])
        return self.norm_out(x)


class TimeEmbed(nn.Module):
    """The embedding [B, C] of timesteps [B] from 0 to 1000."""

    def __init__(self, dim: int):
        super().__init__()
        self.linear_1 = nn.Linear(256, dim)
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        freqs = torch.exp(-math.log(10000.0) * torch.arange(128, dtype=torch.float32) / 128)
        angle = t.float()[:, None] * freqs
        waves = torch.cat([angle.cos(), angle.sin()], -1)
        return self.linear_2(F.silu(self.linear_1(waves)))


class Block(nn.Module):
    """Spatial attention, temporal attention, cross-attention to the text, feed-forward."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.attn1 = Attention(dim, head_dim)
        self.attn_temporal = Attention(dim, head_dim)
        self.norm2 = RMSNorm(dim)
        self.attn2 = CrossAttention(dim, head_dim)
        self.ff = FeedForward(dim)
        self.scale_shift_table = nn.Parameter(torch.randn(9, dim) / dim**0.5)

    def forward(
        self, x: Tensor, text: Tensor, mask: Tensor, ada: Tensor, ropes: dict[str, Rope], mode: str
    ) -> Tensor:
        b, t, s, c = x.shape
        ada = (self.scale_shift_table + ada)[:, :, None, None]
        shift1, scale1, gate1, shift_t, scale_t, gate_t, shift3, scale3, gate3 = ada.unbind(1)
        h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale1) + shift1
        if mode == "full":
            h = self.attn1(h.reshape(b, t * s, c), ropes["full"])
        else:
            h = self.attn1(h.reshape(b * t, s, c), ropes["space"])
        x = x + gate1 * h.view(b, t, s, c)
        if mode != "spatial":
            h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale_t) + shift_t
            h = self.attn_temporal(h.transpose(1, 2).reshape(b * s, t, c), ropes["time"])
            x = x + gate_t * h.view(b, s, t, c).transpose(1, 2)
        x = x + self.attn2(self.norm2(x).reshape(b, t * s, c), text, mask).view(b, t, s, c)
        h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale3) + shift3
        return x + gate3 * self.ff(h)


def place_features(t: int, h: int, w: int) -> Tensor:
    """Features of each token's position, [T, H, W, 30].

    Waves over the frame from border to border, waves over time from the start, a flag for the
    first latent frame, and the grid's size.
    """
    ts = torch.arange(t).float()
    ys = (torch.arange(h) + 0.5) / h
    xs = (torch.arange(w) + 0.5) / w
    frequencies = math.pi * 2.0 ** torch.arange(-1, 3)
    time = _waves(ts[:, None] * 2.0 ** -torch.arange(0, 5))
    first = (ts == 0).float()[:, None]
    size = torch.tensor([math.log2(t / 8), math.log2(h / 6), math.log2(w / 6)])
    parts = (
        time[:, None, None],
        first[:, None, None],
        _waves(ys[:, None] * frequencies)[None, :, None],
        _waves(xs[:, None] * frequencies)[None, None],
        size[None, None, None],
    )
    return torch.cat([part.expand(t, h, w, -1) for part in parts], -1)


def _waves(angle: Tensor) -> Tensor:
    return torch.cat([angle.sin(), angle.cos()], -1)


class Transformer(nn.Module):
    """Velocity of noisy latents [B, T, H, W, C] at sigma in [0, 1].

    `cond` [B, T, H, W, C + 1]: encoded pictures in the frames that are given, and their mask.
    """

    def __init__(self, cfg: dict[str, Any]):
        super().__init__()
        self.cfg = cfg
        dim = cfg["hidden_size"]
        head = cfg["attention_head_dim"]
        patch = cfg["patch_size_t"] * cfg["patch_size"] ** 2
        self.patch_embed = nn.Linear(patch * (2 * cfg["in_channels"] + 1), dim)
        self.pos_embed = nn.Linear(30, dim)
        self.time_embed = TimeEmbed(dim)
        self.adaln = nn.Linear(dim, 9 * dim)
        self.caption_projection = nn.Linear(cfg["text_dim"], dim)
        self.blocks = nn.ModuleList(Block(dim, head) for _ in range(cfg["num_layers"]))
        self.scale_shift_table = nn.Parameter(torch.randn(2, dim) / dim**0.5)
        self.proj_out = nn.Linear(dim, patch * cfg["in_channels"])
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def ropes(self, t: int, h: int, w: int) -> dict[str, Rope]:
        """Rotary tables of a grid: over the whole clip, over a frame, over time."""
        head = self.cfg["attention_head_dim"]
        theta = self.cfg["rope_theta"]
        first = head // 8 * 2
        other = (head - first) // 4 * 2
        dims = (head - 2 * other, other, other)
        grids = torch.meshgrid(torch.arange(t), torch.arange(h), torch.arange(w), indexing="ij")
        tables = [rope_table(g.flatten(), d, theta) for g, d in zip(grids, dims, strict=True)]
        cos, sin = (torch.cat(parts, -1) for parts in zip(*tables, strict=True))
        return {
            "full": (cos, sin),
            "space": (cos[: h * w], sin[: h * w]),
            "time": rope_table(torch.arange(t), head, theta),
        }

    def forward(
        self,
        x: Tensor,
        cond: Tensor,
        sigma: Tensor,
        text: Tensor,
        mask: Tensor,
        mode: str = "factored",
    ) -> Tensor:
        pt = self.cfg["patch_size_t"]
        p = self.cfg["patch_size"]
        x = fold(torch.cat([x, cond], -1), pt, p)
        b, t, h, w, _ = x.shape
        x = (self.patch_embed(x) + self.pos_embed(place_features(t, h, w))).reshape(b, t, h * w, -1)
        temb = self.time_embed(sigma * 1000)
        ada = self.adaln(F.silu(temb)).view(b, 9, -1)
        text = self.caption_projection(text)
        ropes = self.ropes(t, h, w)
        for block in self.blocks:
            x = block(x, text, mask[:, None, None], ada, ropes, mode)
        shift, scale = (self.scale_shift_table + temb[:, None])[:, :, None, None].unbind(1)
        x = F.layer_norm(x, (x.shape[-1],), eps=1e-6) * (1 + scale) + shift
        return unfold(self.proj_out(x).view(b, t, h, w, -1), pt, p)
