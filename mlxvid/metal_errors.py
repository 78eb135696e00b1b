"""What Metal says when work on the GPU fails, and what helps.

No MLX here: the window reads the last words of a dead worker with it.

The words are those of MLX ("[METAL] Command buffer execution failed: ...", mlx/backend/metal) and
of macOS, which names each `MTLCommandBufferError` as "kIOGPUCommandBufferCallbackError...".
"""

from __future__ import annotations

from dataclasses import dataclass

RELAXED = "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"
"""The variable of the environment that has macOS be more patient with the GPU's work."""

_MARKS = ("[metal", "command buffer execution failed", "kiogpucommandbuffer", "mtlcommandbuffer")


@dataclass(frozen=True)
class MetalError:
    """A kind of failure.

    marks: words that tell it, in small letters. happened: half a sentence. remedy: what helps.
    transient: whether the same run can go on, in smaller pieces. memory: whether it ran out.
    """

    marks: tuple[str, ...]
    happened: str
    remedy: str
    transient: bool = True
    memory: bool = False


_PATIENT = f"set {RELAXED}=1 in the environment"

MEMORY = MetalError(
    ("insufficient memory", "insufficientmemory", "outofmemory", "out of memory", "allocate"),
    "The machine ran out of memory",
    "close other programs, or make the clip smaller or shorter",
    transient=False,
    memory=True,
)
WATCHDOG = MetalError(
    ("impacting interactivity", "impactinginteractivity", "gpu timeout", "errortimeout"),
    "macOS stopped the GPU, since its work kept the display waiting",
    f"let the display sleep while the clip is made, make the clip smaller, or {_PATIENT}",
)
VICTIM = MetalError(
    ("victim of gpu error", "innocentvictim", "submissionsignored", "ignored (for causing"),
    "macOS stopped the GPU after an error in its work or another program's",
    "close other programs that use the GPU, let the display sleep, then go on with the run",
)
OTHER = MetalError(
    _MARKS,
    "The GPU failed",
    "go on with the run; if it fails again, restart the Mac and report it with the log",
)
# The first that fits is meant: OTHER's marks stand in all of them.
_KINDS = (MEMORY, WATCHDOG, VICTIM, OTHER)


# What others than Metal say when memory runs out: C++, and MLX on the CPU.
_NO_MEMORY = ("bad_alloc", "unable to allocate")


def last_words(text: str) -> MetalError | None:
    """What ended a process, by the last lines of its standard error; None where they don't say."""
    words = text.lower()
    return metal_error(text) or (MEMORY if any(mark in words for mark in _NO_MEMORY) else None)


def metal_error(text: str) -> MetalError | None:
    """The kind of failure that `text` tells of; None where it is none of Metal's."""
    words = text.lower()
    if not any(mark in words for mark in _MARKS):
        return None
    return next(kind for kind in _KINDS if any(mark in words for mark in kind.marks))
