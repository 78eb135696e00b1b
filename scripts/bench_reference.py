#!/usr/bin/env python3
"""mlxvid beside Diffusers on this machine's CPU: time and memory of one call, on the same mid-size
random weights.

Each side runs in processes of its own, by turns; the time is the median of the calls, the memory
what the process took at most beyond its imports (weights included).

examples:
  scripts/bench_reference.py wan-step wan-decode
  scripts/bench_reference.py latte-step --rounds 5 --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

CALLS = 3
Call = Callable[[], object]

WAN = dict(
    num_attention_heads=6,
    attention_head_dim=128,
    in_channels=16,
    out_channels=16,
    text_dim=512,
    ffn_dim=3072,
    num_layers=6,
)
WAN_LATENTS, WAN_WORDS = (1, 9, 16, 24, 16), 128
WAN_VAE = dict(base_dim=48, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2)
WAN_VAE_LATENTS = (1, 3, 8, 12, 16)
LATTE = dict(
    num_attention_heads=8,
    attention_head_dim=72,
    in_channels=4,
    out_channels=8,
    num_layers=6,
    sample_size=32,
    patch_size=2,
    cross_attention_dim=576,
    caption_channels=512,
    video_length=16,
    attention_bias=True,
    activation_fn="gelu-approximate",
    num_embeds_ada_norm=1000,
    norm_type="ada_norm_single",
    norm_elementwise_affine=False,
)
LATTE_LATENTS, LATTE_WORDS = (1, 16, 24, 32, 4), 40
# Open-Sora's blocks at Latte's width; its reference can't be installed, so that Latte's stands
# beside them.
OPENSORA = dict(hidden_size=576, num_heads=8, depth=6, caption_channels=512, model_max_length=40)


def ours(case: str) -> Call:
    """One call of mlxvid's network, evaluated."""
    import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

    # isort: split
    import mlx.core as mx
    from mlx.utils import tree_map

    from mlxvid.model.folder import from_json
    from mlxvid.models.latte.config import LatteConfig
    from mlxvid.models.latte.transformer import LatteTransformer3DModel
    from mlxvid.models.opensora.config import STDiT3Config
    from mlxvid.models.opensora.transformer import STDiT3
    from mlxvid.models.wan.config import WanTransformerConfig
    from mlxvid.models.wan.transformer import WanTransformer3DModel
    from mlxvid.models.wan.vae import AutoencoderKLWan
    from mlxvid.models.wan.vae_config import WanVAEConfig

    def drawn(network):
        network.update(tree_map(lambda p: mx.random.normal(p.shape) * 0.02, network.parameters()))
        mx.eval(network.parameters())
        return network

    if case == "wan-step":
        network = drawn(WanTransformer3DModel(WanTransformerConfig(**WAN)))
        x, text = mx.random.normal(WAN_LATENTS), mx.random.normal((1, WAN_WORDS, WAN["text_dim"]))
        return lambda: mx.eval(network(x, mx.array([500.0]), text))
    if case == "wan-decode":
        vae = drawn(AutoencoderKLWan(WanVAEConfig(**WAN_VAE)))
        z = mx.random.normal(WAN_VAE_LATENTS)
        return lambda: [mx.eval(part) for part in vae.decode(z)]
    if case == "opensora-step":
        network = drawn(STDiT3(STDiT3Config(**OPENSORA)))
        x, text = (
            mx.random.normal(LATTE_LATENTS),
            mx.random.normal((1, LATTE_WORDS, OPENSORA["caption_channels"])),
        )
        return lambda: mx.eval(
            network(x, mx.array([500.0]), text, None, mx.array([24.0]), 192.0, 256.0)
        )
    network = drawn(LatteTransformer3DModel(from_json(LatteConfig, LATTE, Path(__file__))))
    x, text = (
        mx.random.normal(LATTE_LATENTS),
        mx.random.normal((1, LATTE_WORDS, LATTE["caption_channels"])),
    )
    return lambda: mx.eval(network(x, mx.array([500]), text))


def theirs(case: str) -> Call:
    """One call of Diffusers' network; for Open-Sora's, of Latte's at the same size."""
    import torch
    from diffusers import AutoencoderKLWan, LatteTransformer3DModel, WanTransformer3DModel

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_grad_enabled(False)

    def latents(shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape).movedim(-1, 1).contiguous()

    if case == "wan-step":
        network = WanTransformer3DModel(**WAN).eval()
        x, text = latents(WAN_LATENTS), torch.randn(1, WAN_WORDS, WAN["text_dim"])
        return lambda: network(x, torch.tensor([500]), text)
    if case == "wan-decode":
        vae = AutoencoderKLWan(**WAN_VAE).eval()
        z = latents(WAN_VAE_LATENTS)
        return lambda: vae.decode(z)
    network = LatteTransformer3DModel(**LATTE).eval()
    x, text = latents(LATTE_LATENTS), torch.randn(1, LATTE_WORDS, LATTE["caption_channels"])
    return lambda: network(x, torch.tensor([500]), text)


CASES = ("wan-step", "wan-decode", "latte-step", "opensora-step")
SIDES = {"mlxvid": ours, "diffusers": theirs}


def side(name: str, case: str) -> None:
    """Measure one side in this process and print what was found."""
    {
        "mlxvid": lambda: __import__("mlxvid.weights.loading"),
        "diffusers": lambda: __import__("diffusers.models"),
    }[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call = SIDES[name](case)
    call()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, kilobytes here
    print(
        json.dumps(
            {
                "seconds": times,
                "bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit,
            }
        )
    )


def compare(case: str, rounds: int, threads: int) -> None:
    """Measure both sides by turns and print their medians and ratios."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    found: dict[str, list[dict]] = {name: [] for name in SIDES}
    for _ in range(rounds):
        for name in SIDES:
            command = [sys.executable, __file__, case, "--side", name]
            run = subprocess.run(command, env=environment, capture_output=True, text=True)
            if run.returncode:
                sys.exit(f"{name} failed at {case}: {run.stderr.strip().splitlines()[-1]}")
            found[name].append(json.loads(run.stdout.splitlines()[-1]))
    seconds = {
        name: statistics.median(t for one in runs for t in one["seconds"])
        for name, runs in found.items()
    }
    size = {name: max(one["bytes"] for one in runs) / 2**20 for name, runs in found.items()}
    for name in SIDES:
        print(f"{case:<15}{name:<10}{seconds[name]:8.3f} s{size[name]:8.0f} MiB")
    a, b = SIDES
    print(
        f"{case:<15}{'ratio':<10}{seconds[a] / seconds[b]:8.2f}  {size[a] / size[b]:8.2f}   ({a} / {b}, {threads} threads)"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="+", choices=CASES)
    parser.add_argument("--rounds", type=int, default=3, help="processes a side")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--side", choices=tuple(SIDES), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    for case in args.cases:
        side(args.side, case) if args.side else compare(case, args.rounds, args.threads)


if __name__ == "__main__":
    main()
