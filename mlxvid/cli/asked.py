"""What the flags of ``python -m mlxvid.generate`` ask for."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlxvid import in_use, models
from mlxvid.errors import SettingError
from mlxvid.media.clip import read_settings
from mlxvid.model.card import Card
from mlxvid.model.settings import SETTINGS, loading, making
from mlxvid.run.repeat import repeatable, require_same

from .flags import flag_of
from .prompts import read_prompt, read_prompts

# They are the other model's, where another is given than that of the clip to repeat.
_OF_THE_MODEL = frozenset(
    {
        "revision", "options", "sampler", "shift", "attention", "length_extrapolation",
        "draft_decode", "cache", "cache_threshold",
        "guidance_method", "skip_layers",
    }
)  # fmt: skip

Settings = dict[str, Any]

log = logging.getLogger("mlxvid")


class Asked(NamedTuple):
    """What to load and what to make, of several prompts the first; all prompts; and the settings
    of the clip that is repeated, with its file.
    """

    to_load: Settings
    to_make: Settings
    prompts: list[str]
    made: Settings = {}
    source: str = ""


def settings_of(args: argparse.Namespace) -> Asked:
    """What to load and what to make: the settings of --from, and over them whatever was given on
    the command line.
    """
    given = {
        name: value
        for name, value in vars(args).items()
        if name in SETTINGS and value is not None and name != "keyframes"
    }
    prompts = []
    if args.prompt_file is not None:
        prompts = read_prompts(args.prompt_file)
    elif args.prompt == "-":
        prompts = [read_prompt()]
    if prompts:
        given["prompt"] = prompts[0]
    made = read_settings(args.source) if args.source else {}
    earlier = _kept(repeatable(made, args.source), given) if args.source else {}
    preset: Mapping[str, Any] = models.presets().get(args.preset, {})
    merged = {**earlier, **preset, **given}
    options = {
        name: getattr(args, name) for name in models.options() if getattr(args, name) is not None
    }
    options = {**earlier.get("options", {}), **preset.get("options", {}), **options}
    if options:
        merged["options"] = options
    if not merged.get("prompt", "").strip():
        raise SettingError(
            'What should the clip show? Say it with --prompt "…", or repeat a clip with --from.'
        )
    merged["keyframes"] = _keyframes(args, given, earlier)
    if args.source:
        require_same(merged, made, args.source)
    return Asked(
        only(merged, loading()),
        only(merged, making()),
        prompts or [merged["prompt"]],
        made,
        args.source or "",
    )


def left_behind(args: argparse.Namespace) -> Path:
    """The file of the run to go on with: its checkpoint, or the latents that it kept.

    Raises :class:`SettingError` where there is none that nobody is at, or where flags would change
    it.
    """
    from mlxvid.run import checkpoint

    refuse_settings(args, "`resume` goes on with a run as it was")
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


def is_latents(source: Path) -> bool:
    """Whether a file that was left behind is among the kept latents."""
    from mlxvid.run.cache_files import latents_folder

    return source.resolve().parent == latents_folder().resolve()


def earlier_run(args: argparse.Namespace) -> Settings:
    """What --resume goes on with, JSON-able: {} without it, the kept latents as "decode_only", or
    the settings that a run has "made" and the "source" that they are in.
    """
    from mlxvid.run import checkpoint

    if args.resume is None:
        return {}
    left = left_behind(args)
    if is_latents(left):
        return {"decode_only": str(left)}
    return {"made": checkpoint.run_settings(left), "source": str(left)}


def interrupted(made: Settings, source: str) -> Asked:
    """What the interrupted run whose checkpoint is at `source` loaded and made."""
    kept = repeatable(made, source)
    require_same(kept, made, source)
    to_make = {**only(kept, making()), "resume": True}
    return Asked(only(kept, loading()), to_make, [kept.get("prompt", "")], made, source)


def refuse_settings(args: argparse.Namespace, why: str) -> None:
    """Raise :class:`SettingError` where a flag says what to make, or how, of a run that is settled
    already.
    """
    settings = {*SETTINGS, *models.options(), "preset", "seconds", "prompt_file"}
    given = [name for name, value in vars(args).items() if name in settings and value is not None]
    if given or args.count > 1:
        flags = ", ".join(flag_of(name) for name in given) or "--count"
        raise SettingError(f"{why}: leave out {flags}, or start a new run.")


def _kept(earlier: Mapping[str, Any], given: Mapping[str, Any]) -> Settings:
    """The settings of --from, without those that the given ones put aside."""
    aside: set[str] = set()
    if "model" in given and given["model"] != earlier.get("model"):
        aside |= _OF_THE_MODEL
    if "resolution" in given or "aspect" in given:
        aside |= {"width", "height"}
    return {name: value for name, value in earlier.items() if name not in aside}


def _keyframes(
    args: argparse.Namespace, given: Mapping[str, Any], earlier: Mapping[str, Any]
) -> dict[int, Any]:
    """What --from has for frames and over it what is given, by frame."""
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
        if frame < 0:
            keyframes.pop(earlier.get("frames", 0) + frame, None)
        keyframes[frame] = path
    return keyframes


def say_preset(name: str | None, settings: Mapping[str, Any]) -> None:
    """Log what a preset has set among the settings that a clip is loaded and made with."""
    preset: Mapping[str, Any] = models.presets().get(name or "", {})
    sets = {**preset, **preset.get("options", {})}
    have = {**settings, **settings.get("options", {})}
    taken = [f"`{key}` {have[key]}" for key in sets if key != "options" and have[key] == sets[key]]
    if taken:
        log.info("The preset %s sets %s.", name, ", ".join(taken))


def check_preset(name: str | None, card: Card) -> None:
    """Raise :class:`SettingError` for a preset that was made for other models."""
    own = card.family.presets
    if name is None or name in own:
        return
    remedy = f"take one of its own: {', '.join(sorted(own))}" if own else "leave it out"
    raise SettingError(f"The `preset` {name} was not made for {card.name}; {remedy}.")


def only(settings: Mapping[str, Any], names: Mapping[str, Any]) -> Settings:
    """The settings among these names."""
    return {name: settings[name] for name in names if name in settings}
