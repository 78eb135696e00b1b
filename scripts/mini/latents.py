"""Step two of training mini: drawn clips, encoded once, in shards on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from . import world
from .vae_torch import VAE

# frames, height, width, and how many clips of it: several sizes, aspects and lengths, so that all
# of them are real
BUCKETS = {
    "17x64x64": (17, 64, 64, 3600),
    "33x96x96": (33, 96, 96, 4800),
    "17x64x96": (17, 64, 96, 1000),
    "17x96x64": (17, 96, 64, 1000),
    "33x64x64": (33, 64, 64, 2400),
    "9x96x96": (9, 96, 96, 800),
    "1x96x96": (1, 96, 96, 1000),
    "1x64x64": (1, 64, 64, 800),
}
SHARD = 200


def make_shard(vae: VAE, path: Path, bucket: str, index: int) -> None:
    """Draw and encode one shard: `latents` [N, T, h, w, C], `last` and `other` pictures' latents,
    where `other` was, captions.
    """
    frames, height, width, _ = BUCKETS[bucket]
    rng = np.random.default_rng((sum(bucket.encode()), index))
    latents, last, other, where, captions = [], [], [], [], []
    for _ in range(SHARD):
        scene = world.sample(rng, frames, height, width, odds=world.TRAINING_ODDS)
        clip = torch.from_numpy(world.draw(scene))[None]
        slots = 1 + (frames - 1) // 4
        spot = int(rng.integers(0, slots))
        with torch.no_grad():
            latents.append(vae.encode(clip)[0][0].half().numpy())
            stills = vae.encode(torch.stack([clip[0, -1:], clip[0, 4 * spot : 4 * spot + 1]]))[0]
        last.append(stills[0, 0].half().numpy())
        other.append(stills[1, 0].half().numpy())
        where.append(spot)
        size = min(world.SIZES, key=lambda s: abs(world.SIZES[s] - scene.things[0].radius[0]))
        captions.append([scene.caption] + [world.caption(rng, scene, size) for _ in range(3)])
    temporary = path.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        latents=np.stack(latents),
        last=np.stack(last),
        other=np.stack(other),
        where=np.array(where),
        captions=json.dumps(captions),
    )
    temporary.replace(path)


def make_all(run: Path, threads: int = 1) -> None:
    """Write every missing shard to `run`/latents, all sizes growing evenly; several processes may
    run at once.
    """
    torch.set_num_threads(threads)
    vae = VAE(json.loads((run / "vae.json").read_text()))
    vae.load_state_dict(torch.load(run / "vae.pt")["model"])
    folder = run / "latents"
    folder.mkdir(exist_ok=True)
    jobs = [
        (i / (count // SHARD), bucket, i)
        for bucket, (_, _, _, count) in BUCKETS.items()
        for i in range(count // SHARD)
    ]
    for _, bucket, i in sorted(jobs):
        path = folder / f"{bucket}-{i:03}.npz"
        claim = path.with_suffix(".claim")
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        if not path.exists():
            make_shard(vae, path, bucket, i)
