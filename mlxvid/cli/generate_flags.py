"""The flags of ``python -m mlxvid.generate``."""

from __future__ import annotations

from mlxvid import models
from mlxvid.machines import WAYS
from mlxvid.model.settings import SETTINGS

from . import parser as cli
from .flags import add_setting, add_settings

PROG = "python -m mlxvid.generate"


def parser() -> cli.Parser:
    """The flags. None of them has a default here: what is not given comes from --from, else from
    the model.
    """
    p = cli.Parser(prog=PROG, description="Make a video clip from a prompt.", epilog=_examples())
    what = p.add_argument_group("what to make")
    prompts = what.add_mutually_exclusive_group()
    add_setting(prompts, SETTINGS["prompt"])
    prompts.add_argument(
        "--prompt-file",
        metavar="FILE",
        help="a clip for each line of a text file, but for blank ones and those that begin with #; "
        "- is standard input",
    )
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
        help="settings that go together: for a few-step LoRA, for a draft, for what a Mac's memory "
        "holds; flags given win",
    )
    how.add_argument(
        "--count",
        type=cli.whole,
        metavar="N",
        default=1,
        help="make N clips of each prompt, with the seed and those after it",
    )
    how.add_argument(
        "--parallel",
        choices=WAYS,
        help="what machines share that mlx.launch has started together (docs/two-macs.md): the "
        "takes of --count (data parallel), the passes of guidance (CFG parallel), or the "
        "network's layers, for a model that is too large for one (tensor parallel) (default: the "
        "first of these that is enough for all)",
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
        help=".mp4, .gif, .webp, .webm, .mov (ProRes), .mkv (FFV1), .png, or a folder for PNG "
        "frames; what is there is replaced (default: a new name after the prompt)",
    )
    group.add_argument(
        "--no-overwrite",
        action="store_true",
        help="stop before anything is done where a clip would replace what is there",
    )
    group.add_argument(
        "--no-metadata",
        action="store_true",
        help="leave the settings, the prompt among them, out of the file; --from needs them",
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
