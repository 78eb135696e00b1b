"""Compilation of kernels with g++, once each.

Shared objects are kept in a cache folder under the hash of everything that went into them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
COMMON = [
    "-std=gnu++17",
    "-fPIC",
    "-shared",
    "-w",
    "-U_FORTIFY_SOURCE",
    "-fsingle-precision-constant",
    "-ffp-contract=off",
]
# tsan's hooks without its library; no loop may become a memcpy, which nothing would report.
WATCHED = [
    "-O1",
    "-g1",
    "-fsanitize=thread",
    "--param",
    "tsan-instrument-func-entry-exit=0",
    "-fno-tree-loop-distribute-patterns",
    "-fsanitize=bounds,alignment,shift,integer-divide-by-zero,signed-integer-overflow,bool",
    "-fno-sanitize-recover=all",
]
FAST = ["-O2"]
# Named one by one, so that no sanitizer's library is among them.
LIBRARIES = ["-nodefaultlibs", "-lstdc++", "-lm", "-lc", "-lgcc", "-lgcc_s"]


def _compiler() -> str | None:
    """GNU's C++ compiler, 11 or newer; None on a Mac, where g++ is clang and Metal exists."""
    path = shutil.which("g++") if sys.platform == "linux" else None
    if path is None:
        return None
    version = subprocess.run([path, "-dumpversion"], capture_output=True, text=True).stdout
    return path if int(version.split(".")[0] or 0) >= 11 else None


COMPILER = _compiler()


class CompileError(Exception):
    """g++ refused the kernel's text; the message is g++'s own."""


def cache_folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlxvid-emulator"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@cache
def shim_hash() -> str:
    files = sorted((HERE / "include").rglob("*")) + sorted((HERE / "runtime").glob("*"))
    return hashlib.sha256(b"".join(f.read_bytes() for f in files if f.is_file())).hexdigest()


def compile_shared(text: str, flags: list[str], include: Sequence[Path] = ()) -> Path:
    """The shared object of this C++ text, compiled if it isn't in the cache.

    Raises CompileError with g++'s message.
    """
    includes = [f"-I{path}" for path in (HERE / "include", *include)]
    command = [str(COMPILER), *COMMON, *flags, *includes]
    parts = [shim_hash(), text, *command, *LIBRARIES]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    target = cache_folder() / f"{key}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        source = Path(scratch) / "kernel.metal"  # the name that faults quote
        result = Path(scratch) / "kernel.so"
        source.write_text(text)
        files = ["-x", "c++", str(source), "-x", "none", "-o", str(result)]
        run = subprocess.run([*command, *files, *LIBRARIES], capture_output=True, text=True)
        if run.returncode:
            raise CompileError(run.stderr[:4000])
        result.replace(target)  # complete or not at all, whatever else is running
    return target


def source_line(library: Path, offset: int) -> str:
    """The line of the Metal text of an instruction, or "" where binutils can't find it."""
    tool = shutil.which("addr2line")
    if not tool or not offset:
        return ""
    command = [tool, "-i", "-e", str(library), hex(offset - 1)]
    run = subprocess.run(command, capture_output=True, text=True)
    for line in run.stdout.splitlines():
        if ".metal:" in line:
            return line.rsplit("/", 1)[-1].split(" ")[0]
    return ""
