"""Step three of training mini: text encoder and transformer together, on the encoded clips, by
rectified flow.
"""

from __future__ import annotations

import io
import json
import math
import string
import time
from pathlib import Path

import numpy as np
import sentencepiece
import torch

from . import world
from .dit_torch import TEXT, TRANSFORMER, TextEncoder, Transformer
from .latents import BUCKETS
from .muon import Muon

TOKENS = 3900  # tokens in a step, whatever the size of its clips
SHARES = {
    "17x64x64": 0.4,
    "33x64x64": 0.3,
    "33x96x96": 0.15,
    "17x64x96": 0.04,
    "17x96x64": 0.04,
    "9x96x96": 0.02,
    "1x96x96": 0.02,
    "1x64x64": 0.03,
}
# Small clips teach what words mean at a quarter of the cost; the last part of the training is for
# the size that clips have by default.
LAST_PART, LAST_SHARES = 0.85, {**SHARES, "17x64x64": 0.2, "33x64x64": 0.2, "33x96x96": 0.45}


def make_tokenizer(path: Path) -> None:
    """Train the word-piece model on captions of the drawn world; letters are pieces too, so any
    prompt can be read.
    """
    rng = np.random.default_rng(1)
    texts = [
        world.sample(rng, int(rng.choice((1, 33))), 64, 64, unseen=None).caption
        for _ in range(8000)
    ]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="bpe",
        vocab_size=TEXT["vocab_size"],
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc_cf",
        required_chars=string.ascii_lowercase + string.digits,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())


