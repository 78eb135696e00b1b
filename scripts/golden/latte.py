"""Latte's transformer: latte.* and latte1_inventory.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

from mlxvid.model.folder import from_json
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.latte.transformer import LatteTransformer3DModel

from .files import (
    MODULES,
    Check,
    channels_last,
    difference,
    misplaced,
    read_json,
    read_network,
    read_tensors,
)
from .stages import Stages, stage_check, watched


def check(folder: Path) -> Iterator[Check]:
    for path in sorted(folder.glob("latte*_inventory.json")):
        inventory = read_json(path)
        config = from_json(LatteConfig, inventory["config"], path)
        yield Check(
            f"{path.name}: tensors out of place",
            misplaced(LatteTransformer3DModel, config, inventory),
            0,
        )
    for config_path in sorted(folder.glob("latte*.config.json")):
        stem = config_path.name.removesuffix(".config.json")
        for path in sorted(folder.glob(f"{stem}.*.safetensors")):
            if not path.name.endswith(".weights.safetensors"):
                # Anew each time, since the watched layers are put into it.
                network = read_network(folder, stem, LatteTransformer3DModel, LatteConfig)
                yield from _case(
                    network, path.name.removesuffix(".safetensors"), read_tensors(path)
                )


def _case(
    network: LatteTransformer3DModel, name: str, case: dict[str, mx.array]
) -> Iterator[Check]:
    stages = _watch(network)
    out = network(
        channels_last(case["in.x"]), case["in.timestep"], case["in.encoder_hidden_states"]
    )
    yield Check(f"{name} out", difference(out, channels_last(case["out"])), MODULES)
    yield from stage_check(name, stages, case)


def _watch(network: LatteTransformer3DModel) -> Stages:
    stages: Stages = {}
    ada = network.adaln_single
    ada.emb["timestep_embedder"] = watched(ada.emb["timestep_embedder"], stages, result="t_emb")
    ada.linear = watched(ada.linear, stages, result="ada_six")
    network.caption_projection = watched(network.caption_projection, stages, result="caption")
    spatial, temporal = network.transformer_blocks, network.temporal_transformer_blocks
    spatial[0] = watched(spatial[0], stages, source="patch_plus_pos")
    for i in range(len(spatial)):
        spatial[i] = watched(spatial[i], stages, result=f"spatial_{i}.out")
        temporal[i] = watched(temporal[i], stages, result=f"temporal_{i}.out", by_place=True)
    return stages
