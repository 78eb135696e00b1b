"""Step two: drawn clips, encoded once, in shards on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from . import drawing, world
from .vae_torch import VAE

# Frames, height, width and number of clips: several sizes, aspects and lengths, so that the model
# can make all of them.
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
SHARD = 200  # clips


def make_shard(vae: VAE, path: Path, bucket: str, index: int) -> None:
    """Draw and encode the clips of one shard, and write them to `path`.

    It holds `latents` [N, T, h, w, C], `last` and `other`, the latents [N, h, w, C] of two pictures
    alone (the last frame, and the frame at latent frame `where`), and `captions`.
    """
    frames, height, width, _ = BUCKETS[bucket]
    latent_frames = 1 + (frames - 1) // 4
    rng = np.random.default_rng((sum(bucket.encode()), index))
    latents = []
    last = []
    other = []
    where = []
    captions = []
    for _ in range(SHARD):
        scene = world.sample(rng, frames, height, width, odds=world.TRAINING_ODDS)
        clip = torch.from_numpy(drawing.draw(scene))[None]
        place = int(rng.integers(0, latent_frames))
        with torch.no_grad():
            z, _ = vae.encode(clip)
            pictures = torch.stack([clip[0, -1:], clip[0, 4 * place : 4 * place + 1]])
            stills, _ = vae.encode(pictures)
        latents.append(z[0].half().numpy())
        last.append(stills[0, 0].half().numpy())
        other.append(stills[1, 0].half().numpy())
        where.append(place)
        captions.append([scene.caption, *_other_captions(rng, scene)])
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


def _other_captions(rng: np.random.Generator, scene: world.Scene) -> list[str]:
    """Three more ways to say a scene."""
    radius = scene.things[0].radius[0]
    size = min(world.SIZES, key=lambda name: abs(world.SIZES[name] - radius))
    return [world.caption(rng, scene, size) for _ in range(3)]


def make_all(run: Path, threads: int = 1) -> None:
    """Write every missing shard to `run`/latents, all sizes growing evenly.

    Several processes may do so at once: each claims a shard by a file beside it.
    """
    torch.set_num_threads(threads)
    vae = VAE(json.loads((run / "vae.json").read_text()))
    vae.load_state_dict(torch.load(run / "vae.pt")["model"])
    folder = run / "latents"
    folder.mkdir(exist_ok=True)
    jobs = []
    for bucket, (_, _, _, count) in BUCKETS.items():
        shards = count // SHARD
        jobs += [(i / shards, bucket, i) for i in range(shards)]
    for _, bucket, i in sorted(jobs):
        path = folder / f"{bucket}-{i:03}.npz"
        claim = path.with_suffix(".claim")
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            continue
        if not path.exists():
            make_shard(vae, path, bucket, i)
