#!/usr/bin/env python3
"""Train the embedded model from nothing, in five stages.

The stages are: the VAE; its decoder once more; encoded clips; text encoder and transformer; the
model folder. Each is seeded and resumes where it was stopped: run the same command again.

The training is in PyTorch (pip install "mlxvid[train]"): on two CPU cores without Metal it is
several times faster than MLX's CPU backend, whose elementwise operations run on one thread.
mlxvid's own code is then held to these networks by parity tests.

examples:
  python scripts/training/train.py runs/mini
  python scripts/training/train.py runs/try --vae-steps 200 --dit-steps 200
  python scripts/training/train.py runs/mini --only export
  python scripts/training/train.py runs/more --start mlxvid/assets/mini --vae-steps 0 \\
      --decoder-steps 0 --dit-steps 3000
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # where scripts/ stands

# Threads that wait must not spin, and freed memory must not go back to the system each step:
# together up to six times faster. Both are read when the process starts, so it starts again with
# them.
SPEED = {
    "OMP_WAIT_POLICY": "passive",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "10000000000",
}

STAGES = ("vae", "decoder", "latents", "dit", "export")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command's arguments."""
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
    return parser.parse_args(argv)


def encode_clips(run: Path) -> None:
    """Draw and encode the clips, with one process for each processor core."""
    from scripts.training import latents

    context = multiprocessing.get_context("spawn")
    workers = []
    for _ in range(os.cpu_count() or 1):
        workers.append(context.Process(target=latents.make_all, args=(run,)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stages that are asked for."""
    args = parse(argv)
    if not SPEED.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SPEED})
    stages = [args.only] if args.only else STAGES

    from mlxvid.convert import convert
    from scripts.training import export, restore, train_dit, train_vae

    if args.start:
        restore.restore(args.start, args.run)
    if "vae" in stages:
        train_vae.train(args.run, args.vae_steps, batch=16, seed=args.seed, bfloat16=args.bfloat16)
    if "decoder" in stages:
        train_vae.finish_decoder(args.run, args.decoder_steps, batch=16, bfloat16=args.bfloat16)
    if "latents" in stages:
        encode_clips(args.run)
    if "dit" in stages:
        train_dit.train(args.run, args.dit_steps, seed=args.seed, bfloat16=args.bfloat16)
    if "export" in stages:
        export.export(args.run, args.run / "model")
        convert(args.run / "model", args.out, dtype="float16")


if __name__ == "__main__":
    main()
