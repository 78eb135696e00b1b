"""Tiny releases of Wan 2.1 and HunyuanVideo, converted once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from torch import nn

from mlxvid.convert import convert

from . import hunyuan_release, wan_release


class Converted(NamedTuple):
    """A release, its modules, and the float32 folder that it is converted to."""

    source: Path
    modules: dict[str, nn.Module]
    out: Path


@pytest.fixture(scope="package")
def releases(tmp_path_factory) -> dict[str, Converted]:
    """A tiny release of each kind."""
    made = {}
    for kind in ("t2v", "i2v", "flf2v"):
        folder = tmp_path_factory.mktemp(kind)
        source = folder / "source"
        # One has PyTorch's legacy form, the others its zip form.
        modules = wan_release.write_release(source, kind, zipped=kind != "i2v")
        made[kind] = Converted(source, modules, convert(source, folder / "out", "float32"))
    return made


@pytest.fixture(scope="package")
def hunyuan(tmp_path_factory) -> dict[str, Converted]:
    """A tiny release of HunyuanVideo of each kind."""
    made = {}
    for kind in hunyuan_release.FOLDERS:
        folder = tmp_path_factory.mktemp("hunyuan")
        source = folder / "source"
        modules = hunyuan_release.write_release(source, kind)
        made[kind] = Converted(source, modules, convert(source, folder / "out", "float32"))
    return made
