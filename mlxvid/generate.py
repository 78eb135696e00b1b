"""The command line: ``python -m mlxvid.generate --prompt "…" -o clip.mp4``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from . import catalog, machines
from .cli import parser as cli
from .cli.asked import (
    Asked,
    check_preset,
    earlier_run,
    interrupted,
    only,
    refuse_settings,
    say_preset,
    settings_of,
)
from .cli.console import Emit, console
from .cli.generate_flags import parser
from .cli.making import Making, OnProgress, make_all
from .cli.outputs import Take, still_free, takes_of
from .cli.together import Sharing, from_first, share, together
from .errors import SettingError
from .media.targets import check_writable
from .model.settings import MAX_SEED, loading

log = logging.getLogger("mlxvid")

MAX_COUNT = 1000


@cli.run
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    with together():
        args = parser().parse_args(argv)
        if args.seconds is not None and args.frames is not None:
            raise SettingError("Give a length by `frames` or by `seconds`, not by both.")
        if args.worker and machines.started():
            raise SettingError("`worker` serves one machine: start it without mlx.launch.")
    if args.list_models:
        print(catalog.listing())
        return 0
    if args.worker:
        return _serve(args)
    with console(args.progress) as (emit, on_progress):
        _make(args, emit, on_progress)
    return 0


def _make(args: argparse.Namespace, emit: Emit, on_progress: OnProgress) -> None:
    with together():
        earlier = from_first(lambda: earlier_run(args))
        if args.decode_only is None:
            args.decode_only = earlier.get("decode_only")
        if args.decode_only is None:
            asked = interrupted(**earlier) if earlier else settings_of(args)
            _check_count(args.count, asked)
            takes = takes_of(args.output, asked.prompts, args.count)
            making = prepared(asked, takes, args, emit, on_progress)
    if args.decode_only is None:
        make_all(making, emit, on_progress)
    elif machines.is_first():
        decode_only(args, emit, on_progress)


def _check_count(count: int, asked: Asked) -> None:
    last_seed = asked.to_make.get("seed", 0) + count - 1
    if count * len(asked.prompts) > MAX_COUNT or last_seed > MAX_SEED:
        raise SettingError(
            f"`count` goes up to {MAX_COUNT}, all prompts together, and the last `seed` up to "
            "2^63 - 1: make fewer clips, or begin at a smaller one."
        )


def _serve(args: argparse.Namespace) -> int:
    if vars(args) != vars(parser().parse_args(["--worker"])):
        raise SettingError(
            "`worker` goes with no other flag: what to make comes as JSON lines on standard input."
        )
    from .worker import serve

    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]  # a file
    # Past what lets streams last: a worker that nobody reads has to end.
    return serve(sys.stdin, getattr(sys.stdout, "stream", sys.stdout))


def decode_only(args: argparse.Namespace, emit: Emit, on_progress: OnProgress) -> None:
    """Decode and save the latents that a failed run kept."""
    from . import load
    from .run.jobs import check_targets, save
    from .run.latents import read_latents
    from .run.repeat import repeatable

    refuse_settings(args, "`decode_saved` makes the clip of the run that failed")
    _, settings = read_latents(args.decode_only)
    kept = repeatable(settings, args.decode_only)
    (take,) = takes_of(args.output, [str(settings.get("prompt", ""))], 1)
    check_targets([take.target], kept, overwrite=not args.no_overwrite)
    check_writable(take.target, settings.get("frames"))
    pipe = load(**only(kept, loading()), on_progress=on_progress)
    pipe.keeps_unsaved = True
    start = time.monotonic()
    clip = pipe.decode_saved(args.decode_only, on_progress=on_progress)
    target = still_free(take)
    save(clip, target, on_progress, metadata=not args.no_metadata, overwrite=not args.no_overwrite)
    seconds = round(time.monotonic() - start, 2)
    emit("saved", path=target, seed=settings.get("seed"), seconds=seconds, settings=settings)


def prepared(
    asked: Asked,
    takes: Sequence[Take],
    args: argparse.Namespace,
    emit: Emit,
    on_progress: OnProgress,
) -> Making:
    """The clips to make, with the model loaded; checked before anything is downloaded, as far as
    that can be.
    """
    from . import load
    from .run.jobs import check_targets, known_card, with_length
    from .run.repeat import note_commit

    to_load = asked.to_load
    to_make = asked.to_make
    overwrite = not args.no_overwrite
    targets = [take.target for take in takes] if machines.is_first() else []
    check_targets(targets, {**to_load, **to_make}, asked.source, overwrite)
    card = known_card(to_load)
    if card is not None:  # checked before anything is downloaded
        check_preset(args.preset, card)
        to_make = with_length(to_make, args.seconds, card, targets)
        Sharing(args.parallel, len(takes), to_load, to_make, args.force).fitting(card)
    emit("load", model=to_load.get("model", catalog.DEFAULT_MODEL))
    pipe = load(**to_load, on_progress=on_progress)
    pipe.keeps_unsaved = True
    check_preset(args.preset, pipe.model.card)
    say_preset(args.preset, {**to_load, **to_make})
    note_commit(pipe.loaded, asked.made, asked.source)
    to_make = with_length(to_make, args.seconds, pipe.model.card, targets)
    # Of the model as it is loaded: a LoRA may bring other settings.
    sharing = Sharing(args.parallel, len(takes), to_load, to_make, args.force)
    share(sharing.agreed(pipe.model.card))
    return Making(pipe, to_make, takes, metadata=not args.no_metadata, overwrite=overwrite)


if __name__ == "__main__":
    sys.exit(main())
