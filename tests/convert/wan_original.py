"""The modules of Wan 2.1's own code, as far as their tensors go: names and shapes of
wan/modules/{model,vae,t5,clip}.py, in any size.

What they compute is here for the two encoders, whose layout differs most from transformers'.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

CHANNELS = 16
TINY = dict(dim=48, heads=2, ffn=80, layers=2, freq=32, text=64, image=160, places=10)
TINY_TEXT = dict(vocabulary=70, dim=64, attention=64, ffn=96, heads=4, layers=2, buckets=8)
TINY_CLIP = dict(dim=160, heads=2, layers=3, side=28, out=24)
REAL = {
    "t2v-1.3b": dict(
        dim=1536, heads=12, ffn=8960, layers=30, freq=256, text=4096, image=1280, places=514
    ),
    "14b": dict(
        dim=5120, heads=40, ffn=13824, layers=40, freq=256, text=4096, image=1280, places=514
    ),
}
REAL_TEXT = dict(
    vocabulary=256384, dim=4096, attention=4096, ffn=10240, heads=64, layers=24, buckets=32
)
REAL_CLIP = dict(dim=1280, heads=16, layers=32, side=224, out=1024)


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
    """WanModel: "t2v", "i2v" or "flf2v", which has `places` for what CLIP sees in two pictures."""

    def norm():
        return tree(weight=table(dim))

    def attention(sees: bool = False):
        linears = {
            name: nn.Linear(dim, dim)
            for name in ("q", "k", "v", "o", *(("k_img", "v_img") if sees else ()))
        }
        return tree(
            **linears, norm_q=norm(), norm_k=norm(), **({"norm_k_img": norm()} if sees else {})
        )

    pictures = kind != "t2v"
    blocks = [
        tree(
            self_attn=attention(),
            norm3=nn.LayerNorm(dim),
            cross_attn=attention(pictures),
            modulation=table(1, 6, dim),
            ffn=tree(nn.Linear(dim, ffn), nn.Identity(), nn.Linear(ffn, dim)),
        )
        for _ in range(layers)
    ]
    model = tree(
        patch_embedding=nn.Conv3d(2 * CHANNELS + 4 if pictures else CHANNELS, dim, (1, 2, 2)),
        text_embedding=tree(nn.Linear(text, dim), nn.Identity(), nn.Linear(dim, dim)),
        time_embedding=tree(nn.Linear(freq, dim), nn.Identity(), nn.Linear(dim, dim)),
        time_projection=tree(nn.Identity(), nn.Linear(dim, 6 * dim)),
        blocks=tree(*blocks),
        head=tree(head=nn.Linear(dim, 4 * CHANNELS), modulation=table(1, 2, dim)),
    )
    if pictures:
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
        return tree(
            residual=tree(*layers),
            **({"shortcut": conv(inner, outer, 1)} if inner != outer else {}),
        )

    def middle(dim: int):
        attention = tree(
            norm=norm(dim, 2), to_qkv=nn.Conv2d(dim, 3 * dim, 1), proj=nn.Conv2d(dim, dim, 1)
        )
        return tree(block(dim, dim), attention, block(dim, dim))

    def half(dim: int, outer: int, time: int | None):
        spread = {} if time is None else {"time_conv": conv(dim, time, (3, 1, 1))}
        return tree(resample=tree(nn.Identity(), nn.Conv2d(dim, outer, 3)), **spread)

    down, inner = [], base
    for level, outer in enumerate(base * m for m in mult):
        for _ in range(blocks):
            down.append(block(inner, outer))
            inner = outer
        if level < len(mult) - 1:
            down.append(half(outer, outer, outer if in_time[level] else None))
    up, widest = [], inner
    for level, outer in enumerate(base * m for m in mult[::-1]):
        inner = inner // 2 if level else inner
        for _ in range(blocks + 1):
            up.append(block(inner, outer))
            inner = outer
        if level < len(mult) - 1:
            up.append(half(outer, outer // 2, 2 * outer if in_time[::-1][level] else None))
    ends = {"encoder": (3, base, widest, 2 * CHANNELS), "decoder": (CHANNELS, widest, base, 3)}
    sides = {
        name: tree(
            conv1=conv(pixels, first),
            middle=middle(widest),
            head=tree(norm(last), nn.Identity(), conv(last, outer)),
            **({"downsamples": tree(*down)} if name == "encoder" else {"upsamples": tree(*up)}),
        )
        for name, (pixels, first, last, outer) in ends.items()
    }
    return tree(
        **sides, conv1=conv(2 * CHANNELS, 2 * CHANNELS, 1), conv2=conv(CHANNELS, CHANNELS, 1)
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
    """What T5Encoder makes of ids and mask [B, L]: [B, L, C]."""

    def normed(x, norm):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * norm.weight

    length = ids.shape[1]
    apart = torch.arange(length)[None] - torch.arange(length)[:, None]
    x = model.token_embedding(ids)
    for block in model.blocks.children():
        table = block.pos_embedding.embedding
        half = table.num_embeddings // 2
        exact = half // 2
        far = (
            exact
            + (torch.log(apart.abs() / exact) / math.log(128 / exact) * (half - exact))
            .clamp(min=0)
            .long()
        )
        bucket = (apart > 0) * half + torch.where(
            apart.abs() < exact, apart.abs(), far.clamp(max=half - 1)
        )
        bias = table(bucket).permute(2, 0, 1)[None].masked_fill(~mask[:, None, None], -1e9)
        h = normed(x, block.norm1)
        q, k, v = (
            part(h).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in (block.attn.q, block.attn.k, block.attn.v)
        )
        x = x + block.attn.o(((q @ k.mT + bias).softmax(-1) @ v).transpose(1, 2).flatten(2))
        h = normed(x, block.norm2)
        gate = functional.gelu(block.ffn.gate.get_submodule("0")(h), approximate="tanh")
        x = x + block.ffn.fc2(block.ffn.fc1(h) * gate)
    return normed(x, model.norm)


def clip(*, dim: int, heads: int, layers: int, side: int, out: int) -> nn.Module:
    """XLMRobertaCLIP: the tower of pictures whole, that of texts as far as a reader has to leave it
    out.
    """
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


def see(model: nn.Module, pixels: torch.Tensor, heads: int) -> torch.Tensor:
    """What the tower of pictures makes of pixels [B, 3, H, W] but for its last block, which is what
    Wan is told: [B, L, C].
    """
    visual = model.visual
    x = visual.patch_embedding(pixels).flatten(2).mT
    x = visual.pre_norm(
        torch.cat([visual.cls_embedding.expand(len(x), -1, -1), x], 1) + visual.pos_embedding
    )
    for block in list(visual.transformer.children())[:-1]:
        q, k, v = (
            block.attn.to_qkv(block.norm1(x)).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        )
        x = x + block.attn.proj(
            functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )
        widen, _, narrow = block.mlp.children()
        x = x + narrow(functional.gelu(widen(block.norm2(x))))
    return x


def randomised(module: nn.Module, seed: int) -> nn.Module:
    """Every parameter drawn anew: norms around one, the rest small enough for the results to stay
    of order one.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * fan**-0.5)
            if "norm" in name and name.endswith("weight") or name.endswith("gamma"):
                parameter.add_(1.0)
    return module.eval().requires_grad_(False)


