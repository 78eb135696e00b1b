"""What a clip will cost, before paying for it: ``python -m mlxvid.plan``.

The function is :func:`mlxvid.run.planning.plan`. Nothing is loaded or downloaded for it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from . import models
from ._before_mlx import float32_is_exact
from .catalog import DEFAULT_MODEL, card_of, listing
from .cli import parser as cli
from .cli.asked import check_preset
from .cli.flags import add_setting
from .cli.plan_text import device_text, plan_text
from .errors import SettingError
from .machines import WAYS
from .model.caching import CACHES
from .model.card import Card
from .model.geometry import ATTENTION_MODES, Counts, Geometry, frames_of, plan_geometry
from .model.machine import GIB, this_machine
from .model.memory import DTYPE_BYTES, QUANTIZED_BITS
from .model.settings import SETTINGS
from .run import recipes
from .run.complete import check_taken
from .run.evaluations import evaluations_of, passes_of
from .run.guess import guessed_seconds
from .run.planning import Plan, plan
from .run.savings import check_cache

__all__ = ["device", "main", "plan"]

EXAMPLES = """examples:
  python -m mlxvid.plan                                        the default model's default clip
  python -m mlxvid.plan --model mini --seconds 4 --width 128   another clip
  python -m mlxvid.plan --frames 81 --memory 16                would it fit a 16 GB Mac?
  python -m mlxvid.plan --memory 16 --machines 3               each of three that share layers
  python -m mlxvid.plan --growth                               what each way of attention takes here
  python -m mlxvid.plan --frames 120 --width 512 --height 512 \\
                        --t-factor 4 --s-factor 8 --channels 16 --patch 1x2x2
                                                               a geometry given by hand
  python -m mlxvid.plan --device                               this machine, MLX, Metal kernels"""

# Settings that are said as they are to generate.
AS_GENERATED = (
    *("guidance_method", "guidance_start", "guidance_stop", "true_guidance"),
    *("skip_layers", "skip_start", "skip_stop", "loras"),
)
# What a geometry by hand stands in place of.
OF_A_MODEL = (
    *("model", "preset", "guidance", "steps", "sampler", "cache", *AS_GENERATED),
    *("attention", "dtype", "quantize", "growth", "memory", "parallel"),
)
# The settings that a plan depends on.
PLANNED = (
    *("frames", "width", "height", "fps", "guidance", "true_guidance", "skip_layers"),
    *("cache", "attention", "dtype", "quantize", "options", "loras"),
)


def device() -> dict[str, Any]:
    """This machine, the versions that matter, MLX's device, and each Metal kernel: on or off, and
    why.
    """
    import mlx.core as mx

    from .kernels import device_report

    kernels = [{"name": name, "on": on, "reason": reason} for name, on, reason in device_report()]
    return {
        "machine": asdict(this_machine()),
        "python": platform.python_version(),
        "mlx": version("mlx"),
        "device": str(mx.default_device()),
        "bfloat16_is_slow": this_machine().bfloat16_is_slow,
        "device_name": mx.device_info().get("device_name", ""),
        "exact_float32": float32_is_exact(),
        "kernels": kernels,
    }


def parser() -> cli.Parser:
    """The flags."""
    p = cli.Parser(
        prog="python -m mlxvid.plan",
        description=(__doc__ or "").split("\n")[0],
        epilog=EXAMPLES,
    )
    named = f"a name of --list-models, or a local folder (default: {DEFAULT_MODEL})"
    p.add_argument("--model", metavar="NAME", help=named)
    samplers = {name for card in models.cards() for name in card.samplers}
    length = p.add_mutually_exclusive_group()
    length.add_argument("--frames", type=cli.frames, metavar="N")
    length.add_argument(
        "--seconds", type=cli.positive, metavar="S", help="the length in place of --frames"
    )
    p.add_argument("--width", type=cli.side, metavar="PIXELS")
    p.add_argument("--height", type=cli.side, metavar="PIXELS")
    p.add_argument("--fps", type=cli.rate, metavar="N")
    p.add_argument(
        "--guidance", type=cli.not_negative, metavar="SCALE", help="1 needs one pass a step"
    )
    for name in AS_GENERATED:
        add_setting(p, SETTINGS[name])
    p.add_argument("--steps", type=cli.whole, metavar="N")
    p.add_argument("--sampler", choices=sorted(samplers), help="some take two evaluations a step")
    p.add_argument("--cache", choices=CACHES, help="a step cache leaves out evaluations")
    p.add_argument(
        "--preset", choices=sorted(models.presets()), help="settings that go together; flags win"
    )
    p.add_argument("--attention", choices=ATTENTION_MODES)
    p.add_argument(
        "--dtype",
        choices=sorted(DTYPE_BYTES),
        help="type of the weights in memory (default: as stored)",
    )
    p.add_argument(
        "--quantize", type=cli.whole, choices=sorted(QUANTIZED_BITS), help="bits a weight"
    )
    p.add_argument(
        "--growth",
        action="store_true",
        default=None,
        help="also measure what factored, full and spatial attention take here as the clip grows, "
        "on a pair of the model's blocks",
    )
    p.add_argument(
        "--machines",
        type=cli.whole,
        metavar="N",
        default=1,
        help="plan for each of N machines that share the run",
    )
    p.add_argument(
        "--parallel", choices=WAYS, help="what they share (default: the network's layers)"
    )
    p.add_argument(
        "--memory",
        type=cli.gigabytes,
        metavar="GB",
        help="plan for a machine with this much memory",
    )
    hand = p.add_argument_group("a geometry by hand, in place of a model")
    hand.add_argument("--t-factor", type=cli.whole, metavar="N", help="frames a latent frame")
    hand.add_argument(
        "--s-factor", type=cli.whole, metavar="N", help="pixels a latent position, on each side"
    )
    hand.add_argument("--channels", type=cli.whole, metavar="N", help="values a latent position")
    hand.add_argument(
        "--patch",
        type=cli.patch,
        metavar="TxHxW",
        help="latent positions a token (default: 1x2x2)",
    )
    hand.add_argument(
        "--causal",
        action="store_true",
        help="1 + k latent frames of 1 + kN frames, not frames / N",
    )
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.add_argument(
        "--device",
        action="store_true",
        help="print the machine, MLX and the kernels, and plan nothing",
    )
    p.add_argument("--list-models", action="store_true", help="print the models known by name")
    return p


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    if args.list_models:
        print(listing())
        return 0
    if args.device:
        report = device()
        print(json.dumps(report) if args.json else device_text(report))
        return 0
    if args.seconds and args.fps:
        args.frames = frames_of(args.seconds, args.fps)
    counts = _by_hand(args)
    if counts is not None:
        print(json.dumps(asdict(counts)) if args.json else plan_text(counts))
        return 0
    card = card_of(args.model or DEFAULT_MODEL)
    check_preset(args.preset, card)
    settings = _settings(card, args)
    check_taken(card, settings)
    # Which says what a few-step LoRA is run with.
    as_run = recipes.applied(card, [recipes.here(lora) for lora in args.loras or ()])
    check_cache(as_run, settings, settings.get("steps", as_run.defaults.steps))
    machine = this_machine(int(args.memory * GIB)) if args.memory else None
    known = {name: settings[name] for name in PLANNED if name in settings}
    if args.parallel is not None and args.machines == 1:
        raise SettingError("`parallel` is for several machines: give their number as `machines`.")
    sharing = args.machines if args.parallel in (None, "layers") else 1
    planned = plan(card, machine=machine, machines=sharing, **known)
    _print_plan(as_run, planned, settings, args)
    return 0


def _settings(card: Card, args: argparse.Namespace) -> dict[str, Any]:
    """The settings of the clip, of the preset and over it those that are given."""
    given = {name: value for name, value in vars(args).items() if name in SETTINGS}
    if args.seconds:
        given["frames"] = frames_of(args.seconds, args.fps or card.defaults.fps)
    known = {name: value for name, value in given.items() if value is not None}
    return {**models.presets().get(args.preset, {}), **known}


def _print_plan(
    card: Card, planned: Plan, settings: dict[str, Any], args: argparse.Namespace
) -> None:
    evaluations = evaluations_of(settings)
    guidance = settings.get("guidance", card.defaults.guidance)
    passes = card.passes(guidance, settings.get("true_guidance", 1.0))
    at_once = min(args.machines, passes) if args.parallel == "guidance" else 1
    guess = guessed_seconds(planned, passes_of(settings) / at_once)
    facts = {**asdict(planned), "guessed_seconds": guess, "evaluations": evaluations}
    text = plan_text(planned, guess, evaluations, (args.machines, args.parallel))
    if not args.growth:
        print(json.dumps(facts) if args.json else text)
        return
    from .run.attention_costs import measured, table

    rows = measured(card, planned)
    if args.json:
        growth = [asdict(row) for row in rows]
        print(json.dumps({**facts, "growth": growth}))
        return
    print(text)
    size = f"{planned.width}x{planned.height}"
    print(f"\nOne call of a block over space and one over time, {size}, random weights, here:\n")
    for line in table(rows):
        print(line, flush=True)


def _by_hand(args: argparse.Namespace) -> Counts | None:
    """The counts of a geometry given by hand, or None where none is."""
    factors = (args.t_factor, args.s_factor, args.channels)
    if factors == (None, None, None) and args.patch is None and not args.causal:
        return None
    if None in factors:
        raise SettingError(
            "A geometry by hand needs `t_factor`, `s_factor` and `channels` together."
        )
    extra = [f"`{name}`" for name in OF_A_MODEL if getattr(args, name) is not None]
    if extra:
        raise SettingError(
            f"A geometry by hand stands in place of a model: leave out {', '.join(extra)} or the "
            "geometry."
        )
    if None in (args.frames, args.width, args.height):
        raise SettingError(
            "A geometry by hand needs `frames` (or `seconds` and `fps`), `width` and `height` too."
        )
    patch = args.patch or (1, 2, 2)
    geometry = Geometry(*factors, patch=patch, causal=args.causal)
    return plan_geometry(args.frames, args.width, args.height, geometry)


if __name__ == "__main__":
    sys.exit(main())
