"""What a block of Wan 2.1 1.3B costs on Metal in mlx-gen and here, counted in the traced graphs.

It needs mlx-gen (https://pypi.org/project/mlx-gen) beside mlxvid, in an environment of their own,
and no Mac: `pip install mlx-gen`, or, where its own MLX is not to be had, `pip install --no-deps
mlx-gen` and what it asks for. mlx-gen compiles its whole network, so all elementwise work between
two other launches counts as one, as in a compiled function here. In the repository's folder
`python -m scripts.benchmarks.mlx_gen` prints both.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import mlx.core as mx

from . import graph

WAN = "Wan 2.1 1.3B, 81 frames at 832x480"


def main() -> int:
    """Print both rows and their ratios; returns the exit code."""
    graph.prepare()
    try:
        from mflux.models.wan.model.wan_transformer import WanTransformer
    except ImportError as error:
        print(f"mlx-gen isn't installed here ({error}): `pip install mlx-gen`.", file=sys.stderr)
        return 2
    from . import graph_blocks, traced

    case = graph_blocks.cases()[WAN]

    def theirs(blocks: int) -> graph_blocks.Call:
        network = WanTransformer(
            num_attention_heads=12,
            in_channels=16,
            out_channels=16,
            text_dim=graph_blocks.TEXT,
            ffn_dim=8960,
            num_layers=blocks,
        )
        # Numbers that aren't weights, from which the rotary tables are made.
        cos = network.rope.freqs_cos
        sin = network.rope.freqs_sin
        traced.lazy(network, mx.bfloat16)
        network.rope.freqs_cos = cos
        network.rope.freqs_sin = sin
        text = mx.zeros((1, 512, graph_blocks.TEXT), mx.bfloat16)
        call: Callable[[mx.array], mx.array] = graph.compiled(
            lambda x: network(x.astype(mx.bfloat16), mx.zeros((1,)), text)
        )
        return graph_blocks.Call(network, call)

    latents = case.latents.transpose(0, 4, 1, 2, 3)
    release = f"mlx-gen {version('mlx-gen')}"
    other = graph.row(release, theirs, latents, tokens=case.tokens)
    ours = graph.row("mlxvid", case.network_of, case.latents, tokens=case.tokens)
    print(f"{WAN}: a block\n\n{graph.table([other, ours])}\n")
    moved = ours.cost.moved / other.cost.moved
    launches = ours.cost.launches / other.cost.launches
    print(f"mlxvid moves {moved:.2f} of the bytes, in {launches:.2f} of the launches.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