class Latents:
    """The shards of `folder` as far as they are there; :meth:`refresh` takes in new ones."""

    def __init__(self, folder: Path):
        self.folder, self.seen, self.data = folder, set(), {}
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob("*[0-9].npz")):
            if path.name in self.seen:
                continue
            self.seen.add(path.name)
            with np.load(path) as f:
                shard = {k: f[k] for k in f.files}
            shard["captions"] = json.loads(str(shard["captions"]))
            self.data.setdefault(path.stem.rsplit("-", 1)[0], []).append(shard)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each latent channel over a sample of clips."""
        values = np.concatenate(
            [
                s["latents"][:40].reshape(-1, s["latents"].shape[-1])
                for shards in self.data.values()
                for s in shards[:4]
            ]
        )
        return values.astype(np.float64).mean(0), values.astype(np.float64).std(0)

    def batch(self, rng: np.random.Generator, bucket: str, count: int):
        """`count` clips: latents [N, T, h, w, C], condition [N, T, h, w, C + 1] in raw latent
        units, captions.
        """
        x, cond, texts = [], [], []
        shards = self.data[bucket]
        for _ in range(count):
            shard = shards[int(rng.integers(len(shards)))]
            i = int(rng.integers(len(shard["latents"])))
            z = shard["latents"][i].astype(np.float32)
            c = np.zeros((*z.shape[:-1], z.shape[-1] + 1), np.float32)
            kind = rng.random() if len(z) > 1 else 1
            if (
                kind < 0.18
            ):  # a start picture, at times with the last one; the start's latent is the picture's own
                c[0, ..., :-1], c[0, ..., -1] = z[0], 1
            if 0.13 < kind < 0.22:
                c[-1, ..., :-1], c[-1, ..., -1] = shard["last"][i], 1
            if 0.22 < kind < 0.27:
                c[shard["where"][i], ..., :-1], c[shard["where"][i], ..., -1] = shard["other"][i], 1
            x.append(z)
            cond.append(c)
            texts.append(str(rng.choice(shard["captions"][i])))
        return np.stack(x), np.stack(cond), texts


def smudge(rng: np.random.Generator, text: str) -> str:
    """The caption as training sees it: now and then empty (for guidance) or with a word that means
    nothing.
    """
    if rng.random() < 0.1:
        return ""
    if rng.random() < 0.05:
        words = text.split()
        words.insert(
            int(rng.integers(len(words) + 1)),
            "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), int(rng.integers(2, 8)))),
        )
        return " ".join(words)
    return text


def tokenize(tokenizer, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = [tokenizer.encode(t)[: TEXT["max_length"] - 1] + [1] for t in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([r + [0] * (longest - len(r)) for r in rows])
    return ids, torch.arange(longest)[None] < torch.tensor([len(r) for r in rows])[:, None]


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.text_encoder, self.transformer = TextEncoder(TEXT), Transformer(TRANSFORMER)

    def forward(self, x, cond, sigma, ids, mask, mode):
        return self.transformer(x, cond, sigma, self.text_encoder(ids, mask), mask, mode)


def loss_of(model, z, cond, ids, mask, mode):
    """Rectified flow: x = (1 - s) z + s n, target n - z, s logit-normal; what differs from the
    clip's background counts 3x.
    """
    noise = torch.randn_like(z)
    s = torch.sigmoid(torch.randn(len(z)) + 0.3)
    sb = s[:, None, None, None, None]
    v = model((1 - sb) * z + sb * noise, cond, s, ids, mask, mode)
    with torch.no_grad():
        middle = z.flatten(1, 3).median(1).values[:, None, None, None]
        weight = 1 + 2 * (((z - middle).square().mean(-1, keepdim=True)) > 0.3)
        weight = weight / weight.mean(dtype=torch.float32)
    error = (v - (noise - z)).square()
    return (weight * error).mean(), error.mean().item()


def train(run: Path, steps: int, seed: int = 0, lr: float = 2e-3, bfloat16: bool = False) -> None:
    """Train to `steps`, going on from `run`/dit.pt where there is one; writes it every 100 steps.

    bfloat16: matrix products in it, all else in float32.
    """
    torch.manual_seed(seed)
    spiece = run / "spiece.model"
    if not spiece.exists():
        make_tokenizer(spiece)
    tokenizer = sentencepiece.SentencePieceProcessor(str(spiece))
    TEXT["vocab_size"] = tokenizer.vocab_size()
    latents = Latents(run / "latents")
    model = Model()
    ema = {k: v.clone() for k, v in model.state_dict().items()}
    inner = [(n, p) for n, p in model.named_parameters()]
    is_matrix = {
        n: p.ndim == 2 and ("blocks" in n or "layers" in n) and "table" not in n for n, p in inner
    }
    optimizer = Muon(
        [p for n, p in inner if is_matrix[n]],
        [p for n, p in inner if not is_matrix[n]],
        lr=lr * 5,
        other_lr=lr,
    )
    saved, step = run / "dit.pt", 0
    if saved.exists():
        state = torch.load(saved, weights_only=False)
        model.load_state_dict(state["model"])
        if state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        ema, step, mean, std = state["ema"], state["step"], state["mean"], state["std"]
    else:
        mean, std = (torch.tensor(v, dtype=torch.float32) for v in latents.statistics())
    begun, first, losses = time.time(), step, []
    while step < steps:
        rng = np.random.default_rng((seed, step))
        torch.manual_seed(seed * 1_000_003 + step)
        wanted = SHARES if step < LAST_PART * steps else LAST_SHARES
        there = [b for b in wanted if b in latents.data]
        shares = np.array([wanted[b] for b in there])
        bucket = str(rng.choice(there, p=shares / shares.sum()))
        frames, height, width, _ = BUCKETS[bucket]
        tokens = (1 + (frames - 1) // 4) * (height // 16) * (width // 16)
        z, cond, texts = latents.batch(rng, bucket, min(64, max(1, TOKENS // tokens)))
        z, cond = torch.from_numpy(z), torch.from_numpy(cond)
        z = (z - mean) / std
        cond[..., :-1] = (cond[..., :-1] - mean) / std * cond[..., -1:]
        ids, mask = tokenize(tokenizer, [smudge(rng, t) for t in texts])
        mode = str(rng.choice(("factored", "spatial", "full"), p=(0.84, 0.08, 0.08)))
        scale = min(1, (step + 1) / 100) * (
            1
            if step < 0.4 * steps
            else 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * (step / steps - 0.4) / 0.6))
        )
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * scale
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, plain = loss_of(model, z, cond, ids, mask, mode)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            optimizer.step()
        step += 1
        decay = min(0.998, (step + 1) / (step + 10))
        for k, v in model.state_dict().items():
            ema[k].lerp_(v, 1 - decay)
        losses.append(plain)
        if step % 20 == 0:
            rate = (time.time() - begun) / (step - first)
            print(
                f"dit {step}/{steps} loss {np.mean(losses[-50:]):.4f} {rate:.2f} s/step", flush=True
            )
        if step % 100 == 0 or step == steps:
            latents.refresh()
            temporary = saved.with_suffix(".tmp")
            state = dict(
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
                ema=ema,
                step=step,
                mean=mean,
                std=std,
            )
            torch.save(state, temporary)
            temporary.replace(saved)
