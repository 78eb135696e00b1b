"""A plan, and a report of the machine, as people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlxvid.model.geometry import Counts
from mlxvid.model.sharing import ETHERNET, THUNDERBOLT
from mlxvid.run.planning import Plan, gib, remedy

from .flags import spelled_as_flags

Row = tuple[str, str]


def plan_text(
    counts: Counts,
    guess: Mapping[str, float] | None = None,
    evaluations: tuple[int, int] | None = None,
    sharing: tuple[int, str | None] = (1, None),
) -> str:
    """The plan, a fact a line. guess: seconds by stage. evaluations: the least and the most of the
    network. sharing: how many machines share what of the run.
    """
    latent = _times(counts.latent_shape)
    clip = _times((counts.frames, counts.height, counts.width))
    grid = _times(counts.token_grid)
    rows = [("note", note) for note in counts.notes]
    rows += [
        ("clip", f"{clip} (frames x height x width), {counts.pixel_values:,} values"),
        ("latent", f"{latent}, {counts.channels} channels, {counts.latent_values:,} values"),
        ("compression", f"{_decimal(counts.compression)}x"),
        ("tokens", f"{counts.tokens:,} ({grid}, patch {_times(counts.patch)})"),
        ("pairs", f"{counts.pairs_full:,} with full attention, a head and layer"),
        (
            "",
            f"{counts.pairs_factored:,} factored ({counts.pairs_spatial:,} spatial + "
            f"{counts.pairs_temporal:,} temporal)",
        ),
        ("ratio", f"full attention has {_decimal(counts.pairs_ratio)}x the pairs"),
    ]
    if isinstance(counts, Plan):
        rows = [_model_row(counts), *rows, *_cost_rows(counts)]
    if sharing[0] > 1 and isinstance(counts, Plan):
        rows.append(("machines", _machines_text(counts, *sharing)))
    if evaluations is not None:
        rows.append(("evaluations", _evaluations_text(*evaluations)))
    if guess is not None:
        rows.append(("time", _guess_text(guess)))
    return _table(rows)


def device_text(report: dict[str, Any]) -> str:
    """A report of :func:`mlxvid.plan.device`."""
    mlx = f"{report['mlx']}, {report['device']}, {report['device_name']}".rstrip(", ")
    rows = [
        ("machine", _machine(**report["machine"])),
        ("python", report["python"]),
        ("mlx", mlx),
        ("float32", "exact" if report["exact_float32"] else "ten bits on an M5"),
    ]
    if report["bfloat16_is_slow"]:
        rows.append(("half", "slow in bfloat16 here: float16 takes its place where a model allows"))
    for kernel in report["kernels"]:
        state = "on" if kernel["on"] else "off"
        rows.append(("kernel", f"{kernel['name']} {state}: {kernel['reason']}"))
    return _table(rows)


def _model_row(plan: Plan) -> Row:
    seconds = plan.frames / plan.fps
    clip = f"{seconds:.1f} s at {plan.fps:g} fps, {plan.attention} attention"
    return "model", f"{plan.model}, {clip}"


def _cost_rows(plan: Plan) -> list[Row]:
    rows = []
    if plan.at_once < plan.frames:
        rows.append(
            (
                "pieces",
                f"{plan.at_once} frames at a time at most, each piece beginning with the end of "
                "the one before",
            )
        )
    sizes = []
    for component, types in plan.weights.items():
        sizes += [f"{component} {gib(size)} {dtype}" for dtype, size in types.items()]
    from_files = plan.weights_source == "files"
    source = "read from the files" if from_files else "from the catalog's counts"
    rows.append(("weights", f"{', '.join(sizes)} ({source})"))
    if plan.download_bytes:
        rows.append(("download", f"{plan.download_bytes / 1e9:.1f} GB where it isn't here yet"))
    stages = ", ".join(f"{stage} {gib(size)}" for stage, size in plan.stage_bytes.items())
    machine = plan.machine
    fits = "yes" if plan.fits else f"no; {spelled_as_flags(remedy(plan.alternatives))}"
    rows += [
        ("peak memory", f"about {gib(plan.peak_bytes)} ({stages}; one stage's weights at a time)"),
        ("machine", _machine(machine.name, machine.total, machine.usable)),
        ("fits", fits),
    ]
    return rows


def _evaluations_text(least: int, most: int) -> str:
    found = f"{most:,}" if least == most else f"{least:,} to {most:,}, as the step cache finds"
    return f"{found} (of the network, with one prompt)"


def _machines_text(plan: Plan, machines: int, way: str | None) -> str:
    if way == "takes":
        return f"{machines}, each of which makes clips of its own with the whole model"
    if way == "guidance":
        return f"{machines}, each of which evaluates a pass of a step with the whole model"
    sent = plan.sent_bytes
    return (
        f"{machines}, each of which has these weights and this peak, and sends {gib(sent)} in a "
        f"pass: {_sent_in(sent / THUNDERBOLT)} by Thunderbolt 4, {_sent_in(sent / ETHERNET)} by "
        "10 Gb/s Ethernet"
    )


def _sent_in(seconds: float) -> str:
    return _minutes(seconds) if seconds >= 1 else "less than a second"


def _guess_text(guess: Mapping[str, float]) -> str:
    """Guessed seconds by stage, in words, with the stages that take a tenth or more."""
    total = sum(guess.values())
    long = [f"{stage} {_minutes(part)}" for stage, part in guess.items() if part >= total / 10]
    return f"about {_minutes(total)} ({', '.join(long)}), a guess from its operations"


def _minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    if seconds < 6000:
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def _machine(name: str, total: int, usable: int, **_: Any) -> str:
    return f"{name}, {gib(total)}, of which a clip may take {gib(usable)}"


def _table(rows: Sequence[Row]) -> str:
    return "\n".join(f"{label:<13}{value}" for label, value in rows)


def _times(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def _decimal(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")
