"""The command line: ``python -m mlxvid.generate --prompt "…" -o clip.mp4``."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mlxvid.cli.console import Emit, telling
from mlxvid.media.clip import check_writable, read_settings
from mlxvid.model.facts import describe, entry_of
from mlxvid.model.geometry import Defaults, frames_of
from mlxvid.model.options import OPTIONS
from mlxvid.run.request import IN_MEMORY, MAX_SEED, named

from . import Clip, catalog
from .cli import parser as cli
from .errors import ModelNotFoundError, SettingError, WeightsError
from .model import options

EXAMPLES = """examples:
  python -m mlxvid.generate --prompt "a red ball bouncing on a navy background" -o clip.mp4
  python -m mlxvid.generate --prompt "a small green star spinning" --width 128 --height 96 --seconds 1 --seed 7 -o star.gif
  python -m mlxvid.generate --prompt "a blue ring rising" --image first.png --count 4 -o takes/ring.mp4
  python -m mlxvid.generate --from clip.mp4 --steps 40 -o finer.mp4
  python -m mlxvid.generate --model wan2.1-t2v-1.3b --prompt "a fox runs through snow" --quantize 8 -o fox.mp4
  python -m mlxvid.generate --model wan2.1-i2v-14b-480p --prompt "she smiles" --image her.jpg --lora fast.safetensors --preset lightning
  python -m mlxvid.generate --resume -o fox.mp4
  python -m mlxvid.generate --list-models
