"""The command line: ``python -m mlxvid.generate --prompt "…" -o clip.mp4``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from . import Clip, catalog, cli
from .clip import check_writable, read_settings
from .errors import SettingError
from .geometry import frames_of

EXAMPLES = """examples:
  python -m mlxvid.generate --prompt "a red ball bouncing on a navy background" -o clip.mp4
  python -m mlxvid.generate --prompt "a small green star spinning" --width 128 --height 96 --seconds 1 --seed 7 -o star.gif
  python -m mlxvid.generate --prompt "a blue ring rising" --image first.png --count 4 -o takes/ring.mp4
  python -m mlxvid.generate --from clip.mp4 --steps 40 -o finer.mp4
  python -m mlxvid.generate --list-models
"""
# What of a clip's settings is handed to Pipeline.generate, and what to mlxvid.load.
MAKING = (
    "prompt", "negative_prompt", "width", "height", "frames", "fps", "steps", "guidance", "seed", "sampler", "attention", "keyframes",
)  # fmt: skip
LOADING = ("model", "quantize", "dtype", "revision")

Emit = Callable[..., None]


def parser() -> cli.Parser:
    """The flags. None of them has a default here: what is not given comes from --from, else from the model."""
    p = cli.Parser(prog="python -m mlxvid.generate", description="Make a video clip from a prompt.", epilog=EXAMPLES)
    add = p.add_argument_group("what to make").add_argument
    add("--prompt", metavar="TEXT", help="what the clip should show")
    add("--negative-prompt", metavar="TEXT", help="what it should not show")
    add("--image", metavar="FILE", help="a picture that the first frame should show")
    add("--last-image", metavar="FILE", help="a picture that the last frame should show")
    add("--keyframe", metavar="N=FILE", action="append", type=_keyframe, default=[], help="a picture for frame N; may be given again")
    add("--width", type=cli.side, metavar="PIXELS")
    add("--height", type=cli.side, metavar="PIXELS")
    length = p.add_mutually_exclusive_group()
    length.add_argument("--frames", type=cli.frames, metavar="N", help="length in frames")
    length.add_argument("--seconds", type=cli.positive, metavar="S", help="length in seconds, instead of --frames")
    add("--fps", type=cli.positive, metavar="N", help="frames a second")
    add("--from", dest="source", metavar="CLIP", help="repeat a clip made by mlxvid, with its settings; flags given here win")
    add = p.add_argument_group("how to make it").add_argument
    add("--model", metavar="NAME", help=f"a name of --list-models, a hub repository or a folder (default: {catalog.DEFAULT_MODEL})")
    add("--revision", metavar="REV", help="of the hub repository")
    add("--steps", type=cli.whole, metavar="N", help="denoising steps: more are finer and slower")
    add("--guidance", type=cli.not_negative, metavar="SCALE", help="how strongly the prompt pulls; 1: not at all")
    add("--seed", type=cli.seed, metavar="N", help="the same seed and settings give the same clip (default: a new one)")
    add("--sampler", metavar="NAME", help="euler, or heun (second order, twice the time a step)")
    add("--attention", metavar="MODE", help="factored, full or spatial, for models that can")
    add("--quantize", type=int, choices=(4, 8), help="bits a weight: to fit in memory, not for speed")
    add("--dtype", metavar="TYPE", help="float32, bfloat16 or float16")
    add("--count", type=cli.whole, metavar="N", default=1, help="make N clips, with the seed and those after it")
    add("--force", action="store_true", help="begin even if the clip should not fit in memory")
    add = p.add_argument_group("where to").add_argument
    add("-o", "--output", metavar="FILE", help=".mp4, .gif, .webm, .png, or a folder for PNG frames (default: named after the prompt)")
    add("--progress", choices=("bar", "json", "none"), default="bar", help="how progress is told (json: an object a line on standard output)")
    add("--list-models", action="store_true", help="list the models known by name, and stop")
    add("--worker", action="store_true", help="keep a model loaded and take requests as JSON lines on standard input (docs/worker.md)")
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill is a Ctrl-C: it leaves no half-written file
    if args.worker:
        from .worker import serve

        return serve(sys.stdin, sys.stdout)
    loading, making = settings_of(args)
    targets = outputs(args.output, making["prompt"], args.count)
    for target in targets:
        check_writable(target, making.get("frames"))
    with telling(args.progress) as (emit, on_progress):
        make_all(loading, making, targets, args.force, emit, on_progress)
    return 0


def settings_of(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to load and what to make: the settings of --from, and over them whatever was given on the command line."""
    earlier = repeatable(read_settings(args.source), args.source) if args.source else {}
    given = {k: v for k, v in vars(args).items() if v is not None}
    merged = {**earlier, **{k: v for k, v in given.items() if k in MAKING + LOADING}}
    if not merged.get("prompt"):
        raise SettingError('What should the clip show? Say it with --prompt "…", or repeat a clip with --from.')
    loading = {k: merged[k] for k in LOADING if k in merged}
    making = {k: merged[k] for k in MAKING if k in merged}
    if args.seconds is not None:
        fps = making.get("fps") or catalog.find(loading.get("model", catalog.DEFAULT_MODEL)).defaults.fps
        making["frames"] = frames_of(args.seconds, fps)
    keyframes = {**making.pop("keyframes", {}), **dict(args.keyframe)}
    if args.image:
        keyframes.pop(0, None)
        making["image"] = args.image
    if args.last_image:
        keyframes.pop(making.get("frames", 0) - 1, None)
        making["last_image"] = args.last_image
    return loading, {**making, "keyframes": keyframes}