def release(folder: Path, kind: str, zipped: bool = True) -> dict[str, nn.Module]:
    """Write a tiny release to `folder`, under its files' own names; returns its modules."""
    modules = {
        "transformer": randomised(transformer(kind, **TINY), 1),
        "vae": randomised(vae(4), 2),
        "text": randomised(text_encoder(**TINY_TEXT), 3),
    }
    (folder / "google" / "umt5-xxl").mkdir(parents=True)
    (folder / "google" / "umt5-xxl" / "spiece.model").write_bytes(b"pieces")
    (folder / "google" / "umt5-xxl" / "tokenizer_config.json").write_text("{}")
    config = {
        "_class_name": "WanModel",
        "dim": TINY["dim"],
        "num_heads": TINY["heads"],
        "eps": 1e-6,
        "model_type": kind,
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_shards(folder, modules["transformer"].state_dict())
    torch.save(
        modules["vae"].state_dict(),
        folder / "Wan2.1_VAE.pth",
        _use_new_zipfile_serialization=zipped,
    )
    text = {name: weight.bfloat16() for name, weight in modules["text"].state_dict().items()}
    torch.save(
        text, folder / "models_t5_umt5-xxl-enc-bf16.pth", _use_new_zipfile_serialization=zipped
    )
    if kind != "t2v":
        modules["clip"] = randomised(clip(**TINY_CLIP), 4)
        file = folder / "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
        torch.save(modules["clip"].state_dict(), file, _use_new_zipfile_serialization=zipped)
        (folder / "xlm-roberta-large").mkdir()
        (folder / "xlm-roberta-large" / "tokenizer.json").write_text("{}")
    return modules


def save_shards(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    names = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    places = {name: names[i % 2] for i, name in enumerate(tensors)}
    for file in names:
        save_file(
            {name: tensors[name] for name, place in places.items() if place == file}, folder / file
        )
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places})
    )
