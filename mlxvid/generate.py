"""The command line: ``python -m mlxvid.generate --prompt "…" -o clip.mp4``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import catalog, models
from .cli import parser as cli
from .cli.console import Emit, console
from .cli.flags import add_setting, add_settings, flag_of
from .cli.outputs import outputs
from .errors import SettingError
from .media.clip import check_writable, read_settings
from .model.settings import MAX_SEED, SETTINGS, loading, making
from .progress import Progress

PROG = "python -m mlxvid.generate"
MAX_COUNT = 1000

Settings = dict[str, Any]
OnProgress = Callable[[Progress], None]

log = logging.getLogger("mlxvid")


def parser() -> cli.Parser:
    """The flags. None of them has a default here: what is not given comes from --from, else from
    the model.
    """
    p = cli.Parser(prog=PROG, description="Make a video clip from a prompt.", epilog=_examples())
    what = p.add_argument_group("what to make")
    add_setting(what, SETTINGS["prompt"])
    add_settings(what, "what")
    what.add_argument(
        "--seconds", type=cli.positive, metavar="S", help="length in seconds, instead of --frames"
    )
    add_settings(p.add_argument_group("what some models can be told besides"), "options")
    _add_earlier(p)
    how = p.add_argument_group("how to make it")
    add_settings(how, "loading")
    add_settings(how, "how")
    how.add_argument(
        "--preset",
        choices=sorted(models.presets()),
        help="steps, guidance, sampler and shift that a few-step LoRA was made for; flags given "
        "win",
    )
    how.add_argument(
        "--count",
        type=cli.whole,
        metavar="N",
        default=1,
        help="make N clips, with the seed and those after it",
    )
    how.add_argument(
        "--force", action="store_true", help="begin even if the clip should not fit in memory"
    )
    _add_places(p)
    return p


def _add_earlier(p: cli.Parser) -> None:
    group = p.add_argument_group("from what was done before")
    earlier = group.add_mutually_exclusive_group()
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


def _add_places(p: cli.Parser) -> None:
    group = p.add_argument_group("where to")
    group.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=".mp4, .gif, .webm, .png, or a folder for PNG frames (default: named after the "
        "prompt)",
    )
    cli.add_progress(group)
    group.add_argument(
        "--list-models", action="store_true", help="list the models known by name, and stop"
    )
    group.add_argument(
        "--worker",
        action="store_true",
        help="keep a model loaded and take requests as JSON lines on standard input "
        "(docs/worker.md)",
    )


def _examples() -> str:
    lines = [example for family in models.families() for example in family.examples]
    lines += ["--from clip.mp4 --steps 40 -o finer.mp4", "--resume -o fox.mp4", "--list-models"]
    return "\n".join(["examples:", *(f"  {PROG} {line}" for line in lines)])


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    args = parser().parse_args(argv)
    if args.list_models:
        print(catalog.listing())
        return 0
    if args.worker:
        return _serve(args)
    if args.seconds is not None and args.frames is not None:
        raise SettingError("Give a length by `frames` or by `seconds`, not by both.")
    with console(args.progress) as (emit, on_progress):
        _make(args, emit, on_progress)
    return 0


def _make(args: argparse.Namespace, emit: Emit, on_progress: OnProgress) -> None:
    if args.resume is not None:
        from .run.cache_files import latents_folder

        source = interrupted(args)
        if source.parent == latents_folder():
            args.decode_only = str(source)
    if args.decode_only is not None:
        decode_only(args, emit, on_progress)
        return
    if args.resume is not None:
        to_load, to_make = _interrupted_settings(source)
    else:
        to_load, to_make = settings_of(args)
    last_seed = to_make.get("seed", 0) + args.count - 1
    if args.count > MAX_COUNT or last_seed > MAX_SEED:
        raise SettingError(
            f"`count` goes up to {MAX_COUNT}, and its last seed up to 2^63 - 1: make fewer clips, "
            "or begin at a smaller seed."
        )
    targets = outputs(args.output, to_make["prompt"], args.count)
    make_all(to_load, to_make, args.seconds, targets, args.force, emit, on_progress)


def _serve(args: argparse.Namespace) -> int:
    if vars(args) != vars(parser().parse_args(["--worker"])):
        raise SettingError(
            "`worker` goes with no other flag: what to make comes as JSON lines on standard input."
        )
    from .worker import serve

    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # a file
    # Past what lets streams last: a worker that nobody reads has to end.
    return serve(sys.stdin, getattr(sys.stdout, "stream", sys.stdout))


# --- what was done before ------------------------------------------------------------------------


def interrupted(args: argparse.Namespace) -> Path:
    """The file of the run to go on with: its checkpoint, or the latents that it kept.

    Raises :class:`SettingError` where there is none that nobody is at, or where flags would change
    it.
    """
    from . import in_use
    from .run import checkpoint

    _refuse_settings(args, "`resume` goes on with a run as it was")
    if args.resume:
        source = Path(args.resume)
        if source.is_file() and not in_use.is_free(source):
            raise SettingError(
                f"The run in {source} is under way in another process: wait until that has ended, "
                "or give `resume` alone for another run."
            )
        return source
    last = checkpoint.last_left()
    if last is None and checkpoint.is_anything_left():
        raise SettingError(
            "The only runs to resume are under way in other processes; wait until they have ended, "
            "or begin one with `prompt`."
        )
    if last is None:
        raise SettingError("There is no interrupted run to resume; begin one with `prompt`.")
    log.info("Going on with %s.", last)
    return last


def _interrupted_settings(source: Path) -> tuple[Settings, Settings]:
    """What an interrupted run loaded and made."""
    from .run.checkpoint import run_settings
    from .run.repeat import repeatable

    kept = repeatable(run_settings(source), str(source))
    return _only(kept, loading()), {**_only(kept, making()), "resume": True}


def decode_only(args: argparse.Namespace, emit: Emit, on_progress: OnProgress) -> None:
    """Decode and save the latents that a failed run kept."""
    from . import load
    from .run.jobs import save
    from .run.latents import read_latents
    from .run.repeat import repeatable

    _refuse_settings(args, "`decode_saved` makes the clip of the run that failed")
    _, settings = read_latents(args.decode_only)
    kept = repeatable(settings, args.decode_only)
    (target,) = outputs(args.output, str(settings.get("prompt", "")), 1)
    check_writable(target, settings.get("frames"))
    pipe = load(**_only(kept, loading()), on_progress=on_progress)
    pipe.keeps_unsaved = True
    start = time.monotonic()
    clip = pipe.decode_saved(args.decode_only, on_progress=on_progress)
    save(clip, target, on_progress)
    seconds = round(time.monotonic() - start, 2)
    emit("saved", path=target, seed=settings.get("seed"), seconds=seconds, settings=settings)


def _refuse_settings(args: argparse.Namespace, why: str) -> None:
    """Raise :class:`SettingError` where a flag says what to make, or how, of a run that is settled
    already.
    """
    settings = {*SETTINGS, *models.options(), "preset", "seconds"}
    given = [name for name, value in vars(args).items() if name in settings and value]
    if given or args.count > 1:
        flags = ", ".join(flag_of(name) for name in given) or "--count"
        raise SettingError(f"{why}: leave out {flags}, or start a new run.")


# --- what to make --------------------------------------------------------------------------------


def settings_of(args: argparse.Namespace) -> tuple[Settings, Settings]:
    """What to load and what to make: the settings of --from, and over them whatever was given on
    the command line.
    """
    given = {
        name: value
        for name, value in vars(args).items()
        if name in SETTINGS and value is not None and name != "keyframes"
    }
    earlier = _earlier(args, given)
    merged = {**earlier, **models.presets().get(args.preset, {}), **given}
    options = {
        name: getattr(args, name) for name in models.options() if getattr(args, name) is not None
    }
    options = {**earlier.get("options", {}), **options}
    if options:
        merged["options"] = options
    if not merged.get("prompt", "").strip():
        raise SettingError(
            'What should the clip show? Say it with --prompt "…", or repeat a clip with --from.'
        )
    merged["keyframes"] = _keyframes(args, given, earlier)
    return _only(merged, loading()), _only(merged, making())


def _earlier(args: argparse.Namespace, given: Mapping[str, Any]) -> Settings:
    """The settings of --from, without those that the given ones put aside."""
    if not args.source:
        return {}
    from .run.repeat import repeatable

    earlier = repeatable(read_settings(args.source), args.source)
    aside: set[str] = set()
    if "model" in given:
        aside |= {"revision", "options"}  # they are the other model's
    if "resolution" in given or "aspect" in given:
        aside |= {"width", "height"}
    return {name: value for name, value in earlier.items() if name not in aside}


def _keyframes(
    args: argparse.Namespace, given: Mapping[str, Any], earlier: Mapping[str, Any]
) -> dict[int, str]:
    """The pictures of --from and over them the given ones, by frame."""
    keyframes = dict(earlier.get("keyframes", {}))
    if "image" in given:
        keyframes.pop(0, None)
    if "last_image" in given:
        keyframes.pop(earlier.get("frames", 0) - 1, None)
    seen = set()
    for frame, path in args.keyframes or []:
        if frame in seen:
            raise SettingError(f"Two pictures are given for frame {frame}; leave one of them out.")
        seen.add(frame)
        keyframes[frame] = path
    return keyframes


def _only(settings: Mapping[str, Any], names: Mapping[str, Any]) -> Settings:
    return {name: settings[name] for name in names if name in settings}


def make_all(
    to_load: Settings,
    to_make: Settings,
    seconds: float | None,
    targets: Sequence[str],
    force: bool,
    emit: Emit,
    on_progress: OnProgress,
) -> None:
    """Load the model once and make a clip for each target, with the seeds that follow the first.

    seconds: stand in place of frames, where they are given.
    """
    from . import load
    from .run.jobs import known_card, require_fit, save, with_length

    card = known_card(to_load)
    if card is not None:  # checked before anything is downloaded
        to_make = with_length(to_make, seconds, card, targets)
        if not force:
            require_fit(card, to_load, to_make)
    emit("load", model=to_load.get("model", catalog.DEFAULT_MODEL))
    pipe = load(**to_load, on_progress=on_progress)
    pipe.keeps_unsaved = True
    to_make = with_length(to_make, seconds, pipe.model.card, targets)
    if card is None and not force:
        require_fit(pipe.model.card, to_load, to_make)
    for number, target in enumerate(targets):
        start = time.monotonic()
        settings = dict(to_make)
        if "seed" in settings:
            settings["seed"] += number
        clip = pipe.generate(**settings, on_progress=on_progress)
        save(clip, target, on_progress)
        took = round(time.monotonic() - start, 2)
        seed = clip.settings["seed"]
        emit("saved", path=str(target), seed=seed, seconds=took, settings=clip.settings)


if __name__ == "__main__":
    sys.exit(main())
