"""Step three: text encoder and transformer together, on the encoded clips, by rectified flow."""

from __future__ import annotations

import io
import json
import math
import string
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sentencepiece
import torch
from torch import Tensor

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
LAST_PART = 0.85
LAST_SHARES = {**SHARES, "17x64x64": 0.2, "33x64x64": 0.2, "33x96x96": 0.45}
MODES = ("factored", "spatial", "full")
MODE_SHARES = (0.84, 0.08, 0.08)


class Batch(NamedTuple):
    """Clips of one size: latents [N, T, h, w, C], condition [N, T, h, w, C + 1], captions.

    Latents and condition are as the VAE encodes them, not yet scaled.
    """

    latents: np.ndarray
    condition: np.ndarray
    captions: list[str]


def make_tokenizer(path: Path) -> None:
    """Train the word-piece model on captions of the drawn world.

    Letters and digits are pieces too, so that any prompt can be read.
    """
    rng = np.random.default_rng(1)
    captions = []
    for _ in range(8000):
        frames = int(rng.choice((1, 33)))
        captions.append(world.sample(rng, frames, 64, 64, unseen=None).caption)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(captions),
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
    """The shards of `folder`, by bucket; :meth:`refresh` takes in those written since."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.seen: set[str] = set()
        self.data: dict[str, list[dict[str, Any]]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read every shard that has not been read yet."""
        for path in sorted(self.folder.glob("*[0-9].npz")):
            if path.name in self.seen:
                continue
            self.seen.add(path.name)
            with np.load(path) as file:
                shard: dict[str, Any] = {name: file[name] for name in file.files}
            shard["captions"] = json.loads(str(shard["captions"]))
            bucket = path.stem.rsplit("-", 1)[0]
            self.data.setdefault(bucket, []).append(shard)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each latent channel over a sample of clips."""
        samples = []
        for shards in self.data.values():
            for shard in shards[:4]:
                latents = shard["latents"]
                samples.append(latents[:40].reshape(-1, latents.shape[-1]))
        values = np.concatenate(samples).astype(np.float64)
        return values.mean(0), values.std(0)

    def batch(self, rng: np.random.Generator, bucket: str, count: int) -> Batch:
        """`count` clips of a bucket, drawn at random; pictures are given in a quarter of them."""
        latents = []
        conditions = []
        captions = []
        shards = self.data[bucket]
        for _ in range(count):
            shard = shards[int(rng.integers(len(shards)))]
            i = int(rng.integers(len(shard["latents"])))
            z = shard["latents"][i].astype(np.float32)
            condition = np.zeros((*z.shape[:-1], z.shape[-1] + 1), np.float32)
            kind = rng.random() if len(z) > 1 else 1
            if kind < 0.18:  # a first picture: the first latent frame is the picture's own
                _give(condition, 0, z[0])
            if 0.13 < kind < 0.22:  # a last picture, at times beside the first
                _give(condition, -1, shard["last"][i])
            if 0.22 < kind < 0.27:
                _give(condition, shard["where"][i], shard["other"][i])
            latents.append(z)
            conditions.append(condition)
            captions.append(str(rng.choice(shard["captions"][i])))
        return Batch(np.stack(latents), np.stack(conditions), captions)


def _give(condition: np.ndarray, frame: int, picture: np.ndarray) -> None:
    """Put a picture's latent into a condition, and mark its frame as given."""
    condition[frame, ..., :-1] = picture
    condition[frame, ..., -1] = 1


def smudge(rng: np.random.Generator, caption: str) -> str:
    """The caption as training sees it.

    A tenth are empty, for guidance; a few have a word that means nothing.
    """
    if rng.random() < 0.1:
        return ""
    if rng.random() < 0.05:
        words = caption.split()
        place = int(rng.integers(len(words) + 1))
        letters = rng.choice(list(string.ascii_lowercase), int(rng.integers(2, 8)))
        words.insert(place, "".join(letters))
        return " ".join(words)
    return caption


def tokenize(
    tokenizer: sentencepiece.SentencePieceProcessor, texts: Iterable[str]
) -> tuple[Tensor, Tensor]:
    """Token ids [N, L], padded with 0, and their mask."""
    rows = [tokenizer.encode(text)[: TEXT["max_length"] - 1] + [1] for text in texts]
    lengths = torch.tensor([len(row) for row in rows])
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.arange(longest)[None] < lengths[:, None]


class Model(torch.nn.Module):
    """Text encoder and transformer, trained together."""

    def __init__(self) -> None:
        super().__init__()
        self.text_encoder = TextEncoder(TEXT)
        self.transformer = Transformer(TRANSFORMER)

    def forward(
        self, x: Tensor, cond: Tensor, sigma: Tensor, ids: Tensor, mask: Tensor, mode: str
    ) -> Tensor:
        return self.transformer(x, cond, sigma, self.text_encoder(ids, mask), mask, mode)


