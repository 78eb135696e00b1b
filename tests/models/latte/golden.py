"""Comparisons of Latte's transformer with golden data: latte.* and latte1_inventory.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlxvid.model.folder import from_json
from mlxvid.models.latte.config import LatteConfig
from mlxvid.models.latte.transformer import LatteTransformer3DModel
from tests.golden.files import (
    MODULES,
    Check,
    Checker,
    Tensors,
    channels_last,
    difference,
    misplaced,
    read_json,
    read_network,
    read_tensors,
)
from tests.golden.stages import stage_check, watched


def check(folder: Path) -> Iterator[Check]:
    """Every inventory and every case of a transformer in the folder."""
    for path in sorted(folder.glob("latte*_inventory.json")):
        inventory = read_json(path)
        config = from_json(LatteConfig, inventory["config"], path)
        wrong = misplaced(LatteTransformer3DModel, config, inventory)
        yield Check(f"{path.name}: tensors out of place", wrong, 0)
    for config_path in sorted(folder.glob("latte*.config.json")):
        stem = config_path.name.removesuffix(".config.json")
        for path in sorted(folder.glob(f"{stem}.*.safetensors")):
            if not path.name.endswith(".weights.safetensors"):
                # A new network for each case, since watched layers are put into it.
                network = read_network(folder, stem, LatteTransformer3DModel, LatteConfig)
                yield from _case(network, path.stem, read_tensors(path))


CHECKS: dict[str, Checker] = {"latte": check}


def _case(network: LatteTransformer3DModel, name: str, case: Tensors) -> Iterator[Check]:
    stages = watch(network)
    x = channels_last(case["in.x"])
    out = network(x, case["in.timestep"], case["in.encoder_hidden_states"])
    yield Check(f"{name} out", difference(out, channels_last(case["out"])), MODULES)
    yield from stage_check(name, stages, case)


def watch(network: LatteTransformer3DModel) -> Tensors:
    """The stages of the network's next call, filled in as it runs."""
    stages: Tensors = {}
    ada = network.adaln_single
    ada.emb["timestep_embedder"] = watched(ada.emb["timestep_embedder"], stages, result="t_emb")
    ada.linear = watched(ada.linear, stages, result="ada_six")
    network.caption_projection = watched(network.caption_projection, stages, result="caption")
    spatial = network.transformer_blocks
    temporal = network.temporal_transformer_blocks
    spatial[0] = watched(spatial[0], stages, source="patch_plus_pos")
    for i in range(len(spatial)):
        spatial[i] = watched(spatial[i], stages, result=f"spatial_{i}.out")
        temporal[i] = watched(temporal[i], stages, result=f"temporal_{i}.out", by_place=True)
    return stages
