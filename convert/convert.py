"""A model, wherever it comes from, as a folder that mlxvid loads: all of it or nothing, and going
on where an earlier run stopped.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxvid import __version__
from mlxvid.errors import MediaError, MlxvidError, SettingError, WeightsError
from mlxvid.progress import Cancel, Progress, Watch
from mlxvid.weights.loading import DTYPES, QUANTIZE_BITS, QUANTIZE_GROUP

from . import fitting, sources
from .layouts import Model
from .recognise import recognise
from .work import Work
from .write import SHARD_BYTES, Shard, index_of, shards, write_shard

log = logging.getLogger("mlxvid")


def convert(
    source: str | os.PathLike,
    out: str | os.PathLike,
    dtype: str = "bfloat16",
    *,
    quantize: int | None = None,
    quantize_text: int | None = None,
    revision: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Cancel | None = None,
) -> Path:
    """Write the model `source` to the folder `out` in the Diffusers layout; returns `out`.

    source: a folder in the Diffusers layout, one with an original release, a hub repository
    ("owner/name", of `revision`), or a name of the catalog. dtype: of the floating-point weights,
    but for what the model itself keeps in float32. quantize: 4 or 8 bits a weight for the
    transformer's large matrices; quantize_text: for the text encoder's, as `quantize` unless given,
    0 for none. shard_bytes: the most that a file holds. on_progress is told of the stages
    "download" and "convert", in MB; cancel.is_set() ends them.

    It grows in `.converting-NAME` beside `out`, which is moved into place at the end, where it
    takes the place of a model. Broken off at any moment, it leaves what was there; run again, it
    goes on with the files that were finished. Raises :class:`SettingError`,
    :class:`ModelNotFoundError`, :class:`WeightsError` for a source that is no sound model,
    :class:`MediaError` where `out` can't be written, and :class:`CancelledError`.
    """
    target = Path(out).expanduser()
    place = target.resolve()
    text_bits = quantize if quantize_text is None else quantize_text or None
    _check_settings(dtype, quantize, text_bits)
    watch = Watch(on_progress, cancel)
    folder = sources.find(source, revision, watch if on_progress or cancel else None).resolve()
    with _written(target):
        _check_place(folder, place)
    model = recognise(folder)
    for line in (f"Recognised: {model.title}.", *model.notes):
        log.info(line)
    plans = _plans(model, dtype, quantize, text_bits)
    job = {
        "mlxvid": __version__,
        "from": [str(folder), sources.fingerprint(folder)],
        "how": [dtype, quantize, text_bits, shard_bytes],
    }
    with _written(target), Work(place, job) as work:
        try:
            _write_all(model, plans, work, shard_bytes, watch)
        except (WeightsError, SettingError):
            work.forget()
            raise
        work.publish()
    return target


def _check_settings(dtype: str, *bits: int | None) -> None:
    if dtype not in tuple(DTYPES):
        raise SettingError(f"There is no dtype {dtype!r}; use one of: {', '.join(DTYPES)}.")
    for number in bits:
        if number is not None and (isinstance(number, bool) or number not in QUANTIZE_BITS):
            raise SettingError(f"Quantization is to 4 or 8 bits, not {number!r}.")


def _check_place(folder: Path, out: Path) -> None:
    """Raise where `out` overlaps with the source, or holds something that is no model and would be
    lost.
    """
    if out == folder or out in folder.parents or folder in out.parents:
        raise SettingError(
            f"{out} and the model to convert overlap; choose a folder outside of it."
        )
    if (
        out.exists()
        and not (out / "model_index.json").is_file()
        and (not out.is_dir() or any(out.iterdir()))
    ):
        raise MediaError(f"{out} holds something that is no model; choose another folder.")


def _plans(model: Model, dtype: str, bits: int | None, text_bits: int | None) -> list[fitting.Plan]:
    """How each component is to be written, once all of them are found to fit."""
    parts = fitting.parts_of(model.index["_class_name"])
    plans = []
    for component in model.components:
        own = (
            bits
            if component.name.startswith("transformer")
            else text_bits
            if component.name.startswith("text_encoder")
            else None
        )
        plans.append(fitting.plan(component, parts[component.name], dtype, own))
    exact = [plan.component.name for plan in plans if plan.float32 >= plan.component.tensors.keys()]
    if exact and dtype != "float32":
        log.info(f"Left in float32, in which this model runs them: {', '.join(exact)}.")
    return plans


@contextmanager
def _written(out: Path) -> Iterator[None]:
    """OSErrors as one sentence."""
    try:
        yield
    except MlxvidError:
        raise
    except OSError as error:
        raise MediaError(
            f"{out} can't be written ({error.strerror or error}); check the folder and its free space."
        ) from None


def _write_all(
    model: Model, plans: list[fitting.Plan], work: Work, limit: int, watch: Watch
) -> None:
    """Write whatever `work` does not have yet: the weights first, then everything else, which is
    quickly done.
    """
    files = {plan.component.name: shards(plan, limit) for plan in plans}
    every = [shard for group in files.values() for shard in group]
    missing = [shard for shard in every if not work.has(shard.path)]
    if len(missing) < len(every):
        log.info(
            f"Going on with an earlier run: {len(every) - len(missing)} of {len(every)} weight files are there."
        )
    _check_room(work, missing)
    meter = _Meter(
        watch, sum(shard.nbytes for shard in every), sum(shard.nbytes for shard in missing)
    )
    for shard in missing:
        write_shard(shard, work.begin(shard.path), meter.add)
        work.finish(shard.path)
        meter.add(0, tell=True)
    for path, content in model.files.items():
        target = work.model / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copyfile(content, target)
    for plan in plans:
        _write_notes(model, plan, files[plan.component.name], work.model)
    if "model_index.json" not in model.files:
        _write_json(work.model / "model_index.json", model.index)


def _write_notes(model: Model, plan: fitting.Plan, group: list[Shard], folder: Path) -> None:
    """A component's config.json, unless it is copied as it was, and the index of its files, if they
    are several.
    """
    component = plan.component
    if plan.quantized:
        _write_json(
            folder / component.name / "config.json",
            {**component.config, "quantization": {"group_size": QUANTIZE_GROUP, "bits": plan.bits}},
        )
    elif f"{component.name}/config.json" not in model.files:
        _write_json(folder / component.name / "config.json", component.config)
    if len(group) > 1:
        (folder / component.name / f"{component.stem}.safetensors.index.json").write_text(
            index_of(group), encoding="utf-8"
        )


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _check_room(work: Work, missing: list[Shard]) -> None:
    """Raise :class:`MediaError` where the disk has too little room for what is still to be written."""
    needed, free = sum(shard.nbytes for shard in missing), shutil.disk_usage(work.model).free
    if needed > free:
        sizes = [f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB" for n in (needed, free)]
        raise MediaError(
            f"{work.out} needs {sizes[0]} and its disk has {sizes[1]} free; make room, or choose another disk."
        )


class _Meter:
    """Bytes in, whole megabytes out to a :class:`Watch`; `missing` of `total` bytes are still to
    come.
    """

    def __init__(self, watch: Watch, total: int, missing: int):
        self._watch, self._total, self._bytes = watch, total, total - missing
        self._told = int(self._bytes / 1e6)
        watch.begin("convert", max(1, math.ceil(total / 1e6)), self._told)

    def add(self, count: int, tell: bool = False) -> None:
        """`count` more bytes are written; the watch hears of it once a megabyte, and with `tell` in
        any case.
        """
        self._bytes += count
        done = (
            math.ceil(self._bytes / 1e6) if self._bytes == self._total else int(self._bytes / 1e6)
        )
        if tell or done > self._told:
            self._watch.done(count=done - self._told)
            self._told = done