def loss_of(
    model: Model, z: Tensor, cond: Tensor, ids: Tensor, mask: Tensor, mode: str
) -> tuple[Tensor, float]:
    """The loss of rectified flow, and the plain squared error for the log.

    x = (1 - s) z + s n with target n - z, s logit-normal. What differs from the clip's background
    counts three times.
    """
    noise = torch.randn_like(z)
    s = torch.sigmoid(torch.randn(len(z)) + 0.3)
    sb = s[:, None, None, None, None]
    v = model((1 - sb) * z + sb * noise, cond, s, ids, mask, mode)
    with torch.no_grad():
        background = z.flatten(1, 3).median(1).values[:, None, None, None]
        weight = 1 + 2 * ((z - background).square().mean(-1, keepdim=True) > 0.3)
        weight = weight / weight.mean(dtype=torch.float32)
    error = (v - (noise - z)).square()
    return (weight * error).mean(), error.mean().item()


def train(run: Path, steps: int, seed: int = 0, lr: float = 2e-3, bfloat16: bool = False) -> None:
    """Train to `steps`, resuming from `run`/dit.pt where there is one, and write it every 100.

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
    ema = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, lr)
    saved = run / "dit.pt"
    step = 0
    if saved.exists():
        state = torch.load(saved, weights_only=False)
        model.load_state_dict(state["model"])
        if state["optimizer"] is not None:
            optimizer.load_state_dict(state["optimizer"])
        ema = state["ema"]
        step = state["step"]
        mean = state["mean"]
        std = state["std"]
    else:
        mean, std = (torch.tensor(v, dtype=torch.float32) for v in latents.statistics())
    begun = time.time()
    first = step
    losses: list[float] = []
    while step < steps:
        rng = np.random.default_rng((seed, step))
        torch.manual_seed(seed * 1_000_003 + step)
        bucket = choose_bucket(rng, latents, SHARES if step < LAST_PART * steps else LAST_SHARES)
        batch = latents.batch(rng, bucket, clips_per_step(bucket))
        z = (torch.from_numpy(batch.latents) - mean) / std
        cond = torch.from_numpy(batch.condition)
        cond[..., :-1] = (cond[..., :-1] - mean) / std * cond[..., -1:]
        captions = [smudge(rng, caption) for caption in batch.captions]
        ids, mask = tokenize(tokenizer, captions)
        mode = str(rng.choice(MODES, p=MODE_SHARES))
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * learning_rate_scale(step, steps)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss, plain = loss_of(model, z, cond, ids, mask, mode)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            optimizer.step()
        step += 1
        decay = min(0.998, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            ema[name].lerp_(value, 1 - decay)
        losses.append(plain)
        if step % 20 == 0:
            rate = (time.time() - begun) / (step - first)
            recent = np.mean(losses[-50:])
            print(f"dit {step}/{steps} loss {recent:.4f} {rate:.2f} s/step", flush=True)
        if step % 100 == 0 or step == steps:
            latents.refresh()
            state = dict(
                model=model.state_dict(),
                optimizer=optimizer.state_dict(),
                ema=ema,
                step=step,
                mean=mean,
                std=std,
            )
            save(state, saved)


def save(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint; a run that is broken off leaves the last complete one."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def make_optimizer(model: Model, lr: float) -> Muon:
    """Muon for the matrices of blocks and layers, AdamW for everything else."""
    matrices = []
    others = []
    for name, parameter in model.named_parameters():
        in_block = ("blocks" in name or "layers" in name) and "table" not in name
        if parameter.ndim == 2 and in_block:
            matrices.append(parameter)
        else:
            others.append(parameter)
    return Muon(matrices, others, lr=lr * 5, other_lr=lr)


def choose_bucket(rng: np.random.Generator, latents: Latents, wanted: dict[str, float]) -> str:
    """One of the sizes whose clips are there, by the shares that are wanted."""
    there = [bucket for bucket in wanted if bucket in latents.data]
    shares = np.array([wanted[bucket] for bucket in there])
    return str(rng.choice(there, p=shares / shares.sum()))


def clips_per_step(bucket: str) -> int:
    """How many clips of a size make about `TOKENS` tokens, from 1 to 64."""
    frames, height, width, _ = BUCKETS[bucket]
    tokens = (1 + (frames - 1) // 4) * (height // 16) * (width // 16)
    return min(64, max(1, TOKENS // tokens))


def learning_rate_scale(step: int, steps: int) -> float:
    """A warm-up of 100 steps, a plateau for 40 % of the training, then a cosine down to 3 %."""
    warm_up = min(1, (step + 1) / 100)
    if step < 0.4 * steps:
        return warm_up
    return warm_up * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * (step / steps - 0.4) / 0.6)))
