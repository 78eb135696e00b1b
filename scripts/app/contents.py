"""What goes into the bundle besides what PyInstaller finds, and which macOS it needs."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

Entry = tuple[str, str, str]
"""PyInstaller's entry of a table of contents: name in the bundle, source, kind."""

LIBRARY = "libmlx.dylib"
KERNELS = "mlx.metallib"


def kernel_links(binaries: Iterable[Entry], data: Iterable[Entry]) -> list[Entry]:
    """Links that put MLX's compiled kernels beside every copy of its library.

    MLX looks for them where its library was loaded from (mlx/backend/metal/device.cpp,
    load_colocated_library). PyInstaller puts the library, which others depend on, at the bundle's
    root as well, and the kernels only into MLX's own folder. Raises ValueError where the library is
    there without kernels: such an app could only fail.
    """
    kernels = [PurePosixPath(name) for name, _, _ in data if PurePosixPath(name).name == KERNELS]
    libraries = [PurePosixPath(name) for name, _, _ in binaries]
    folders = {library.parent for library in libraries if library.name == LIBRARY}
    if folders and not kernels:
        raise ValueError(f"{KERNELS} is not among the bundle's files, and MLX fails without it.")
    missing = folders - {path.parent for path in kernels}
    return [
        (str(folder / KERNELS), os.path.relpath(kernels[0], folder), "SYMLINK")
        for folder in sorted(missing)
    ]


def oldest_macos(tags: Sequence[str]) -> str:
    """The oldest macOS that wheels with these tags load on: the newest that any of them names.

    tags: such as "py3-none-macosx_14_0_arm64". A wheel for macOS 26 does not load on 14, whatever
    the bundle says of itself.
    """
    versions = [(11, 0)]
    for tag in tags:
        system, *numbers = tag.rpartition("-")[2].split("_")[:3]
        if system == "macosx":
            versions.append((int(numbers[0]), int(numbers[1])))
    major, minor = max(versions)
    return f"{major}.{minor}"
