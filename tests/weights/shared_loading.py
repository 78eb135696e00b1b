"""A model's transformer loaded by several machines, against the share of one that is loaded whole.

`mlx.launch` runs it on each machine with a folder, bits a weight or 0, and LoRAs; each prints what
it finds as JSON.
"""

from __future__ import annotations

import mlxvid  # noqa: F401  first, so that OpenBLAS is loaded before MLX

# isort: split
import dataclasses
import json
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from mlxvid import machines, models
from mlxvid.layers.sharded import shard
from mlxvid.weights import loading
from mlxvid.weights.lora import find_lora, parse_lora

loading.SHARED_BYTES = 2**20


def transformer(folder: str, bits: int, loras: list[str]) -> nn.Module:
    card = models.card_of(Path(folder))
    found = [find_lora(parse_lora(lora), lambda *_: Path()) for lora in loras]
    components = loading.Components(card, None, bits or None, found)
    part = dataclasses.replace(card.family.parts["transformer"], loras=True)
    return components.network("transformer", part)


def size(network: nn.Module) -> int:
    return sum(array.nbytes for _, array in tree_flatten(network.parameters()))


def main() -> None:
    folder, bits, *loras = sys.argv[1:]
    here = machines.here()
    machines.share("layers")
    mx.reset_peak_memory()
    own = transformer(folder, int(bits), loras)
    peak = mx.get_peak_memory()
    machines.share(None)
    whole = transformer(folder, int(bits), loras)
    all_bytes = size(whole)
    shard(whole, here.group)
    expected = dict(tree_flatten(whole.parameters()))
    found = dict(tree_flatten(own.parameters()))
    equal = found.keys() == expected.keys()
    equal = equal and all(mx.array_equal(found[name], expected[name]) for name in found)
    facts = {"peak": peak, "held": size(own), "whole": all_bytes, "equal": bool(equal)}
    print(json.dumps({"rank": here.rank, **facts}), flush=True)


if __name__ == "__main__":
    main()
