"""Converts a model into a folder that mlxvid loads: completely or not at all, and resumably."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlxvid.errors import MediaError, MlxvidError, SettingError, WeightsError
from mlxvid.macos import awake
from mlxvid.model.settings import DTYPES, QUANTIZE_BITS
from mlxvid.progress import Cancel, Progress, Watch
from mlxvid.version import __version__

from . import families, sources
from .completeness import check_card, check_files
from .fitting import WritePlan, write_plan
from .recognise import recognise
from .release import Release
from .shards import SHARD_BYTES
from .work_folder import WorkFolder
from .write import write_model

log = logging.getLogger("mlxvid")


@awake()
def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
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
    except those that the model keeps in float32. quantize: 4 or 8 bits per weight for the
    transformer's large matrices; quantize_text: for the text encoder's, as `quantize` unless given,
    0 for none. shard_bytes: the largest size of a weight file. on_progress gets the stages
    "download" and "convert", in MB; cancel.is_set() stops them.

    The new model grows in `.converting-NAME` beside `out`, and is moved there at the end, in place
    of a model that is there. Interrupted at any moment, the conversion leaves that model as it was;
    run again, it keeps the weight files that were finished. Raises :class:`SettingError`,
    :class:`ModelNotFoundError`, :class:`WeightsError` for a source that is no valid model,
    :class:`MediaError` where `out` can't be written, and :class:`CancelledError`.
    """
    target = Path(os.path.expanduser(out))
    destination = target.resolve()
    _check_settings(dtype, quantize, quantize_text)
    text_bits = quantize if quantize_text is None else quantize_text or None

    watch = Watch(on_progress, cancel)
    folder = sources.find(source, revision, watch if on_progress or cancel else None).resolve()
    with _disk_errors(target):
        _check_destination(folder, destination)
    release = recognise(folder)
    log.info(f"Recognised: {release.title}.")
    for note in release.notes:
        log.info(note)
    family = families.family_of(release.index["_class_name"])
    check_files(release, family, folder)
    plans = _write_plans(release, dtype, quantize, text_bits)
    check_card(release, folder)

    job = {
        "mlxvid": __version__,
        "from": [str(folder), sources.fingerprint(folder)],
        "how": [dtype, quantize, text_bits, shard_bytes],
    }
    with _disk_errors(target), WorkFolder(destination, job) as work:
        try:
            write_model(release, plans, work, shard_bytes, watch)
        except (WeightsError, SettingError):
            work.discard()
            raise
        work.publish()
    return target


def _check_settings(dtype: str, quantize: int | None, quantize_text: int | None) -> None:
    if dtype not in tuple(DTYPES):
        raise SettingError(f"`dtype` can't be {dtype!r}; use one of: {', '.join(DTYPES)}.")
    for name, bits in (("quantize", quantize), ("quantize_text", quantize_text or None)):
        if bits is not None and (isinstance(bits, bool) or bits not in QUANTIZE_BITS):
            raise SettingError(f"`{name}` can't be {bits!r}; weights are quantized to 4 or 8 bits.")


def _check_destination(folder: Path, out: Path) -> None:
    """Raise where `out` overlaps the source, or holds something other than a model."""
    if out == folder or out in folder.parents or folder in out.parents:
        raise SettingError(f"{out} overlaps the model to convert; choose a folder outside of it.")
    if not out.exists() or (out / "model_index.json").is_file():
        return
    if not out.is_dir() or any(out.iterdir()):
        raise MediaError(f"{out} holds something that is no model; choose another folder.")


def _write_plans(
    release: Release, dtype: str, bits: int | None, text_bits: int | None
) -> list[WritePlan]:
    """How each component is to be written, once all of them are found to fit."""
    family = families.family_of(release.index["_class_name"])
    plans = []
    for component in release.components:
        part = family.parts[component.name]
        own_bits = text_bits if part.stage == "encode" else bits
        plans.append(write_plan(component, family, dtype, own_bits if part.quantized else None))
    exact = [plan.component.name for plan in plans if plan.float32 >= plan.component.tensors.keys()]
    if exact and dtype != "float32":
        log.info(f"Kept in float32, in which this model computes: {', '.join(exact)}.")
    return plans


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """Raises OSErrors as a :class:`MediaError` of one sentence."""
    try:
        yield
    except MlxvidError:
        raise
    except OSError as error:
        raise MediaError(
            f"{out} can't be written ({error.strerror or error}); "
            "check the folder and its free space."
        ) from None
