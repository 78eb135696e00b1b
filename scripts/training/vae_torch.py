"""The factored model's 3D VAE in PyTorch, for training only.

The same names and the same maths as mlxvid.models.factored.vae.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor


class RMSNorm(nn.Module):
    """Channels of [..., C] scaled to unit root mean square, then by a weight."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-6)


class CausalConv(nn.Module):
    """A (k_t, k_h, k_w) convolution of [B, F, H, W, C], of size 1 in time or in space.

    In time it sees only the past; the first frame is repeated before it. In space the border is
    zero.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: tuple[int, int, int]):
        super().__init__()
        self.kernel = kernel
        conv = nn.Conv3d(in_channels, out_channels, kernel)
        assert conv.bias is not None
        self.weight = conv.weight
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        b, f, h, w, c = x.shape
        kt, kh, _ = self.kernel
        if kt > 1:
            x = torch.cat([x[:, :1].expand(-1, kt - 1, -1, -1, -1), x], 1)
            x = torch.cat([x[:, i : i + f] for i in range(kt)], -1)
            weight = self.weight[..., 0, 0].permute(0, 2, 1).reshape(self.weight.shape[0], -1)
            return F.linear(x, weight, self.bias)
        x = x.reshape(b * f, h, w, c).permute(0, 3, 1, 2)
        weight = self.weight[:, :, 0].contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, weight, self.bias, padding=kh // 2)
        return x.permute(0, 2, 3, 1).reshape(b, f, h, w, -1)


class ResBlock(nn.Module):
    """A residual block: a convolution in space, then one in time."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm1 = RMSNorm(dim)
        self.conv1 = CausalConv(dim, dim, (1, 3, 3))
        self.norm2 = RMSNorm(dim)
        self.conv2 = CausalConv(dim, dim, (3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


def fold(x: Tensor, t: int, p: int) -> Tensor:
    """Space and time to depth: [B, F*t, H*p, W*p, C] -> [B, F, H, W, t*p*p*C]."""
    b, f, h, w, c = x.shape
    x = x.reshape(b, f // t, t, h // p, p, w // p, p, c)
    return x.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, f // t, h // p, w // p, t * p * p * c)


def unfold(x: Tensor, t: int, p: int) -> Tensor:
    """Depth to space and time, the inverse of :func:`fold`."""
    b, f, h, w, c = x.shape
    x = x.reshape(b, f, h, w, t, p, p, c // (t * p * p))
    return x.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, f * t, h * p, w * p, -1)


class Encoder(nn.Module):
    """[B, 1 + 4k, H, W, 3] -> mean and log variance, [B, 1 + k, H/8, W/8, 2C]."""

    def __init__(self, cfg: dict[str, Any]):
        super().__init__()
        low, high = cfg["block_channels"]
        self.t = cfg["patch_size_t"]
        self.p = cfg["patch_size"]
        self.conv_in = nn.Linear(3 * self.t * self.p**2, low)
        self.fine = nn.ModuleList(ResBlock(low) for _ in range(cfg["encoder_layers"][0]))
        self.down = nn.Linear(4 * low, high)
        self.coarse = nn.ModuleList(ResBlock(high) for _ in range(cfg["encoder_layers"][1]))
        self.norm_out = RMSNorm(high)
        self.conv_out = nn.Linear(high, 2 * cfg["latent_channels"])

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[:, :1].expand(-1, self.t - 1, -1, -1, -1), x], 1)
        x = self.conv_in(fold(x, self.t, self.p))
        for block in self.fine:
            x = block(x)
        x = self.down(fold(x, 1, 2))
        for block in self.coarse:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class Decoder(nn.Module):
    """[B, 1 + k, H/8, W/8, C] -> [B, 1 + 4k, H, W, 3]."""

    def __init__(self, cfg: dict[str, Any]):
        super().__init__()
        low, high = cfg["block_channels"]
        self.t = cfg["patch_size_t"]
        self.p = cfg["patch_size"]
        self.conv_in = nn.Linear(cfg["latent_channels"], high)
        self.coarse = nn.ModuleList(ResBlock(high) for _ in range(cfg["decoder_layers"][1]))
        self.up = nn.Linear(high, 4 * low)
        self.fine = nn.ModuleList(ResBlock(low) for _ in range(cfg["decoder_layers"][0]))
        self.norm_out = RMSNorm(low)
        self.conv_out = nn.Linear(low, 3 * self.t * self.p**2)

    def forward(self, z: Tensor) -> Tensor:
        x = self.conv_in(z)
        for block in self.coarse:
            x = block(x)
        x = unfold(self.up(x), 1, 2)
        for block in self.fine:
            x = block(x)
        x = unfold(self.conv_out(F.silu(self.norm_out(x))), self.t, self.p)
        return x[:, self.t - 1 :]


class VAE(nn.Module):
    """[B, 1 + 4k, H, W, 3] in [-1, 1] <-> [B, 1 + k, H/8, W/8, C]."""

    def __init__(self, cfg: dict[str, Any]):
        super().__init__()
        self.encoder = Encoder(cfg)
        self.decoder = Decoder(cfg)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of a clip's latents."""
        mean, logvar = self.encoder(x).chunk(2, -1)
        return mean, logvar.clamp(-20, 6)
