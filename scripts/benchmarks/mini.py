"""The embedded model: a clip from command to file, and its transformer as clips grow longer."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import mlxvid  # first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx

from mlxvid.model.geometry import ATTENTION_MODES

from .timing import exponent, median_seconds

PROMPT = "a red ball bouncing"
LENGTHS = (9, 17, 33, 65, 129)  # frames
SIDE = 96  # pixels


def bench(repeats: int) -> None:
    """Print all of the measurements, medians of `repeats`."""
    print(f"command to file, default clip: {command_to_file(repeats):.2f} s (median of {repeats})")
    pipe = mlxvid.load("mini")
    print(stages(pipe))
    print(f"\none call of the transformer at {SIDE}x{SIDE}, ms (median of {repeats})")
    growth(pipe, repeats)


def command_to_file(repeats: int) -> float:
    """Seconds that the whole command takes for the default clip."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mlxvid.generate", "--progress", "none", "--seed", "1"]
        command += ["--prompt", PROMPT, "-o", str(Path(folder) / "clip.mp4")]
        return median_seconds(
            lambda: subprocess.run(command, check=True, capture_output=True), repeats
        )


def stages(pipe: mlxvid.Pipeline) -> str:
    """One line on the stages of a default clip: times and peak memory."""
    elapsed: dict[str, float] = {}

    def note(progress: mlxvid.Progress) -> None:
        elapsed[progress.stage] = progress.elapsed

    mx.reset_peak_memory()
    pipe.generate(PROMPT, seed=1, on_progress=note)
    steps = pipe.model.card.defaults.steps
    step = elapsed["denoise"] / steps * 1000
    peak = mx.get_peak_memory() / 2**20
    denoise = f"denoise {step:.0f} ms a step ({steps} steps, guidance)"
    return f"{denoise}, decode {elapsed['decode']:.2f} s, peak memory {peak:.0f} MiB"


def growth(pipe: mlxvid.Pipeline, repeats: int) -> None:
    """Print the time of one call of the transformer by attention mode and length."""
    network = pipe.model.network("transformer")
    channels = network.config.in_channels
    text = mx.zeros((1, 8, network.config.text_dim))
    mask = mx.ones((1, 8), dtype=mx.bool_)
    sigma = mx.array([0.5])
    heads = "".join(f"{mode:>10}" for mode in ATTENTION_MODES)
    print(f"{'frames':>8}{'tokens':>8}{heads}{'full/factored':>16}")
    table: dict[str, list[float]] = {mode: [] for mode in ATTENTION_MODES}
    for frames in LENGTHS:
        latent = pipe.model.card.geometry.latent_shape(frames, SIDE, SIDE)
        x = mx.random.normal((1, *latent, channels))
        condition = mx.zeros((1, *latent, channels + 1))
        for mode in ATTENTION_MODES:

            def call(x: mx.array = x, condition: mx.array = condition, mode: str = mode) -> None:
                mx.eval(network(x, condition, sigma, text, mask, mode))

            table[mode].append(median_seconds(call, repeats))
        tokens = latent[0] * latent[1] * latent[2] // 4
        cells = "".join(f"{table[mode][-1] * 1000:10.1f}" for mode in ATTENTION_MODES)
        ratio = table["full"][-1] / table["factored"][-1]
        print(f"{frames:8}{tokens:8}{cells}{ratio:16.2f}")
    latent_frames = [1 + (frames - 1) // 4 for frames in LENGTHS]
    slopes = "".join(f"{exponent(latent_frames, table[m]):10.2f}" for m in ATTENTION_MODES)
    print(f"{'exponent':16}{slopes}   (time ~ latent frames ^ exponent)")
