"""Writes a converted model to its work folder: weights, configs, and all other files."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlxvid.errors import MediaError
from mlxvid.progress import Watch
from mlxvid.weights.loading import QUANTIZE_GROUP

from .fitting import WritePlan
from .release import Release
from .shards import Shard, index_of, shards_of, write_shard
from .work_folder import WorkFolder

log = logging.getLogger("mlxvid")


def write_model(
    release: Release, plans: Sequence[WritePlan], work: WorkFolder, shard_bytes: int, watch: Watch
) -> None:
    """Write what `work` does not have yet: the weights first, then the rest, which is quick.

    Raises :class:`MediaError` where the disk has too little room, and what
    :func:`mlxvid.convert.shards.write_shard` raises.
    """
    shards = {plan.component.name: shards_of(plan, shard_bytes) for plan in plans}
    _write_weights([shard for group in shards.values() for shard in group], work, watch)
    for path, content in release.files.items():
        target = work.model / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copyfile(content, target)
    for plan in plans:
        _write_config(release, plan, work.model)
        _write_index(plan, shards[plan.component.name], work.model)
    if "model_index.json" not in release.files:
        _write_json(work.model / "model_index.json", release.index)


def _write_weights(shards: Sequence[Shard], work: WorkFolder, watch: Watch) -> None:
    missing = [shard for shard in shards if not work.has(shard.path)]
    finished = len(shards) - len(missing)
    if finished:
        log.info(
            f"Resuming an earlier conversion: {finished} of {len(shards)} weight files are there."
        )
    missing_bytes = sum(shard.nbytes for shard in missing)
    _check_free_space(work, missing_bytes)
    meter = _Meter(watch, sum(shard.nbytes for shard in shards), missing_bytes)
    for shard in missing:
        write_shard(shard, work.begin(shard.path), meter.add)
        work.finish(shard.path)
        meter.report()


def _check_free_space(work: WorkFolder, needed: int) -> None:
    """Raise :class:`MediaError` where the disk has less than `needed` bytes free."""
    free = shutil.disk_usage(work.model).free
    if needed > free:
        raise MediaError(
            f"{work.out} needs {_size(needed)} and its disk has {_size(free)} free; "
            "make room, or choose another disk."
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _write_config(release: Release, plan: WritePlan, folder: Path) -> None:
    """Write a component's config.json, unless it is copied as it was."""
    component = plan.component
    path = folder / component.name / "config.json"
    if plan.quantized:
        quantization = {"group_size": QUANTIZE_GROUP, "bits": plan.bits}
        _write_json(path, {**component.config, "quantization": quantization})
    elif f"{component.name}/config.json" not in release.files:
        _write_json(path, component.config)


def _write_index(plan: WritePlan, shards: Sequence[Shard], folder: Path) -> None:
    """Write the index of a component's weight files, if there are several."""
    if len(shards) > 1:
        name = f"{plan.component.stem}.safetensors.index.json"
        _write_json(folder / plan.component.name / name, index_of(shards))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


class _Meter:
    """Takes bytes written, and reports whole megabytes to a :class:`Watch`."""

    def __init__(self, watch: Watch, total: int, missing: int):
        """`missing` of `total` bytes are still to be written."""
        self._watch = watch
        self._total = total
        self._bytes = total - missing
        self._reported = int(self._bytes / 1e6)
        watch.begin("convert", max(1, math.ceil(total / 1e6)), self._reported)

    def add(self, count: int) -> None:
        """Count more bytes, and report if a megabyte is full."""
        self._bytes += count
        if self._megabytes() > self._reported:
            self.report()

    def report(self) -> None:
        """Report the megabytes written so far."""
        done = self._megabytes()
        self._watch.done(count=done - self._reported)
        self._reported = done

    def _megabytes(self) -> int:
        """The megabytes written: rounded down until the last byte, then up."""
        if self._bytes == self._total:
            return math.ceil(self._bytes / 1e6)
        return int(self._bytes / 1e6)