def repeatable(settings: dict, source: str) -> dict[str, Any]:
    """A clip's settings, as far as `load` and `generate` take them."""
    keyframes = {int(frame): path for frame, path in settings.get("keyframes", {}).items()}
    if settings.get("latents") == "given" or "a picture in memory" in keyframes.values():
        raise SettingError(f"{source} was made from arrays that are not in the file; repeat it in Python with the same arrays.")
    kept = {k: v for k, v in settings.items() if k in MAKING + LOADING and v is not None}
    return {**kept, "keyframes": keyframes}


def outputs(output: str | None, prompt: str, count: int) -> list[str]:
    """The paths to write: the asked-for one, numbered where several clips are made; else one named after the prompt that is not there yet."""
    if output is None:
        stem = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60] or "clip"
        output = next(name for name in (f"{stem}{f'-{n}' if n else ''}.mp4" for n in range(10_000)) if not Path(name).exists())
    if count == 1:
        return [output]
    path = Path(output)
    return [str(path.with_name(f"{path.stem}-{n:0{len(str(count))}}{path.suffix}")) for n in range(1, count + 1)]


def make_all(loading: dict, making: dict, targets: list[str], force: bool, emit: Emit, on_progress: Callable) -> None:
    """Load the model once and make a clip for each target, with the seeds that follow the first."""
    from . import load

    if not force:
        require_fit(loading, making)
    emit("load", model=loading.get("model", catalog.DEFAULT_MODEL))
    pipe = load(**loading)
    for number, target in enumerate(targets):
        start = time.monotonic()
        seed = {"seed": making["seed"] + number} if "seed" in making else {}
        clip = pipe.generate(**{**making, **seed}, on_progress=on_progress)
        save(clip, target, on_progress)
        seconds = time.monotonic() - start
        emit("saved", path=str(target), seed=clip.settings["seed"], seconds=round(seconds, 2), settings=clip.settings)


def require_fit(loading: dict, making: dict) -> None:
    """Raise :class:`DoesNotFitError` for a clip of a catalog model that is too large for this machine."""
    from .plan import plan

    model = loading.get("model", catalog.DEFAULT_MODEL)
    if model in catalog.CATALOG:
        shape = {k: making[k] for k in ("frames", "width", "height", "attention") if k in making}
        plan(model, **shape, **{k: loading[k] for k in ("quantize", "dtype") if k in loading}).require_fit()


def save(clip: Clip, target: str, on_progress: Callable) -> None:
    """Write the clip, told as the stage "save"."""
    from .pipeline import Watch

    watch = Watch(on_progress, None)
    watch.begin("save", len(clip.frames))
    clip.save(target, lambda done, total: watch.done())


@contextlib.contextmanager
def telling(how: str) -> Iterator[tuple[Emit, Callable]]:
    """What tells the user of events and of progress, as bars, JSON lines or not at all; notes of the library included."""
    teller = {"bar": _Bars, "json": _Json, "none": _Quiet}[how]()
    handler = logging.Handler()
    handler.emit = lambda record: teller.note(record.getMessage())
    log = logging.getLogger("mlxvid")
    log.addHandler(handler)
    try:
        yield teller.event, teller.progress
    finally:
        log.removeHandler(handler)
        teller.close()


class _Quiet:
    """Notes on standard error, the path of each clip on standard output, nothing else."""

    def event(self, name: str, **facts: Any) -> None:
        if name == "saved":
            print(facts["path"], flush=True)

    def progress(self, progress: Any) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Bars(_Quiet):
    """A bar with rate and time to go for each stage, on standard error."""

    def __init__(self) -> None:
        self._bar = self._stage = None

    def event(self, name: str, **facts: Any) -> None:
        self.close()
        if name == "saved":
            print(f"seed {facts['seed']}, {facts['seconds']:.1f} s", file=sys.stderr)
        super().event(name, **facts)

    def progress(self, progress: Any) -> None:
        from tqdm import tqdm

        if progress.stage != self._stage:
            self.close()
            unit = "frame" if progress.stage in ("decode", "save") else "step"
            self._bar = tqdm(total=progress.total, desc=f"{progress.stage:<8}", unit=unit, file=sys.stderr, dynamic_ncols=True)
            self._stage = progress.stage
        self._bar.update(progress.step - self._bar.n)

    def note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None


class _Json(_Quiet):
    """One JSON object a line on standard output."""

    def event(self, name: str, **facts: Any) -> None:
        print(json.dumps({"event": name, **facts}), flush=True)

    def progress(self, progress: Any) -> None:
        self.event("progress", **facts_of(progress))

    def note(self, text: str) -> None:
        self.event("note", text=text)


def facts_of(progress: Any) -> dict[str, Any]:
    """A :class:`~mlxvid.pipeline.Progress` as JSON-able facts, times in seconds."""
    remaining = None if progress.remaining is None else round(progress.remaining, 3)
    return {"stage": progress.stage, "step": progress.step, "total": progress.total, "elapsed": round(progress.elapsed, 3), "remaining": remaining}


if __name__ == "__main__":
    sys.exit(main())
