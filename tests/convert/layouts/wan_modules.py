"""The modules of Wan 2.1's own code, with its tensors' names and shapes, in any size.

They are those of wan/modules/{model,vae,t5,clip}.py. The computation is here for the two encoders,
whose layout differs most from transformers'.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

CHANNELS = 16


def tree(*sequence: nn.Module, **children: nn.Module | nn.Parameter) -> nn.Module:
    """A module with these children and parameters; those of `sequence` are numbered."""
    module = nn.Module()
    for name, child in [*((str(i), child) for i, child in enumerate(sequence)), *children.items()]:
        if isinstance(child, nn.Parameter):
            module.register_parameter(name, child)
        else:
            module.add_module(name, child)
    return module


def table(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape))


def transformer(
    kind: str,
    *,
    dim: int,
    heads: int,
    ffn: int,
    layers: int,
    freq: int,
    text: int,
    image: int,
    places: int,
) -> nn.Module:
    """WanModel: "t2v", "i2v" or "flf2v", which has `places` for CLIP's tokens of two images."""

    def norm():
        return tree(weight=table(dim))

    def attention(has_image: bool = False):
        names = ["q", "k", "v", "o"]
        if has_image:
            names += ["k_img", "v_img"]
        children = {name: nn.Linear(dim, dim) for name in names}
        children |= {"norm_q": norm(), "norm_k": norm()}
        if has_image:
            children["norm_k_img"] = norm()
        return tree(**children)

    has_image = kind != "t2v"
    blocks = [
        tree(
            self_attn=attention(),
            norm3=nn.LayerNorm(dim),
            cross_attn=attention(has_image),
            modulation=table(1, 6, dim),
            ffn=tree(nn.Linear(dim, ffn), nn.Identity(), nn.Linear(ffn, dim)),
        )
        for _ in range(layers)
    ]
    model = tree(
        patch_embedding=nn.Conv3d(2 * CHANNELS + 4 if has_image else CHANNELS, dim, (1, 2, 2)),
        text_embedding=tree(nn.Linear(text, dim), nn.Identity(), nn.Linear(dim, dim)),
        time_embedding=tree(nn.Linear(freq, dim), nn.Identity(), nn.Linear(dim, dim)),
        time_projection=tree(nn.Identity(), nn.Linear(dim, 6 * dim)),
        blocks=tree(*blocks),
        head=tree(head=nn.Linear(dim, 4 * CHANNELS), modulation=table(1, 2, dim)),
    )
    if has_image:
        projection = tree(
            nn.LayerNorm(image),
            nn.Linear(image, image),
            nn.Identity(),
            nn.Linear(image, dim),
            nn.LayerNorm(dim),
        )
        positions = {"emb_pos": table(1, places, image)} if kind == "flf2v" else {}
        model.add_module("img_emb", tree(proj=projection, **positions))
    return model