"""
# What of a clip's settings is handed to Pipeline.generate, and what to mlxvid.load: names and
# types.
MAKING = {
    "prompt": str,
    "negative_prompt": str,
    "width": int,
    "height": int,
    "frames": int,
    "fps": (int, float),
    "steps": int,
    "guidance": (int, float),
    "seed": int,
    "sampler": str,
    "attention": str,
    "shift": (int, float),
    "image": str,
    "last_image": str,
    "keyframes": dict,
    "extend": str,
    "join": str,
    "resolution": str,
    "aspect": str,
    "options": dict,
}
LOADING = {"model": str, "quantize": int, "dtype": str, "revision": str, "loras": list}
MAX_COUNT = 1000
# What few-step distillations of Wan were made for: Lightning's LoRAs for 4 steps, CausVid's for 4
# to 8, neither with guidance.
PRESETS: dict[str, dict[str, Any]] = {
    "lightning": {"steps": 4, "guidance": 1.0, "sampler": "euler", "shift": 5.0},
    "causvid": {"steps": 8, "guidance": 1.0, "sampler": "unipc", "shift": 8.0},
}


def parser() -> cli.Parser:
    """The flags. None of them has a default here: what is not given comes from --from, else from
    the model.
    """
    p = cli.Parser(
        prog="python -m mlxvid.generate",
        description="Make a video clip from a prompt.",
        epilog=EXAMPLES,
    )
    what = p.add_argument_group("what to make")
    add = what.add_argument
    add("--prompt", metavar="TEXT", help="what the clip should show")
    add("--negative-prompt", metavar="TEXT", help="what it should not show")
    add("--image", metavar="FILE", help="a picture that the first frame should show")
    add("--last-image", metavar="FILE", help="a picture that the last frame should show")
    add(
        "--keyframe",
        metavar="N=FILE",
        action="append",
        type=_keyframe,
        default=[],
        help="a picture for frame N; may be given again",
    )
    add("--extend", metavar="CLIP", help="a clip to go on from: its last frames are the first here")
    add("--join", metavar="CLIP", help="a clip to lead to: its first frames are the last here")
    add("--width", type=cli.side, metavar="PIXELS")
    add("--height", type=cli.side, metavar="PIXELS")
    add(
        "--resolution",
        metavar="NAME",
        help="a size by name, such as 480p, for models whose sizes have names",
    )
    add("--aspect", metavar="W:H", help="with it, the proportions, such as 16:9")
    length = what.add_mutually_exclusive_group()
    length.add_argument("--frames", type=cli.frames, metavar="N", help="length in frames")
    length.add_argument(
        "--seconds", type=cli.positive, metavar="S", help="length in seconds, instead of --frames"
    )
    add("--fps", type=cli.positive, metavar="N", help="frames a second")
    add = p.add_argument_group("what some models can be told besides").add_argument
    for name, option in OPTIONS.items():
        kind = (
            {"metavar": "TEXT"}
            if option.low is None
            else {"metavar": "X", "type": cli.not_negative}
        )
        add(f"--{options.flag(name)}", help=option.about, **kind)
    earlier = p.add_argument_group("from what was done before")
    earlier = earlier.add_mutually_exclusive_group()
    earlier.add_argument(
        "--from",
        dest="source",
        metavar="CLIP",
        help="repeat a clip made by mlxvid, with its settings; flags given win",
    )
    earlier.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        const="",
        help="go on with the last run that was interrupted, or the one in the file RUN",
    )
    earlier.add_argument(
        "--decode-only",
        metavar="LATENTS",
        help="make the clip from the latents that a failed run kept",
    )
    add = p.add_argument_group("how to make it").add_argument
    add(
        "--model",
        metavar="NAME",
        help=f"a name of --list-models, a hub repository or a folder (default: {catalog.DEFAULT_MODEL})",
    )
    add("--revision", metavar="REV", help="of the hub repository")
    add("--steps", type=cli.whole, metavar="N", help="denoising steps: more are finer and slower")
    add(
        "--guidance",
        type=cli.not_negative,
        metavar="SCALE",
        help="how strongly the prompt pulls; 1: not at all",
    )
    add(
        "--seed",
        type=cli.seed,
        metavar="N",
        help="the same seed and settings give the same clip (default: a new one)",
    )
    add(
        "--sampler",
        metavar="NAME",
        help="of those that the model has: euler, heun, unipc; Latte's are ddim, ddpm, pndm, euler-discrete, euler-ancestral, "
        "heun-discrete, kdpm2-ancestral, dpm++, dpm++-single, deis, unipc-discrete (heun and kdpm2: twice the time a step)",
    )
    add(
        "--shift",
        type=cli.positive,
        metavar="X",
        help="of the noise schedule: more gives outlines and motion more of the steps",
    )
    add("--attention", metavar="MODE", help="factored, full or spatial, for models that can")
    add(
        "--lora",
        dest="loras",
        metavar="FILE[@SCALE]",
        action="append",
        help="a LoRA: a file or a hub repository[:file]; may be given again",
    )
    add(
        "--preset",
        choices=sorted(PRESETS),
        help="steps, guidance, sampler and shift that a few-step LoRA was made for; flags given win",
    )
    add(
        "--quantize",
        type=int,
        choices=(4, 8),
        help="bits a weight: to fit in memory, not for speed",
    )
    add("--dtype", metavar="TYPE", help="float32, bfloat16 or float16")
    add(
        "--count",
        type=cli.whole,
        metavar="N",
        default=1,
        help="make N clips, with the seed and those after it",
    )
    add("--force", action="store_true", help="begin even if the clip should not fit in memory")
    add = p.add_argument_group("where to").add_argument
    add(
        "-o",
        "--output",
        metavar="FILE",
        help=".mp4, .gif, .webm, .png, or a folder for PNG frames (default: named after the prompt)",
    )
    add(
        "--progress",
        choices=("bar", "json", "none"),
        default="bar",
        help="how progress is told (json: an object a line on standard output)",
    )
    add("--list-models", action="store_true", help="list the models known by name, and stop")
    add(
        "--worker",
        action="store_true",
        help="keep a model loaded and take requests as JSON lines on standard input (docs/worker.md)",
    )
    return p


def _keyframe(text: str) -> tuple[int, str]:
    match = re.fullmatch(r"(\d{1,6})=(.+)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be N=FILE as in 16=middle.png, not {text!r}")
    return int(match[1]), match[2]


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    if args.list_models:
        print(catalog.listing())
        return 0
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a polite kill is a Ctrl-C: it leaves no half-written file
    if args.worker:
        if vars(args) != vars(parser().parse_args(["--worker"])):
            raise SettingError(
                "--worker goes with no other flag: what to make comes as JSON lines on standard input."
            )
        from .worker import serve

        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        return serve(sys.stdin, sys.stdout)
    if args.decode_only is not None:
        return decode_only(args)
    loading, making = interrupted(args) if args.resume is not None else settings_of(args)
    if args.count > MAX_COUNT or making.get("seed", 0) + args.count - 1 > MAX_SEED:
        raise SettingError(
            f"--count goes up to {MAX_COUNT}, and its last seed up to 2^63 - 1: make fewer clips, or begin at a smaller seed."
        )
    targets = outputs(args.output, making["prompt"], args.count)
    with telling(args.progress) as (emit, on_progress):
        make_all(loading, making, args.seconds, targets, args.force, emit, on_progress)
    return 0


def interrupted(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an interrupted run loaded and made; raises :class:`SettingError` where there is none,
    where the last one died in the decoder, which only latents outlive, or where flags would change
    it."""
    from .run import checkpoint as keep

    _alone(args, "--resume goes on with a run as it was")
    source = args.resume or keep.last_left()
    if source is None:
        raise SettingError("There is no interrupted run to resume; begin one with --prompt.")
    if not args.resume and source.parent == keep.latents_folder():
        earlier = "".join(
            f", or go on with an earlier run by --resume {run}" for run in keep.saved_runs()[:1]
        )
        raise SettingError(
            f"The last run kept its latents; make the clip of them with --decode-only {source}{earlier}."
        )
    kept = repeatable(keep.run_settings(source), source)
    return {k: kept[k] for k in LOADING if k in kept}, {
        **{k: kept[k] for k in MAKING if k in kept},
        "resume": True,
    }


