"""What a clip will cost, before paying for it: latent shape, tokens, attention pairs, weights,
memory, and whether this machine has it.

A function, :func:`plan`, and a command, ``python -m mlxvid.plan``. Nothing is loaded or downloaded
for it.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields

from mlxvid.model.facts import entry_of
from mlxvid.model.geometry import Counts, Geometry, frames_of, plan_geometry
from mlxvid.model.memory import (
    DTYPE_BYTES,
    GIB,
    QUANTIZED_BITS,
    Load,
    Machine,
    in_one_batch,
    loaded_weights,
    read_weights,
    stages,
    stored_weights,
    this_machine,
)

from .catalog import ATTENTION_MODES, DEFAULT_MODEL, Entry, listing
from .cli import parser as cli
from .errors import DoesNotFitError, SettingError


@dataclass(frozen=True)
class Setting:
    """Settings that fit where the asked-for ones do not. `quantize` is None or the bits a weight."""

    frames: int
    width: int
    height: int
    quantize: int | None
    peak_bytes: int

    def __str__(self) -> str:
        bits = f" with --quantize {self.quantize}" if self.quantize else ""
        return f"{_count(self.frames, 'frame')} at {self.width}x{self.height}{bits}"


@dataclass(frozen=True, kw_only=True)
class Plan(Counts):
    """:class:`Counts` with what the model and the machine add; sizes in bytes.

    at_once: frames that are denoised together, fewer than all of a long clip of some models;
    weights: by component and type as they stand in memory; weights_source: "files" or "catalog"
    (stored counts of parameters); stage_bytes: estimated peaks of encode, denoise and decode;
    peak_bytes: the largest; alternatives: settings that fit, if this does not.
    """

    model: str
    fps: float
    attention: str
    dtype: str | None
    quantize: int | None
    weights: dict[str, dict[str, int]]
    weights_source: str
    download_bytes: int
    stage_bytes: dict[str, int]
    peak_bytes: int
    machine: Machine
    fits: bool
    alternatives: tuple[Setting, ...]
    at_once: int

    def require_fit(self) -> None:
        """Raise :class:`DoesNotFitError`, naming what would fit, where the clip needs more than the
        machine has to give.
        """
        if not self.fits:
            wanted = f"{_count(self.frames, 'frame')} at {self.width}x{self.height}"
            raise DoesNotFitError(
                f"{self.model} needs about {_gib(self.peak_bytes)} for {wanted} and this machine has {_gib(self.machine.usable)} to give; "
                f"{_remedy(self.alternatives)}."
            )


def plan(
    model: str | Entry = DEFAULT_MODEL,
    *,
    frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    fps: float | None = None,
    guidance: float | None = None,
    attention: str | None = None,
    dtype: str | None = None,
    quantize: int | None = None,
    machine: Machine | None = None,
) -> Plan:
    """Count and estimate a clip of a catalog model, or of one in a local folder; what is None is
    the model's default, and `machine` is this one.

    Raises :class:`ModelNotFoundError` for an unknown model, :class:`WeightsError` for a folder that
    holds none, and :class:`SettingError` for settings that no clip can have.
    """
    entry = model if isinstance(model, Entry) else entry_of(model)
    default, machine = entry.defaults, machine or this_machine()
    attention = _one_of("Attention", attention or entry.attention, entry.attention_modes)
    _one_of("The dtype", dtype, (None, *DTYPE_BYTES))
    _one_of("Quantize", quantize, (None, *QUANTIZED_BITS))
    fps, guidance = (
        default.fps if fps is None else fps,
        default.guidance if guidance is None else guidance,
    )
    if not fps > 0:
        raise SettingError(f"Fps must be above 0, not {fps}.")
    if not guidance >= 0:
        raise SettingError(f"Guidance must be 0 or above, not {guidance}.")
    sizes = ((frames, default.frames), (width, default.width), (height, default.height))
    asked = plan_geometry(
        *(usual if given is None else given for given, usual in sizes), entry.geometry
    )
    read = read_weights(entry.folder) if entry.folder else {}
    weights = read or stored_weights(entry.footprint)
    footprint = entry.footprint

    def cost(counts: Counts, bits: int | None) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
        size = counts.width, counts.height
        piece = plan_geometry(entry.geometry.at_once(counts.frames, *size), *size, entry.geometry)
        scores = {"full": piece.pairs_full, "spatial": piece.pairs_spatial}
        loaded = loaded_weights(weights, footprint.used(dtype, machine.metal), bits)
        transformer = sum(
            sum(types.values()) for name, types in loaded.items() if "transformer" in name
        )
        together = in_one_batch(
            piece.tokens,
            transformer,
            footprint.heads * footprint.head_dim,
            entry.family,
            machine.usable,
        )
        load = Load(
            frames=counts.frames,
            latent_frames=counts.latent_shape[0],
            t_factor=entry.geometry.t_factor,
            width=counts.width,
            height=counts.height,
            tokens=piece.tokens,
            scores=scores.get(attention, max(piece.pairs_spatial, piece.pairs_temporal)),
            batch=2 if guidance != 1 and together else 1,
        )
        return loaded, stages(load, loaded, footprint, entry.family, machine)

    def attempt(frames: int, width: int, height: int, bits: int | None) -> Setting:
        counts = plan_geometry(frames, width, height, entry.geometry)
        return Setting(
            counts.frames, counts.width, counts.height, bits, max(cost(counts, bits)[1].values())
        )

    loaded, stage_bytes = cost(asked, quantize)
    fits = max(stage_bytes.values()) <= machine.usable
    return Plan(
        **{field.name: getattr(asked, field.name) for field in fields(Counts)},
        model=entry.name,
        fps=fps,
        attention=attention,
        dtype=dtype,
        quantize=quantize,
        weights=loaded,
        weights_source="files" if read else "catalog",
        download_bytes=entry.download_bytes,
        stage_bytes=stage_bytes,
        peak_bytes=max(stage_bytes.values()),
        machine=machine,
        fits=fits,
        at_once=entry.geometry.at_once(asked.frames, asked.width, asked.height),
        alternatives=()
        if fits
        else _alternatives(asked, quantize, entry.geometry, attempt, machine.usable),
    )


def _alternatives(
    asked: Counts,
    bits: int | None,
    geometry: Geometry,
    attempt: Callable[[int, int, int, int | None], Setting],
    usable: int,
) -> tuple[Setting, ...]:
    """Up to three settings that fit: fewer bits, fewer frames, a smaller picture, half the frames
    with as large a picture as then fits; and where the weights alone are too large, the same with
    fewer bits."""

    def largest(count: int, make: Callable[[int], Setting]) -> Setting | None:
        """The last of make(1), …, make(count) that fits, given that memory grows along the row; the
        first may be too small to be made.
        """
        low, best = 1, None
        while low <= count:
            middle = (low + count) // 2
            try:
                setting = make(middle)
            except SettingError:
                low = middle + 1
                continue
            if setting.peak_bytes <= usable:
                low, best = middle + 1, setting
            else:
                count = middle - 1
        return best

    def smaller(bits: int | None) -> list[Setting | None]:
        columns = asked.width // geometry.multiples[0]

        def by_frames(latents: int) -> Setting:
            return attempt(
                geometry.pixel_frames(latents * geometry.patch[0]), asked.width, asked.height, bits
            )

        def by_size(frames: int) -> Setting | None:
            return largest(
                columns,
                lambda n: attempt(
                    frames, n * geometry.multiples[0], max(1, asked.height * n // columns), bits
                ),
            )

        return [
            largest(asked.token_grid[0], by_frames),
            by_size(asked.frames),
            by_size(max(1, asked.frames // 2)),
        ]

    fewer = [] if bits else sorted(QUANTIZED_BITS, reverse=True)
    as_asked = (attempt(asked.frames, asked.width, asked.height, b) for b in fewer)
    found = [
        next((setting for setting in as_asked if setting.peak_bytes <= usable), None),
        *smaller(bits),
    ]
    for b in fewer:
        if not any(found):
            found = smaller(b)
    return tuple(dict.fromkeys(setting for setting in found if setting))[:3]


def _one_of(name: str, value, allowed: Sequence):
    if value not in allowed:
        raise SettingError(
            f"{name} must be one of {', '.join(str(a) for a in allowed if a is not None)}, not {value!r}."
        )
    return value


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / 2**20:.1f} MiB"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _times(shape: Sequence[int]) -> str:
    return "x".join(str(side) for side in shape)


def _decimal(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0")


def _remedy(alternatives: Sequence[Setting]) -> str:
    if not alternatives:
        return "no size of clip fits beside this model's weights: choose a smaller model"
    return "what fits: " + ", or ".join(map(str, alternatives))


def text(counts: Counts) -> str:
    """The plan as people read it, a fact a line."""
    rows = [("note", note) for note in counts.notes]
    rows += [
        (
            "clip",
            f"{_times((counts.frames, counts.height, counts.width))} (frames x height x width), {counts.pixel_values:,} values",
        ),
        (
            "latent",
            f"{_times(counts.latent_shape)}, {counts.channels} channels, {counts.latent_values:,} values",
        ),
        ("compression", f"{_decimal(counts.compression)}x"),
        (
            "tokens",
            f"{counts.tokens:,} ({_times(counts.token_grid)}, patch {_times(counts.patch)})",
        ),
        ("pairs", f"{counts.pairs_full:,} with full attention, a head and layer"),
        (
            "",
            f"{counts.pairs_factored:,} factored ({counts.pairs_spatial:,} spatial + {counts.pairs_temporal:,} temporal)",
        ),
        ("ratio", f"full attention has {_decimal(counts.pairs_ratio)}x the pairs"),
    ]
    if isinstance(counts, Plan):
        rows = [
            (
                "model",
                f"{counts.model}, {counts.frames / counts.fps:.1f} s at {counts.fps:g} fps, {counts.attention} attention",
            ),
            *rows,
        ]
        if counts.at_once < counts.frames:
            rows += [
                (
                    "pieces",
                    f"{counts.at_once} frames at a time at most, each piece beginning with the end of the one before",
                )
            ]
        source = (
            "read from the files"
            if counts.weights_source == "files"
            else "from the catalog's counts"
        )
        sizes = [
            f"{component} {_gib(size)} {dtype}"
            for component, types in counts.weights.items()
            for dtype, size in types.items()
        ]
        rows += [("weights", f"{', '.join(sizes)} ({source})")]
        rows += (
            [("download", f"{counts.download_bytes / 1e9:.1f} GB where it isn't here yet")]
            if counts.download_bytes
            else []
        )
        parts = ", ".join(f"{stage} {_gib(size)}" for stage, size in counts.stage_bytes.items())
        rows += [
            (
                "peak memory",
                f"about {_gib(counts.peak_bytes)} ({parts}; one stage's weights at a time)",
            )
        ]
        machine = counts.machine
        rows += [
            (
                "machine",
                f"{machine.name}, {_gib(machine.total)}, of which a clip may take {_gib(machine.usable)}",
            )
        ]
        rows += [("fits", "yes" if counts.fits else f"no; {_remedy(counts.alternatives)}")]
    return "\n".join(f"{label:<13}{value}" for label, value in rows)


def device() -> dict:
    """This machine, the versions that matter, MLX's device, and each Metal kernel: on or off, and
    why.
    """
    import mlx.core as mx

    from .kernels import device_report

    return {
        "machine": asdict(this_machine()),
        "python": platform.python_version(),
        "mlx": mx.__version__,
        "device": str(mx.default_device()),
        "device_name": mx.device_info().get("device_name", ""),
        "kernels": [
            {"name": name, "on": on, "reason": reason} for name, on, reason in device_report()
        ],
    }


def _device_text(report: dict) -> str:
    machine = report["machine"]
    rows = [
        (
            "machine",
            f"{machine['name']}, {_gib(machine['total'])}, of which a clip may take {_gib(machine['usable'])}",
        ),
        ("python", report["python"]),
        ("mlx", f"{report['mlx']}, {report['device']}, {report['device_name']}".rstrip(", ")),
        *(
            ("kernel", f"{k['name']} {'on' if k['on'] else 'off'}: {k['reason']}")
            for k in report["kernels"]
        ),
    ]
    return "\n".join(f"{label:<13}{value}" for label, value in rows)


_EXAMPLES = """examples:
  python -m mlxvid.plan                                        the default model's default clip
  python -m mlxvid.plan --model mini --seconds 4 --width 128   another clip
  python -m mlxvid.plan --frames 81 --memory 16                would it fit a 16 GB Mac?
  python -m mlxvid.plan --model latte-1 --growth               pairs and milliseconds of the three ways of attention
  python -m mlxvid.plan --frames 120 --width 512 --height 512 --t-factor 4 --s-factor 8 --channels 16 --patch 1x2x2
                                                               a geometry given by hand
  python -m mlxvid.plan --device                               this machine, MLX, and which Metal kernels are on"""


def _parser() -> cli.Parser:
    parser = cli.Parser(
        prog="python -m mlxvid.plan", description=__doc__.split("\n")[0], epilog=_EXAMPLES
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help=f"a name from --list-models, or a local folder (default: {DEFAULT_MODEL})",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--frames", type=cli.frames, metavar="N")
    length.add_argument(
        "--seconds", type=cli.positive, metavar="S", help="the length in place of --frames"
    )
    parser.add_argument("--width", type=cli.side, metavar="PIXELS")
    parser.add_argument("--height", type=cli.side, metavar="PIXELS")
    parser.add_argument("--fps", type=cli.positive, metavar="N")
    parser.add_argument(
        "--guidance",
        type=cli.not_negative,
        metavar="SCALE",
        help="1 needs half the rows of a guided step",
    )
    parser.add_argument("--attention", choices=ATTENTION_MODES)
    parser.add_argument(
        "--dtype",
        choices=sorted(DTYPE_BYTES),
        help="the weights' type in memory (default: as stored)",
    )
    parser.add_argument(
        "--quantize", type=cli.whole, choices=sorted(QUANTIZED_BITS), help="bits a weight"
    )
    parser.add_argument(
        "--growth",
        action="store_true",
        default=None,
        help="also measure what factored, full and spatial attention take here as the clip grows, on a pair of the model's blocks",
    )
    parser.add_argument(
        "--memory", type=cli.positive, metavar="GB", help="plan for a machine with this much memory"
    )
    hand = parser.add_argument_group("a geometry by hand, in place of a model")
    hand.add_argument("--t-factor", type=cli.whole, metavar="N", help="frames a latent frame")
    hand.add_argument(
        "--s-factor", type=cli.whole, metavar="N", help="pixels a latent position, on each side"
    )
    hand.add_argument("--channels", type=cli.whole, metavar="N", help="values a latent position")
    hand.add_argument(
        "--patch", type=cli.patch, metavar="TxHxW", help="latent positions a token (default: 1x2x2)"
    )
    hand.add_argument(
        "--causal", action="store_true", help="1 + k latent frames of 1 + kN frames, not frames / N"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--device",
        action="store_true",
        help="print the machine, MLX and the kernels, and plan nothing",
    )
    parser.add_argument("--list-models", action="store_true", help="print the models known by name")
    return parser


def _by_hand(args) -> Counts | None:
    """The counts of a geometry given by hand, or None where none is."""
    factors = (args.t_factor, args.s_factor, args.channels)
    if factors == (None, None, None) and args.patch is None and not args.causal:
        return None
    if None in factors:
        raise SettingError(
            "A geometry by hand needs --t-factor, --s-factor and --channels together."
        )
    no_model = ("model", "guidance", "attention", "dtype", "quantize", "growth", "memory")
    extra = [f"--{name}" for name in no_model if getattr(args, name) is not None]
    if extra:
        raise SettingError(
            f"A geometry by hand stands in place of a model: leave out {', '.join(extra)} or the geometry."
        )
    if None in (args.frames, args.width, args.height):
        raise SettingError(
            "A geometry by hand needs --frames (or --seconds and --fps), --width and --height too."
        )
    return plan_geometry(
        args.frames,
        args.width,
        args.height,
        Geometry(*factors, patch=args.patch or (1, 2, 2), causal=args.causal),
    )


def _growth(entry: Entry, result: Plan) -> Iterable:
    """What :func:`mlxvid.run.attention_costs.rows` measures up to the frames that are denoised
    together.
    """
    import mlx.core as mx

    from mlxvid.run.attention_costs import blocks_of, lengths_to, rows

    dtype = entry.footprint.used(result.dtype, result.machine.metal)["transformer"]
    blocks = blocks_of(entry, result.width, result.height, getattr(mx, dtype))
    return rows(blocks, lengths_to(entry.geometry.latent_frames(result.at_once)))


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    args = _parser().parse_args(argv)
    if args.list_models:
        print(listing())
        return 0
    if args.device:
        report = device()
        print(json.dumps(report) if args.json else _device_text(report))
        return 0
    if args.seconds and args.fps:
        args.frames = frames_of(args.seconds, args.fps)
    result, growth = _by_hand(args), []
    if result is None:
        entry = entry_of(args.model or DEFAULT_MODEL)
        if args.seconds:
            args.frames = frames_of(args.seconds, args.fps or entry.defaults.fps)
        machine = this_machine(int(args.memory * GIB)) if args.memory else None
        wanted = ("frames", "width", "height", "fps", "guidance", "attention", "dtype", "quantize")
        result = plan(entry, machine=machine, **{name: getattr(args, name) for name in wanted})
        growth = _growth(entry, result) if args.growth else growth
    if args.json:
        print(
            json.dumps(
                {
                    **asdict(result),
                    **({"growth": [asdict(row) for row in growth]} if args.growth else {}),
                }
            )
        )
        return 0
    print(text(result))
    if args.growth:
        from mlxvid.run.attention_costs import lines

        print(
            f"\nOne call of a block over space and one over time, {result.width}x{result.height}, random weights, here:\n",
            flush=True,
        )
        for line in lines(growth):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
