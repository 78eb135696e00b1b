"""Clips of tiny models whose layers machines share, against those of one machine.

`mlx.launch` runs it on each with a folder of models and the names of cases; each prints as JSON how
far the frames are apart, and the most memory that each way took.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import mlxvid
from mlxvid import machines
from tests.run.unchanged_clips import CASES, PROMPT

MORE: dict[str, tuple[str, dict[str, Any]]] = {
    "hunyuan": ("hunyuan", dict(width=48, height=32, frames=9, steps=3)),
    "mini-easy": ("mini", dict(frames=9, steps=12, cache="easy", cache_threshold=0.3)),
    "mini-tea": ("mini", dict(frames=9, steps=12, cache="tea", cache_threshold=0.3)),
    "mini-quantized": ("mini", dict(frames=9, steps=3)),
}


def main() -> None:
    folder, *cases = sys.argv[1:]
    here = machines.here()
    found = {}
    for case in cases:
        name, settings = {**CASES, **MORE}[case]
        place = name if name == "mini" else str(Path(folder) / name)
        loading = {"quantize": 8} if "quantized" in case else {}
        settings = {"prompt": PROMPT, "seed": 7, **settings}
        machines.share("layers")
        pipe = mlxvid.load(place, **loading)
        clip = pipe.generate(**settings) if here.is_first else pipe.assist(**settings)
        machines.share(None)
        if clip is None:
            continue
        alone = mlxvid.load(place, **loading).generate(**settings)
        difference = np.abs(clip.frames.astype(int) - alone.frames.astype(int)).max()
        equal = clip.settings == alone.settings
        found[case] = [int(difference), equal, float(alone.frames.std())]
    here.every(True)  # none ends before the others are done
    print(json.dumps({"rank": here.rank, "found": found}), flush=True)


if __name__ == "__main__":
    main()