def decode_only(args: argparse.Namespace) -> int:
    """Decode and save the latents that a failed run kept; returns the exit code."""
    from . import load
    from .run import checkpoint as keep

    _alone(args, "--decode-only makes the clip of the run that failed")
    _, settings = keep.read_latents(args.decode_only)
    loading = repeatable(settings, args.decode_only)
    (target,) = outputs(args.output, str(settings.get("prompt", "")), 1)
    check_writable(target, settings.get("frames"))
    with telling(args.progress) as (emit, on_progress):
        pipe = load(**{k: loading[k] for k in LOADING if k in loading}, on_progress=on_progress)
        start = time.monotonic()
        clip = pipe.decode_saved(args.decode_only, on_progress=on_progress)
        save(clip, target, on_progress)
        emit(
            "saved",
            path=target,
            seed=settings.get("seed"),
            seconds=round(time.monotonic() - start, 2),
            settings=settings,
        )
    return 0


def _alone(args: argparse.Namespace, why: str) -> None:
    """Raise :class:`SettingError` where a flag says what to make, or how, of a run that is settled
    already.
    """
    flags = {
        k: v
        for k, v in vars(args).items()
        if k in {*MAKING, *LOADING, *OPTIONS, "preset", "seconds", "keyframe"} and v
    }
    if flags or args.count > 1:
        raise SettingError(
            f"{why}: leave out {', '.join('--' + k.replace('_', '-') for k in flags) or '--count'}, or start a new run."
        )


