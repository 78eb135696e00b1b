"""A model folder in the Diffusers layout, rewritten in another type, one file at a time and all or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import mlx.core as mx

from mlxvid.errors import MediaError, SettingError, WeightsError
from mlxvid.loading import DTYPES


def convert(source: Path, out: Path, dtype: str) -> Path:
    """Write the model in `source` to `out` with its floating-point weights as `dtype`; returns `out`.

    Configs, tokenizer and names stay as they are. The work is done in a temporary folder beside `out`, which takes its place at
    the end: an interruption leaves what was there. Raises :class:`SettingError` for an unknown type, :class:`WeightsError`
    for a source that is no model, :class:`MediaError` where `out` can't be written.
    """
    if dtype not in DTYPES:
        raise SettingError(f"There is no dtype {dtype!r}; use one of: {', '.join(DTYPES)}.")
    if not (source / "model_index.json").is_file():
        raise WeightsError(f"{source} has no model_index.json; give the folder of a model in the Diffusers layout.")
    if out.exists() and not (out / "model_index.json").is_file() and any(out.iterdir()):
        raise MediaError(f"{out} holds something that is no model; choose another folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".converting-", dir=out.parent) as temporary:
            made = Path(temporary) / "model"
            shutil.copytree(source, made, ignore=shutil.ignore_patterns("*.safetensors"))
            for file in sorted(source.rglob("*.safetensors")):
                _cast(file, made / file.relative_to(source), DTYPES[dtype])
            if out.exists():
                os.replace(out, Path(temporary) / "old")
            os.replace(made, out)
    except WeightsError:
        raise
    except OSError as error:
        raise MediaError(f"{out} can't be written ({error.strerror or error}); check the folder and its free space.") from None
    return out


def _cast(source: Path, target: Path, dtype: mx.Dtype) -> None:
    try:
        weights, metadata = mx.load(str(source), return_metadata=True)
    except (RuntimeError, ValueError):
        raise WeightsError(f"{source} is damaged or cut short; download the model again.") from None
    cast = {k: v.astype(dtype) if mx.issubdtype(v.dtype, mx.floating) else v for k, v in weights.items()}
    mx.save_safetensors(str(target), cast, metadata)
