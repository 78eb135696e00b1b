#!/usr/bin/env python3
"""Train the embedded model from nothing: VAE, its decoder once more, encoded clips, text encoder
and transformer, model folder.

The training is in PyTorch (pip install "mlxvid[train]"): on two CPU cores without Metal it is
several times faster than MLX's CPU backend, whose elementwise operations run on one thread.
mlxvid's own code is then held to these networks by parity tests. Every stage is seeded and goes on
where it was stopped; run the same command again.

examples:
  scripts/train_mini.py runs/mini scripts/train_mini.py runs/try --vae-steps 200 --dit-steps 200
  scripts/train_mini.py runs/mini --only export scripts/train_mini.py runs/more --start
  mlxvid/assets/mini --vae-steps 0 --decoder-steps 0 --dit-steps 3000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

# Threads that wait must not spin, and freed memory must not go back to the system each step:
# together up to six times faster. Both are read when the process starts, so it starts again with
# them.
SPEED = {
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "10000000000",
}

STAGES = ("vae", "decoder", "latents", "dit", "export")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder for checkpoints and encoded clips")
    parser.add_argument(
        "--out", type=Path, default=Path("mlxvid/assets/mini"), help="the model folder to write"
    )
    parser.add_argument("--vae-steps", type=int, default=1100)
    parser.add_argument("--decoder-steps", type=int, default=1800)
    parser.add_argument("--dit-steps", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--bfloat16",
        action="store_true",
        help="products in bfloat16: a quarter to a half faster on a processor that has it",
    )
    parser.add_argument(
        "--start",
        type=Path,
        metavar="MODEL",
        help="begin from a model folder's weights instead of from nothing",
    )
    parser.add_argument("--only", choices=STAGES, help="one stage instead of all")
    args = parser.parse_args()
    if not SPEED.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SPEED})
    stages = [args.only] if args.only else STAGES

    from mini import export, latents, restore, train_dit, train_vae
    from mlxvid.convert import convert

    if args.start:
        restore.restore(args.start, args.run)
    if "vae" in stages:
        train_vae.train(args.run, args.vae_steps, batch=16, seed=args.seed, bfloat16=args.bfloat16)
    if "decoder" in stages:
        train_vae.finish_decoder(args.run, args.decoder_steps, batch=16, bfloat16=args.bfloat16)
    if "latents" in stages:
        context = multiprocessing.get_context("spawn")
        workers = [
            context.Process(target=latents.make_all, args=(args.run,))
            for _ in range(os.cpu_count() or 1)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if "dit" in stages:
        train_dit.train(args.run, args.dit_steps, seed=args.seed, bfloat16=args.bfloat16)
    if "export" in stages:
        export.export(args.run, args.run / "model")
        convert(args.run / "model", args.out, dtype="float16")


if __name__ == "__main__":
    main()
