"""What of this machine and this installation matters to clips, and what to do where it is wrong.

A check asks one thing and answers with findings; none of them writes outside mlxvid's folders.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Literal

import mlx.core as mx
import numpy as np

from mlxvid import _before_mlx
from mlxvid.catalog import CATALOG
from mlxvid.hub import hub_cache_folder
from mlxvid.kernels import device_report
from mlxvid.kernels.metallib import (
    fused_head_sizes,
    has_matrix_units,
    installed_metallib,
    kernel_names,
)
from mlxvid.model.machine import GIB, Machine, sysctl, this_machine
from mlxvid.paths import cache_folder, existing, free_bytes
from mlxvid.version import __version__

from .planning import gib

State = Literal["good", "note", "wrong"]

OLDEST_MACOS = (14, 0)
# MLX uses the matrix units of an M5 (architecture 17) from this version on
# (mlx/backend/metal/device.cpp, is_nax_available).
MATRIX_UNITS_MACOS = (26, 2)
MATRIX_UNITS_GENERATION = 17
# The smallest model of the catalog that is downloaded takes more than this.
LITTLE_SPACE = 20 * GIB
# Root mean square of the difference, relative to the values': above rounding in each type, and far
# below what a wrong kernel makes.
TOLERANCES = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    state: "good", "note" (slower or smaller than it could be) or "wrong" (clips may fail or be
    wrong). value: what was found. advice: what to do about it; None where nothing is to be done.
    """

    name: str
    state: State
    value: str
    advice: str | None = None


def checkup() -> list[Finding]:
    """All findings, in the order in which they are read. Takes a second or two."""
    found: list[Finding] = []
    for check in CHECKS:
        found += check()
    return found


def system() -> Iterable[Finding]:
    """macOS and its version, or Linux; the processor; whether Python is emulated."""
    macos = platform.mac_ver()[0]
    processor = sysctl("machdep.cpu.brand_string") or platform.machine()
    if not macos:
        name = f"{platform.system()}, {processor}"
        yield Finding("system", "note", name, "Clips are made on the processor here: slowly.")
        return
    name = f"macOS {macos}, {processor}"
    if sysctl("sysctl.proc_translated") == "1" or platform.machine() != "arm64":
        advice = "This Python is for Intel: install one for Apple silicon and mlxvid into it."
        yield Finding("system", "wrong", name, advice)
    elif numbers(macos) < OLDEST_MACOS:
        yield Finding("system", "wrong", name, "Update macOS to 14 or newer, which MLX needs.")
    else:
        yield Finding("system", "good", name)


def python() -> Iterable[Finding]:
    """Python and mlxvid."""
    yield Finding("mlxvid", "good", f"{__version__}, Python {platform.python_version()}")


def mlx_wheel() -> Iterable[Finding]:
    """MLX's version, and the system that its wheel was made for."""
    tag = _wheel_tag("mlx-metal") or _wheel_tag("mlx")
    made_for = f"made for {tag}" if tag else "built here"
    yield Finding("mlx", "good", f"{version('mlx')}, {made_for}")


def device() -> Iterable[Finding]:
    """What MLX computes on."""
    info = mx.device_info()
    name = f"{info.get('device_name', '')} {info.get('architecture', '')}".strip()
    value = ", ".join(filter(None, [str(mx.default_device()), name]))
    if mx.default_device() == mx.gpu or sys.platform != "darwin":
        yield Finding("device", "good", value)
    else:
        advice = "MLX finds no GPU: log in at the Mac itself, since some remote sessions have none."
        yield Finding("device", "wrong", value, advice)


def matrix_units() -> Iterable[Finding]:
    """Whether the matrix units of an M5 are used, and if not, why."""
    generation = gpu_generation(str(mx.device_info().get("architecture", "")))
    metallib = installed_metallib()
    if generation is None or metallib is None:
        return
    names = kernel_names(metallib.read_bytes())
    yield _fused_attention(names)
    macos = numbers(platform.mac_ver()[0])
    yield matrix_units_finding(generation, macos, has_matrix_units(names))


def matrix_units_finding(generation: int, macos: tuple[int, ...], in_wheel: bool) -> Finding:
    """The finding on an M5's matrix units.

    generation: of the GPU's architecture, 17 for an M5. in_wheel: whether MLX's wheel has the
    kernels for them.
    """
    name = "matrix units"
    if generation < MATRIX_UNITS_GENERATION:
        return Finding(name, "good", "none: they came with the M5")
    if macos < MATRIX_UNITS_MACOS:
        return Finding(name, "note", "not used", "Update macOS to 26.2 or newer to use them.")
    if not in_wheel:
        advice = (
            "MLX's wheel is for an older macOS: uninstall mlx and mlx-metal, then install them "
            "with the newest pip."
        )
        return Finding(name, "note", "not used", advice)
    return Finding(name, "good", "used for float16 and bfloat16")


def _fused_attention(names: frozenset[str]) -> Finding:
    sizes = fused_head_sizes(names)
    wanted = {card.head_dim for card in CATALOG.values()}
    missing = sorted(
        f"{size} ({dtype})"
        for dtype in TOLERANCES
        for size in wanted - sizes.get(dtype, frozenset())
    )
    if not missing:
        heads = ", ".join(map(str, sorted(wanted)))
        return Finding("attention", "good", f"fused for heads of {heads}")
    advice = "Update MLX (pip install -U mlx): without them attention takes far more memory."
    return Finding("attention", "wrong", f"not fused for heads of {', '.join(missing)}", advice)