def vae(base: int, mult: tuple[int, ...] = (1, 2, 4, 4), blocks: int = 2) -> nn.Module:
    """WanVAE_: three levels down, of which the first keeps the frames."""
    in_time = [False, True, True]

    def conv(inner: int, outer: int, kernel: int | tuple[int, ...] = 3):
        return nn.Conv3d(inner, outer, kernel)

    def norm(dim: int, axes: int = 3):
        return tree(gamma=table(dim, *[1] * axes))

    def block(inner: int, outer: int):
        layers = (
            norm(inner),
            nn.Identity(),
            conv(inner, outer),
            norm(outer),
            nn.Identity(),
            nn.Identity(),
            conv(outer, outer),
        )
        shortcut = {"shortcut": conv(inner, outer, 1)} if inner != outer else {}
        return tree(residual=tree(*layers), **shortcut)

    def middle(dim: int):
        attention = tree(
            norm=norm(dim, 2), to_qkv=nn.Conv2d(dim, 3 * dim, 1), proj=nn.Conv2d(dim, dim, 1)
        )
        return tree(block(dim, dim), attention, block(dim, dim))

    def resampler(dim: int, outer: int, time: int | None):
        time_conv = {} if time is None else {"time_conv": conv(dim, time, (3, 1, 1))}
        return tree(resample=tree(nn.Identity(), nn.Conv2d(dim, outer, 3)), **time_conv)

    down = []
    inner = base
    for level, outer in enumerate(base * m for m in mult):
        for _ in range(blocks):
            down.append(block(inner, outer))
            inner = outer
        if level < len(mult) - 1:
            down.append(resampler(outer, outer, outer if in_time[level] else None))
    up = []
    widest = inner
    for level, outer in enumerate(base * m for m in mult[::-1]):
        inner = inner // 2 if level else inner
        for _ in range(blocks + 1):
            up.append(block(inner, outer))
            inner = outer
        if level < len(mult) - 1:
            up.append(resampler(outer, outer // 2, 2 * outer if in_time[::-1][level] else None))
    encoder = tree(
        conv1=conv(3, base),
        middle=middle(widest),
        head=tree(norm(widest), nn.Identity(), conv(widest, 2 * CHANNELS)),
        downsamples=tree(*down),
    )
    decoder = tree(
        conv1=conv(CHANNELS, widest),
        middle=middle(widest),
        head=tree(norm(base), nn.Identity(), conv(base, 3)),
        upsamples=tree(*up),
    )
    return tree(
        encoder=encoder,
        decoder=decoder,
        conv1=conv(2 * CHANNELS, 2 * CHANNELS, 1),
        conv2=conv(CHANNELS, CHANNELS, 1),
    )


def text_encoder(
    *, vocabulary: int, dim: int, attention: int, ffn: int, heads: int, layers: int, buckets: int
) -> nn.Module:
    """T5Encoder with a table of positions in every block, as UMT5's."""

    def linear(inner: int, outer: int):
        return nn.Linear(inner, outer, bias=False)

    blocks = [
        tree(
            norm1=tree(weight=table(dim)),
            norm2=tree(weight=table(dim)),
            attn=tree(
                q=linear(dim, attention),
                k=linear(dim, attention),
                v=linear(dim, attention),
                o=linear(attention, dim),
            ),
            ffn=tree(gate=tree(linear(dim, ffn)), fc1=linear(dim, ffn), fc2=linear(ffn, dim)),
            pos_embedding=tree(embedding=nn.Embedding(buckets, heads)),
        )
        for _ in range(layers)
    ]
    return tree(
        token_embedding=nn.Embedding(vocabulary, dim),
        blocks=tree(*blocks),
        norm=tree(weight=table(dim)),
    )


def encode_text(
    model: nn.Module, ids: torch.Tensor, mask: torch.Tensor, heads: int
) -> torch.Tensor:
    """T5Encoder's output [B, L, C] for ids and mask [B, L]."""

    def normed(x, norm):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * norm.weight

    positions = torch.arange(ids.shape[1])
    distance = positions[None] - positions[:, None]
    x = model.token_embedding(ids)
    for block in model.blocks.children():
        table = block.pos_embedding.embedding
        half = table.num_embeddings // 2
        exact = half // 2
        log_distance = torch.log(distance.abs() / exact) / math.log(128 / exact)
        far = exact + (log_distance * (half - exact)).clamp(min=0).long()
        near = distance.abs() < exact
        bucket = torch.where(near, distance.abs(), far.clamp(max=half - 1))
        bucket = bucket + (distance > 0) * half
        bias = table(bucket).permute(2, 0, 1)[None].masked_fill(~mask[:, None, None], -1e9)
        h = normed(x, block.norm1)
        q, k, v = (
            part(h).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in (block.attn.q, block.attn.k, block.attn.v)
        )
        attended = (q @ k.mT + bias).softmax(-1) @ v
        x = x + block.attn.o(attended.transpose(1, 2).flatten(2))
        h = normed(x, block.norm2)
        gate = functional.gelu(block.ffn.gate.get_submodule("0")(h), approximate="tanh")
        x = x + block.ffn.fc2(block.ffn.fc1(h) * gate)
    return normed(x, model.norm)


def clip(*, dim: int, heads: int, layers: int, side: int, out: int) -> nn.Module:
    """XLMRobertaCLIP: the whole image tower, and enough of the text tower to be left out."""
    blocks = [
        tree(
            norm1=nn.LayerNorm(dim),
            norm2=nn.LayerNorm(dim),
            attn=tree(to_qkv=nn.Linear(dim, 3 * dim), proj=nn.Linear(dim, dim)),
            mlp=tree(nn.Linear(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim)),
        )
        for _ in range(layers)
    ]
    visual = tree(
        patch_embedding=nn.Conv2d(3, dim, 14, 14, bias=False),
        cls_embedding=table(1, 1, dim),
        head=table(dim, out),
        pos_embedding=table(1, 1 + (side // 14) ** 2, dim),
        pre_norm=nn.LayerNorm(dim),
        post_norm=nn.LayerNorm(dim),
        transformer=tree(*blocks),
    )
    textual = tree(
        token_embedding=nn.Embedding(50, 16),
        blocks=tree(tree(attn=tree(q=nn.Linear(16, 16)), norm1=nn.LayerNorm(16))),
    )
    return tree(visual=visual, textual=textual, log_scale=table())


def encode_image(model: nn.Module, pixels: torch.Tensor, heads: int) -> torch.Tensor:
    """The image tower's output [B, L, C] before its last block, for pixels [B, 3, H, W].

    It is Wan's condition.
    """
    visual = model.visual
    x = visual.patch_embedding(pixels).flatten(2).mT
    cls = visual.cls_embedding.expand(len(x), -1, -1)
    x = visual.pre_norm(torch.cat([cls, x], 1) + visual.pos_embedding)
    for block in list(visual.transformer.children())[:-1]:
        qkv = block.attn.to_qkv(block.norm1(x)).unflatten(-1, (3, heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        x = x + block.attn.proj(attended.transpose(1, 2).flatten(2))
        widen, _, narrow = block.mlp.children()
        x = x + narrow(functional.gelu(widen(block.norm2(x))))
    return x


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """The module with random parameters: norms around one, all others for outputs of order one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan**-0.5)
            if "norm" in name and name.endswith("weight") or name.endswith("gamma"):
                parameter.add_(1.0)
    return module.eval().requires_grad_(False)
