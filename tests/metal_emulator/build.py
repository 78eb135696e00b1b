"""Compiles kernels with g++, once each: shared objects are kept in a cache folder under the hash of
all that went into them.
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
# tsan's hooks without its library; no idiom may turn a loop into a memcpy that nobody reports.
WATCHED = [
    *(
        "-O1",
        "-g1",
        "-fsanitize=thread",
        "--param",
        "tsan-instrument-func-entry-exit=0",
        "-fno-tree-loop-distribute-patterns",
    ),
    *(
        "-fsanitize=bounds,alignment,shift,integer-divide-by-zero,signed-integer-overflow,bool",
        "-fno-sanitize-recover=all",
    ),
]
FAST = ["-O2"]


def _compiler() -> str | None:
    """GNU's C++ compiler, 11 or newer. On a Mac the name belongs to clang, and the real device is
    there anyway.
    """
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
    """The shared object of this C++ text, compiled if it isn't in the cache. Raises CompileError
    with g++'s words.
    """
    command = [
        COMPILER,
        *COMMON,
        *flags,
        f"-I{HERE / 'include'}",
        *(f"-I{path}" for path in include),
    ]
    libraries = [
        "-nodefaultlibs",
        "-lstdc++",
        "-lm",
        "-lc",
        "-lgcc",
        "-lgcc_s",
    ]  # named one by one: no sanitizer's library among them
    key = hashlib.sha256("\0".join([shim_hash(), text, *command, *libraries]).encode()).hexdigest()[
        :24
    ]
    target = cache_folder() / f"{key}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
            source, result = (
                Path(scratch) / "kernel.metal",
                Path(scratch) / "kernel.so",
            )  # the name that faults quote
            source.write_text(text)
            run = subprocess.run(
                [*command, "-x", "c++", str(source), "-x", "none", "-o", str(result), *libraries],
                capture_output=True,
                text=True,
            )
            if run.returncode:
                raise CompileError(run.stderr[:4000])
            result.replace(target)  # whole or not at all, whatever else is running
    return target


def source_line(library: Path, offset: int) -> str:
    """Where in the Metal text an instruction of a watched kernel comes from, as far as binutils can
    tell.
    """
    tool = shutil.which("addr2line")
    if not tool or not offset:
        return ""
    run = subprocess.run(
        [tool, "-i", "-e", str(library), hex(offset - 1)], capture_output=True, text=True
    )
    lines = [
        line.rsplit("/", 1)[-1].split(" ")[0]
        for line in run.stdout.splitlines()
        if ".metal:" in line
    ]
    return lines[0] if lines else ""