def settings_of(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to load and what to make: the settings of --from, and over them whatever was given on
    the command line.
    """
    given = {k: v for k, v in vars(args).items() if v is not None and k in {*MAKING, *LOADING}}
    earlier = repeatable(read_settings(args.source), args.source) if args.source else {}
    if "model" in given:
        earlier = {
            k: v for k, v in earlier.items() if k not in ("revision", "options")
        }  # they are the other model's
    if "resolution" in given or "aspect" in given:
        earlier = {k: v for k, v in earlier.items() if k not in ("width", "height")}
    merged = {**earlier, **PRESETS.get(args.preset, {}), **given}
    chosen = {
        **earlier.get("options", {}),
        **{k: getattr(args, k) for k in OPTIONS if getattr(args, k) is not None},
    }
    merged |= {"options": chosen} if chosen else {}
    if not merged.get("prompt", "").strip():
        raise SettingError(
            'What should the clip show? Say it with --prompt "…", or repeat a clip with --from.'
        )
    keyframes = earlier.get("keyframes", {})
    for flag, frame in (("image", 0), ("last_image", earlier.get("frames", 0) - 1)):
        if flag in given:
            keyframes.pop(frame, None)
    for frame, path in args.keyframe:
        if frame in dict(args.keyframe[: args.keyframe.index((frame, path))]):
            raise SettingError(f"Two pictures are given for frame {frame}; leave one of them out.")
        keyframes[frame] = path
    making = {k: merged[k] for k in MAKING if k in merged}
    return {k: merged[k] for k in LOADING if k in merged}, {**making, "keyframes": keyframes}


def repeatable(settings: dict, source: str) -> dict[str, Any]:
    """A clip's settings, as far as `load` and `generate` take them; raises :class:`SettingError`
    where they can't make it again.
    """
    kept = {k: v for k, v in settings.items() if k in {*MAKING, *LOADING} and v is not None}
    check_kinds(kept, f"The settings in {source}")
    if not all(isinstance(lora, str) for lora in kept.get("loras", [])):
        raise SettingError(f"The settings in {source} name loras that no clip can have.")
    kept["keyframes"] = keyframes_of(kept.get("keyframes", {}))
    sources = {*kept["keyframes"].values(), kept.get("extend"), kept.get("join")}
    if settings.get("latents") == "given" or IN_MEMORY in sources:
        raise SettingError(
            f"{source} was made from arrays that are not in the file; repeat it in Python with the same arrays."
        )
    return kept


def check_kinds(settings: dict[str, Any], where: str) -> None:
    """Raise :class:`SettingError` for a setting, as JSON has it, of another type than
    :data:`MAKING` or :data:`LOADING` says.
    """
    kinds = {**MAKING, **LOADING}
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, kinds[name]):
            raise SettingError(
                f"{where} give {name} as {json.dumps(value)[:60]}, which no clip can have."
            )


def keyframes_of(value: dict) -> dict[int, str]:
    """Paths by frame number as JSON has them, {"16": "path"}, with numbers for keys; raises
    :class:`SettingError` for anything else.
    """
    if not all(
        re.fullmatch("[0-9]{1,6}", key) and isinstance(path, str) for key, path in value.items()
    ):
        raise SettingError('Keyframes are paths by frame number, as in {"16": "middle.png"}.')
    return {int(key): path for key, path in value.items()}


def outputs(output: str | None, prompt: str, count: int) -> list[str]:
    """The paths to write: the asked-for one, numbered where several clips are made; else names
    after the prompt that are not taken yet.
    """
    if output is not None:
        return numbered(output, count)
    stem = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60] or "clip"
    names = (numbered(f"{stem}{f'-{n}' if n else ''}.mp4", count) for n in itertools.count())
    return next(free for free in names if not any(os.path.lexists(name) for name in free))


def numbered(output: str, count: int) -> list[str]:
    """`output` for one clip; for more, each with its number at the end of its name."""
    if count == 1:
        return [output]
    folder = output.endswith(("/", os.sep)) or os.path.isdir(output)
    stem, ending = (output.rstrip("/" + os.sep), "/") if folder else os.path.splitext(output)
    return [f"{stem}-{n:0{len(str(count))}}{ending}" for n in range(1, count + 1)]


def make_all(
    loading: dict,
    making: dict,
    seconds: float | None,
    targets: list[str],
    force: bool,
    emit: Emit,
    on_progress: Callable,
) -> None:
    """Load the model once and make a clip for each target, with the seeds that follow the first;
    `seconds` stand in place of frames.
    """
    from . import load

    entry = known(loading)
    if entry is not None:  # checked before anything is downloaded
        making = settled(making, seconds, entry.defaults, targets)
        if not force:
            require_fit(entry, loading, making)
    emit("load", model=loading.get("model", catalog.DEFAULT_MODEL))
    pipe = load(**loading, on_progress=on_progress)
    making = settled(making, seconds, pipe.family.defaults, targets)
    if entry is None and not force:
        require_fit(describe(pipe.family.components.folder.path), loading, making)
    for number, target in enumerate(targets):
        start = time.monotonic()
        seed = {"seed": making["seed"] + number} if "seed" in making else {}
        clip = pipe.generate(**{**making, **seed}, on_progress=on_progress)
        save(clip, target, on_progress)
        took = time.monotonic() - start
        emit(
            "saved",
            path=str(target),
            seed=clip.settings["seed"],
            seconds=round(took, 2),
            settings=clip.settings,
        )


def known(loading: dict) -> catalog.Entry | None:
    """The entry of the model to load; None for a hub repository that the catalog doesn't know, and
    for what is no model at all.
    """
    try:
        return entry_of(loading.get("model", catalog.DEFAULT_MODEL))
    except (ModelNotFoundError, WeightsError):  # which loading it says better
        return None


def settled(
    making: dict, seconds: float | None, defaults: Defaults, targets: Sequence[str]
) -> dict[str, Any]:
    """`making` with `seconds` as frames; raises :class:`MediaError` where a clip of that length
    can't be written to the targets.
    """
    if seconds is not None:
        making = {**making, "frames": frames_of(seconds, making.get("fps", defaults.fps))}
    for target in targets:
        check_writable(target, making.get("frames", defaults.frames))
    return making


def require_fit(entry: catalog.Entry, loading: dict, making: dict) -> None:
    """Raise :class:`DoesNotFitError` for a clip that is too large for this machine."""
    from .plan import plan

    shape = {k: making[k] for k in ("frames", "attention", "guidance") if k in making}
    try:
        size = named(
            *(making.get(k) for k in ("width", "height", "resolution", "aspect")), entry.geometry
        )
        planned = plan(
            entry,
            **shape,
            width=size[0],
            height=size[1],
            **{k: loading[k] for k in ("quantize", "dtype") if k in loading},
        )
    except SettingError:  # which loading and making say better
        return
    planned.require_fit()


def save(clip: Clip, target: str, on_progress: Callable, cancel: Any = None) -> None:
    """Write the clip, told as the stage "save"; `cancel` as :meth:`Pipeline.generate` takes it."""
    from mlxvid.progress import Watch

    watch = Watch(on_progress, cancel)
    watch.begin("save", len(clip.frames))
    clip.save(target, lambda done, total: watch.done())


if __name__ == "__main__":
    sys.exit(main())
