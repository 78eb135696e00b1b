"""What the blocks of every family hold, in a process of its own: counted in a traced graph as on
Metal, or measured on the CPU.

What is imported here imports MLX's networks, which is too late for the stand-ins of
:mod:`scripts.benchmarks.traced`: so :func:`in_a_process` puts these in place first.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import importlib
import json
import subprocess
import sys
from typing import Any, NamedTuple

import mlx.core as mx

from mlxvid.catalog import CATALOG
from mlxvid.model.attention_call import Blocks
from tests import ROOT

CALLS = 60
TEXT = (32, 64)  # tokens of a prompt, and their width


class Case(NamedTuple):
    """Latents [rows, frames, height, width] through blocks of some heads; inner: the feed-forward's
    width. patch: latent positions on either side of a token.
    """

    heads: int
    frames: int
    height: int
    width: int
    inner: int = 0
    attention: str = "factored"
    dtype: str = "float32"
    rows: int = 1
    patch: int = 2

    @property
    def tokens(self) -> int:
        return self.frames * (self.height // self.patch) * (self.width // self.patch)


# Of the released widths and sizes: only shapes are looked at.
TRACED = {
    # Of frames of 64 tokens or fewer a quarter less is held: attention is one kernel.
    "mini": [Case(3, 9, 16, 24), Case(3, 33, 24, 16, attention="full")],
    "wan2.1-t2v-1.3b": [
        Case(12, 21, 60, 104, 8960, dtype="bfloat16"),
        Case(12, 6, 60, 104, 8960, rows=2),
    ],
    "wan2.1-t2v-14b": [
        Case(40, 21, 60, 104, 13824, dtype="bfloat16"),
        Case(40, 21, 90, 160, 13824, dtype="float16"),
        Case(40, 9, 60, 104, 13824),
    ],
    "latte-1": [
        Case(16, 16, 64, 64, dtype="float16"),
        Case(16, 16, 64, 64, dtype="bfloat16", attention="full"),
    ],
    "opensora-1.2": [
        Case(16, 15, 30, 52, dtype="bfloat16"),
        Case(16, 30, 60, 106, attention="full"),
    ],
    "cogvideox-2b": [Case(30, 13, 60, 90, dtype="float16"), Case(30, 5, 60, 90, rows=2)],
    "cogvideox-5b": [Case(48, 13, 60, 90, dtype="bfloat16"), Case(48, 7, 60, 90)],
    "cogvideox1.5-5b": [Case(48, 11, 96, 170, dtype="bfloat16")],
    "ltxv-2b-0.9.8-distilled": [
        Case(32, 16, 22, 38, dtype="bfloat16", patch=1),
        Case(32, 7, 14, 25, patch=1),
    ],
    # Of a longer clip, whose feed-forward goes through in parts, a sixth less is held.
    "ltxv-13b-0.9.8-dev": [Case(32, 7, 22, 38, dtype="bfloat16", patch=1)],
    # Of a clip whose attention goes through in one part, an eighth more is held: it is small.
    "hunyuanvideo": [
        Case(24, 33, 90, 160, dtype="bfloat16"),
        Case(24, 24, 60, 96),
    ],
}
# Of a few heads: what is held grows with the width.
MEASURED = {
    "mini": [Case(3, 9, 12, 12), Case(3, 17, 16, 24), Case(3, 9, 12, 16, attention="full")],
    "wan2.1-t2v-1.3b": [Case(2, 5, 30, 40, 1492), Case(3, 3, 30, 52, 2240)],
    "wan2.1-t2v-14b": [Case(2, 5, 30, 40, 692), Case(3, 3, 24, 40, 1036, rows=2)],
    "latte-1": [
        Case(4, 16, 32, 32),
        Case(2, 16, 16, 24),
        Case(4, 16, 32, 32, attention="full"),
    ],
    "opensora-1.2": [
        Case(4, 15, 30, 52),
        Case(2, 30, 16, 16),
        Case(2, 30, 16, 16, attention="full"),
    ],
    "cogvideox-2b": [Case(2, 5, 24, 40), Case(3, 3, 24, 40, rows=2)],
    "cogvideox-5b": [Case(2, 5, 24, 40), Case(3, 3, 24, 40, rows=2)],
    "cogvideox1.5-5b": [Case(2, 5, 24, 40), Case(3, 3, 24, 40, rows=2)],
    "ltxv-2b-0.9.8-distilled": [Case(4, 5, 10, 12, patch=1), Case(8, 4, 8, 10, patch=1)],
    "ltxv-13b-0.9.8-dev": [Case(3, 5, 10, 12, patch=1), Case(4, 4, 8, 10, patch=1)],
    "hunyuanvideo": [Case(2, 5, 30, 40), Case(3, 3, 24, 40)],
}


def call_of(model: str, case: Case) -> tuple[Any, mx.array]:
    """A network of a few blocks as a function of latents, and the latents.

    Of a family whose attention can't be measured by itself, the module `blocks` beside its tests
    has it.
    """
    card = CATALOG[model]
    dtype = getattr(mx, case.dtype)
    channels = card.geometry.channels
    frames = case.frames * card.geometry.patch[0]
    latents = mx.zeros((case.rows, frames, case.height, case.width, channels))
    if "attention" in card.takes:
        sides = (case.height, case.width)
        blocks = Blocks(case.heads, card.head_dim, 1, channels, sides, (1, 2, 2), dtype)
        call = card.family.load(card.family.model).attention_call(blocks, case.frames)
        return lambda x: call(x, case.attention), latents
    blocks = importlib.import_module(f"tests.models.{card.family.name}.blocks")
    return blocks.call(case, card, dtype), latents


def measured(model: str, case: Case) -> int:
    """The highest peak of some calls, beyond what was there before.

    MLX works ahead, and on a busy machine holds less in some calls: hence so many.
    """
    call, latents = call_of(model, case)
    mx.eval(latents, call(latents))  # the weights too
    mx.clear_cache()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    for _ in range(CALLS):
        mx.eval(call(latents))
    return mx.get_peak_memory() - before


def traced(model: str, case: Case) -> int:
    """The peak of a call on Metal, as its graph says."""
    from scripts.benchmarks.traced import peak_bytes

    call, latents = call_of(model, case)
    return peak_bytes(call, latents)


PREPARED = "import mlxvid; from scripts.benchmarks import traced; traced.prepare()"
IMPORTED = "import json; from tests.models import held"


def in_a_process(how: str, model: str) -> list[int]:
    """Bytes of each of a model's cases. how: "traced" or "measured"."""
    cases = f"held.{how.upper()}[{model!r}]"
    lines = [PREPARED] if how == "traced" else []
    lines += [IMPORTED, f"print(json.dumps([held.{how}({model!r}, c) for c in {cases}]))"]
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