def exact_float32() -> Iterable[Finding]:
    """Whether float32 keeps its bits."""
    if _before_mlx.float32_is_exact():
        yield Finding("float32", "good", f"exact ({_before_mlx.TF32}=0)")
    else:
        value = f"ten bits on an M5 ({_before_mlx.TF32}={os.environ.get(_before_mlx.TF32)})"
        advice = f"Take {_before_mlx.TF32} out of the environment: it spoils the colours of clips."
        yield Finding("float32", "wrong", value, advice)


def own_kernels() -> Iterable[Finding]:
    """mlxvid's own Metal kernels."""
    for name, on, why in device_report():
        yield Finding("kernel", "good" if on else "note", f"{name} {'on' if on else 'off'}: {why}")


def products() -> Iterable[Finding]:
    """Products and convolutions of the device, compared with NumPy's in float64."""
    worst = {dtype: max(differences(dtype)) for dtype in TOLERANCES}
    yield products_finding(worst)


def products_finding(worst: dict[str, float]) -> Finding:
    """The finding on the device's products, whose relative error is `worst` by type."""
    value = ", ".join(f"{dtype} {error:.1e}" for dtype, error in worst.items())
    wrong = [dtype for dtype, error in worst.items() if not error <= TOLERANCES[dtype]]
    if not wrong:
        return Finding("products", "good", f"right (relative error: {value})")
    advice = "MLX computes wrongly here: update MLX and macOS, and report this line if that fails."
    return Finding("products", "wrong", f"wrong in {', '.join(wrong)} ({value})", advice)


def differences(dtype: str) -> tuple[float, float]:
    """Relative root mean square errors of a product and of a convolution in `dtype`.

    The convolution has the size and channels that MLX computes by Winograd's method on Metal.
    """
    kind = getattr(mx, dtype)
    keys = mx.random.split(mx.random.key(7), 4)
    a = mx.random.normal((96, 512), key=keys[0]).astype(kind)
    b = mx.random.normal((512, 160), key=keys[1]).astype(kind)
    x = mx.random.normal((1, 24, 24, 128), key=keys[2]).astype(kind)
    w = mx.random.normal((128, 3, 3, 128), key=keys[3]).astype(kind)
    product = _relative(a @ b, _float64(a) @ _float64(b))
    convolved = _convolved(_float64(x)[0], _float64(w))
    return product, _relative(mx.conv2d(x, w, padding=1)[0], convolved)


def _convolved(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x [H, W, C] convolved with w [O, 3, 3, C], as nine products."""
    height, width = x.shape[:2]
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((height, width, len(w)))
    for i in range(3):
        for j in range(3):
            out += padded[i : i + height, j : j + width] @ w[:, i, j].T
    return out


def _float64(array: mx.array) -> np.ndarray:
    return np.array(array.astype(mx.float32)).astype(np.float64)


def _relative(found: mx.array, expected: np.ndarray) -> float:
    difference = _float64(found) - expected
    return float(np.sqrt((difference**2).mean() / (expected**2).mean()))


def memory() -> Iterable[Finding]:
    """How much memory there is, and how much of it a clip may take."""
    yield memory_finding(this_machine())


def memory_finding(machine: Machine) -> Finding:
    """The finding on a machine's memory."""
    value = f"{gib(machine.total)}, of which a clip may take {gib(machine.usable)}"
    if machine.usable < 6 * GIB:
        advice = "Close other programs; python -m mlxvid.plan says which models and sizes fit."
        return Finding("memory", "note", value, advice)
    return Finding("memory", "good", value)


def folders() -> Iterable[Finding]:
    """The folders that mlxvid writes to: that they can be written, and the space on their disks."""
    kept = cache_folder("")
    yield folder_finding("cache", kept, "MLXVID_CACHE")
    yield folder_finding("downloads", hub_cache_folder(), "MLXVID_MODELS")


def folder_finding(name: str, folder: Path, variable: str) -> Finding:
    """The finding on a folder, which may not be there yet. variable: what moves it elsewhere."""
    there = existing(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = f"Make it writable, or name another folder in {variable}."
        return Finding(name, "wrong", f"{folder} can't be written", advice)
    free = free_bytes(folder)
    value = f"{folder}, {gib(free)} free"
    if free < LITTLE_SPACE:
        advice = f"Free some space, or name a folder on another disk in {variable}."
        return Finding(name, "note", value, advice)
    return Finding(name, "good", value)


def gpu_generation(architecture: str) -> int | None:
    """The number in the name of Apple's GPU architecture, as in "applegpu_g17s"; else None."""
    digits = architecture.rpartition("_g")[2][:-1]
    return int(digits) if architecture.startswith("applegpu") and digits.isdigit() else None


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers: (26, 2) of "26.2"; none of ""."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _wheel_tag(package: str) -> str | None:
    """The platform in the tag of an installed wheel, as in "macosx_14_0_arm64"."""
    try:
        lines = (distribution(package).read_text("WHEEL") or "").splitlines()
    except PackageNotFoundError:
        return None
    tags = [line.rpartition("-")[2] for line in lines if line.startswith("Tag:")]
    return tags[0] if tags else None


CHECKS: tuple[Callable[[], Iterable[Finding]], ...] = (
    system,
    python,
    mlx_wheel,
    device,
    matrix_units,
    exact_float32,
    own_kernels,
    products,
    memory,
    folders,
)
