"""The factored model's text encoder and diffusion transformer in PyTorch, for training only.

The same names and the same maths as mlxvid.models.factored.text_encoder and .transformer.
"""

from __future__ import annotations

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from .vae_torch import RMSNorm, fold, unfold

TEXT = {
    "_class_name": "FactoredTextEncoder",
    "vocab_size": 320,
    "hidden_size": 128,
    "num_layers": 2,
    "attention_head_dim": 64,
    "max_length": 48,
}
TRANSFORMER = {
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


def rope_table(positions, dim: int, theta: float):
    """cos, sin [N, dim/2] of positions [N]."""
    freqs = theta ** (-torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    angle = positions.float()[:, None] * freqs
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotary embedding of [..., N, D] in halves: channel i turns with channel i + D/2."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(q, k, v, mask):
    """Softmax attention in float32, also where the products around it are bfloat16: PyTorch's
    backward pass on CPUs is 8 times faster.
    """
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=mask)


class Attention(nn.Module):
    """Self-attention over the middle axis of [B, N, C], heads normed and rotated."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.norm_q, self.norm_k = RMSNorm(head_dim), RMSNorm(head_dim)

    def forward(self, x, rope, mask=None):
        b, n, c = x.shape
        q, k, v = (
            self.qkv(x).view(b, n, 3, c // self.head_dim, self.head_dim).permute(2, 0, 3, 1, 4)
        )
        q, k = rotate(self.norm_q(q), *rope), rotate(self.norm_k(k), *rope)
        x = attend(q, k, v, mask)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class CrossAttention(nn.Module):
    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.q, self.kv, self.proj = (
            nn.Linear(dim, dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(dim, dim),
        )
        self.norm_q, self.norm_k = RMSNorm(head_dim), RMSNorm(head_dim)

    def forward(self, x, text, mask):
        b, n, c = x.shape
        q = self.q(x).view(b, n, -1, self.head_dim).transpose(1, 2)
        k, v = self.kv(text).view(b, text.shape[1], 2, -1, self.head_dim).permute(2, 0, 3, 1, 4)
        x = attend(self.norm_q(q), self.norm_k(k), v, mask)
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class FeedForward(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x):
        return self.linear_2(F.gelu(self.linear_1(x), approximate="tanh"))


class TextLayer(nn.Module):
    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.norm1, self.attn, self.norm2, self.ff = (
            RMSNorm(dim),
            Attention(dim, head_dim),
            RMSNorm(dim),
            FeedForward(dim),
        )

    def forward(self, x, rope, mask):
        x = x + self.attn(self.norm1(x), rope, mask)
        return x + self.ff(self.norm2(x))


class TextEncoder(nn.Module):
    """Token ids [B, L] and their mask [B, L] -> states [B, L, C]."""

    def __init__(self, cfg: dict):
        super().__init__()
        self.cfg = cfg
        self.embed = nn.Embedding(cfg["vocab_size"], cfg["hidden_size"])
        self.layers = nn.ModuleList(
            TextLayer(cfg["hidden_size"], cfg["attention_head_dim"])
            for _ in range(cfg["num_layers"])
        )
        self.norm_out = RMSNorm(cfg["hidden_size"])

    def forward(self, ids, mask):
        x = self.embed(ids)
        rope = rope_table(torch.arange(ids.shape[1]), self.cfg["attention_head_dim"], 10000.0)
        for layer in self.layers:
            x = layer(x, rope, mask[:, None, None])
        return self.norm_out(x)


class TimeEmbed(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(256, dim), nn.Linear(dim, dim)

    def forward(self, t):
        freqs = torch.exp(-math.log(10000.0) * torch.arange(128, dtype=torch.float32) / 128)
        angle = t.float()[:, None] * freqs
        return self.linear_2(F.silu(self.linear_1(torch.cat([angle.cos(), angle.sin()], -1))))


class Block(nn.Module):
    """Spatial attention, temporal attention, cross-attention to the text, feed-forward."""

    def __init__(self, dim: int, head_dim: int):
        super().__init__()
        self.attn1, self.attn_temporal = Attention(dim, head_dim), Attention(dim, head_dim)
        self.norm2, self.attn2 = RMSNorm(dim), CrossAttention(dim, head_dim)
        self.ff = FeedForward(dim)
        self.scale_shift_table = nn.Parameter(torch.randn(9, dim) / dim**0.5)

    def forward(self, x, text, mask, ada, ropes, mode: str):
        b, t, s, c = x.shape
        shift1, scale1, gate1, shift_t, scale_t, gate_t, shift3, scale3, gate3 = (
            self.scale_shift_table + ada
        )[:, :, None, None].unbind(1)
        h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale1) + shift1
        h = h.reshape(b, t * s, c) if mode == "full" else h.reshape(b * t, s, c)
        x = x + gate1 * self.attn1(h, ropes["full" if mode == "full" else "space"]).view(b, t, s, c)
        if mode != "spatial":
            h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale_t) + shift_t
            h = self.attn_temporal(h.transpose(1, 2).reshape(b * s, t, c), ropes["time"])
            x = x + gate_t * h.view(b, s, t, c).transpose(1, 2)
        x = x + self.attn2(self.norm2(x).reshape(b, t * s, c), text, mask).view(b, t, s, c)
        h = F.layer_norm(x, (c,), eps=1e-6) * (1 + scale3) + shift3
        return x + gate3 * self.ff(h)


def place_features(t: int, h: int, w: int):
    """Where a token is, [T, H, W, 30]: waves over the frame from border to border, over time from
    the start, and the grid's size.
    """
    ts, ys, xs = torch.arange(t).float(), (torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w
    waves = math.pi * 2.0 ** torch.arange(-1, 3)
    y, x = ys[:, None] * waves, xs[:, None] * waves
    time = ts[:, None] * 2.0 ** -torch.arange(0, 5)
    y, x, time = (torch.cat([v.sin(), v.cos()], -1) for v in (y, x, time))
    size = torch.tensor([math.log2(t / 8), math.log2(h / 6), math.log2(w / 6)])
    first = (ts == 0).float()[:, None]
    parts = (
        time[:, None, None],
        first[:, None, None],
        y[None, :, None],
        x[None, None],
        size[None, None, None],
    )
    return torch.cat([p.expand(t, h, w, -1) for p in parts], -1)


class Transformer(nn.Module):
    """Velocity of noisy latents [B, T, H, W, C] at sigma in [0, 1].

    `cond` [B, T, H, W, C + 1]: encoded pictures in the frames that are given, and a mask that says
    which.
    """

    def __init__(self, cfg: dict):
        super().__init__()
        self.cfg, dim, head = cfg, cfg["hidden_size"], cfg["attention_head_dim"]
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

    def ropes(self, t, h, w):
        head, theta = self.cfg["attention_head_dim"], self.cfg["rope_theta"]
        a = head // 8 * 2
        b = (head - a) // 4 * 2
        dims = (head - 2 * b, b, b)
        grids = torch.meshgrid(torch.arange(t), torch.arange(h), torch.arange(w), indexing="ij")
        parts = [rope_table(g.flatten(), d, theta) for g, d in zip(grids, dims, strict=True)]
        full = tuple(torch.cat([p[i] for p in parts], -1) for i in (0, 1))
        return {
            "full": full,
            "space": tuple(v[: h * w] for v in full),
            "time": rope_table(torch.arange(t), head, theta),
        }

    def forward(self, x, cond, sigma, text, mask, mode: str = "factored"):
        pt, p = self.cfg["patch_size_t"], self.cfg["patch_size"]
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
