"""What of docs/ is made from the code: the settings, what fits which Mac, and the API reference.

scripts/docs writes them; tests/test_docs.py checks that the first two are current. The reference
is not kept in the repository.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import mlxvid
from mlxvid import models
from mlxvid.catalog import DEFAULT_MODEL
from mlxvid.model import machine
from mlxvid.model.card import Card
from mlxvid.model.geometry import Defaults
from mlxvid.model.machine import GIB, Machine
from mlxvid.model.settings import MAX_SEED, SETTINGS, Setting
from mlxvid.run.planning import Plan, counted, gib, plan

DOCS = Path(__file__).resolve().parents[1] / "docs"
SETTINGS_PAGE = DOCS / "settings.md"
MODELS_PAGE = DOCS / "models.md"
REFERENCE = DOCS / "api"
# Modules that are no part of the reference.
NOT_PUBLIC = ("cli", "_before_mlx", "_blas", "__main__")

MACS = (16, 24, 32, 48, 64, 96, 128)
"""GB of memory."""
BITS = (None, 8, 4)
# Beyond this share of what a clip may take it is close.
CLOSE = 0.9

BEGIN = "<!-- Made by scripts/docs: begin -->"
END = "<!-- Made by scripts/docs: end -->"
# Around a table of what fits of the model that is named.
OF_ONE = re.compile(
    r"(<!-- Made by scripts/docs of (\S+): begin -->\n).*?(<!-- Made by scripts/docs: end -->)",
    re.DOTALL,
)
MACS_OF_ONE = (16, 24, 36, 64, 128)

GROUPS = {
    "what": "What to make",
    "options": "What some models take besides",
    "how": "How to make it",
    "loading": "What to load",
}
INTRODUCTION = """\
# Settings

<!-- Made by scripts/docs of mlxvid/model/settings.py and the families' cards: edit those. -->

Every setting has one name. `mlxvid.load` takes those under "What to load", `Pipeline.generate` the
others, as keyword arguments. A worker's requests ([worker.md](worker.md)) and the settings in a
clip's file have the same names, and the command line has a flag for each. Options of single models
are flags like the others; in Python and in requests they stand in `options`, as in
`options={"aesthetic": 6}`. What is left out has the model's default.

Flags that say what to do, such as `--from`, `--resume` and `--count`, are no settings:
`python -m mlxvid.generate --help` lists them.

## In a clip's file

A clip's settings, **the prompt among them, are stored in its file**, so that `--from clip.mp4`
makes it again. `--no-metadata` (`clip.save(path, metadata=False)`, a worker's `metadata: false`)
leaves them out; such a clip can't be repeated, and a folder of frames then has no frame rate.

Beside the settings stand `mlxvid`, the version that made the clip; `commit`, of the model's hub
repository; `skipped`, how many evaluations of the network a step cache left out, and of how many;
and `digests`, a short SHA-256 of each picture, clip and local LoRA that it was made from (by path:
of the file's bytes, or of a folder's frames or weights; of what Python gave in memory by place: of
the pixels). `--from` says which of these have changed since, and stops where one is gone. A LoRA
of the hub, and a model's weights, have no digest.

A clip never replaces what it is made from. Whatever else has the name of `--output` is replaced,
which is said, and `--no-overwrite` stops instead; names that are made after the prompt are always
new ones.
"""


def settings_page() -> str:
    """docs/settings.md."""
    sections = [INTRODUCTION]
    for group, title in GROUPS.items():
        members = [setting for setting in _settings() if setting.group == group]
        rows = [_setting_row(setting) for setting in members if setting.kind != "options"]
        header = ("setting", "flag", "kind", "default", "models", "what it is")
        sections.append(f"## {title}\n\n{_table(header, rows)}")
    sections += [_defaults_section(), _presets_section()]
    return "\n".join(sections)


def models_page(text: str) -> str:
    """docs/models.md, whose text is given, with the table of what fits which Mac brought up to
    date.
    """
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{fit_table()}\n{END}{after}"


def model_pages() -> list[Path]:
    """The pages with such tables."""
    pages = sorted(DOCS.glob("*.md"))
    return [page for page in pages if OF_ONE.search(page.read_text(encoding="utf-8"))]


def model_page(text: str) -> str:
    """A page on some models, whose text is given, with its tables of what fits of one of them
    brought up to date.
    """
    return OF_ONE.sub(lambda found: f"{found[1]}\n{largest_table(found[2])}\n{found[3]}", text)


def largest_table(model: str) -> str:
    """The largest clips of a model that fit, by a Mac's memory and bits a weight, as a table."""
    header = ("Mac", *(f"{bits} bits" if bits else "as stored" for bits in BITS))
    rows = []
    for gb in MACS_OF_ONE:
        plans = [plan(model, quantize=bits, machine=mac(gb)) for bits in BITS]
        rows.append((f"{gb} GB", *map(_largest, plans)))
    return _table(header, rows)


def _largest(planned: Plan) -> str:
    """The default clip, or what fits in its place at these bits."""
    if planned.fits:
        return f"all {planned.frames} frames at {planned.width}x{planned.height}"
    others = [other for other in planned.alternatives if other.quantize == planned.quantize]
    sizes = [f"{other.frames} at {other.width}x{other.height}" for other in others[:2]]
    return ", or ".join(sizes) or "no"


def fit_table() -> str:
    """What of every release's default clip fits in a Mac's memory, as a table."""
    header = ("model and its default clip", "bits a weight", "peak", *(f"{gb} GB" for gb in MACS))
    rows = [row for card in models.cards() for row in _fit_rows(card)]
    return _table(header, rows)


def mac(gigabytes: int) -> Machine:
    """A Mac with that much memory."""
    return machine.mac(gigabytes * GIB, f"Mac, {gigabytes} GB")


# --- settings ------------------------------------------------------------------------------------


def _settings() -> Iterable[Setting]:
    return [*SETTINGS.values(), *models.options().values()]


def _setting_row(setting: Setting) -> Sequence[str]:
    return (
        f"`{setting.name}`",
        _flags(setting),
        _kind(setting),
        _default(setting),
        _takers(setting),
        setting.help,
    )


def _flags(setting: Setting) -> str:
    off = f", `--no-{setting.dashed}`" if setting.kind == "switch" else ""
    return f"`--{setting.dashed}`{off}"


def _kind(setting: Setting) -> str:
    """A setting's kind, and its range or choices."""
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.kind not in ("whole", "number"):
        kinds = {"keyframes": "pictures by frame", "loras": "list of texts"}
        return {**kinds, "switch": "true or false"}.get(setting.kind, setting.kind)
    kind = "whole number" if setting.kind == "whole" else "number"
    low = 0 if setting.low is None else setting.low
    high = "2^63 - 1" if setting.high in (None, MAX_SEED) else f"{setting.high:.7g}"
    return f"{kind}, {low:g} to {high}"


def _default(setting: Setting) -> str:
    """Its default, where that is more than nothing."""
    if setting.name == "model":
        return f"`{DEFAULT_MODEL}`"
    if setting.name == "seed":
        return "random"
    if setting.name in Defaults.__dataclass_fields__ or setting.name in ("shift", "attention"):
        return "the model's"
    values = {card.options[setting.name] for card in models.cards() if setting.name in card.options}
    if setting.kind == "switch":
        return ", ".join("true" if value else "false" for value in sorted(values))
    return ", ".join(f"{value}" for value in sorted(values, key=str))


def _takers(setting: Setting) -> str:
    """The models that take it."""
    cards = models.cards()
    if not setting.needs_support and setting.group != "options":
        return "all"
    takers = [card for card in cards if setting.name in card.takes]
    others = [f"`{card.name}`" for card in cards if setting.name not in card.takes]
    if not others:
        return "all"
    if len(others) < len(takers):
        return f"all but {', '.join(others)}"
    return ", ".join(_taker(card, setting) for card in takers)


def _taker(card: Card, setting: Setting) -> str:
    needed = " (needed)" if setting.name in card.needs else ""
    return f"`{card.name}`{needed}"


def _defaults_section() -> str:
    header = ("model", "size", "frames", "fps", "steps", "guidance", "shift", "sampler", "others")
    rows = [_defaults_row(card) for card in models.cards()]
    return f"## The models' defaults\n\n{_table(header, rows)}"


def _defaults_row(card: Card) -> Sequence[str]:
    usual = card.defaults
    shift = card.shift(usual.width, usual.height)
    others = [f"`{name}`" for name in card.samplers if name != usual.sampler]
    return (
        f"`{card.name}`",
        f"{usual.width}x{usual.height}",
        f"{usual.frames}",
        f"{usual.fps:g}",
        f"{usual.steps}",
        f"{usual.guidance:g}",
        "by size" if shift is None and "shift" in card.takes else _number(shift),
        f"`{usual.sampler}`",
        ", ".join(others),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _presets_section() -> str:
    rows = []
    for name, settings in models.presets().items():
        given = []
        for setting, value in settings.items():
            inner = value if isinstance(value, dict) else {setting: value}
            given += [f"`{one}` {of_it}" for one, of_it in inner.items()]
        rows.append((f"`{name}`", ", ".join(given)))
    about = "`--preset NAME` on the command line; flags that are given besides win."
    return f"## Presets\n\n{about}\n\n{_table(('preset', 'settings'), rows)}"


# --- what fits -----------------------------------------------------------------------------------


def _fit_rows(card: Card) -> list[Sequence[str]]:
    """A row for each number of bits a weight that takes less memory than the one before."""
    usual = card.defaults
    rows: list[Sequence[str]] = []
    least = None
    for bits in BITS:
        plans = [plan(card, quantize=bits, machine=mac(gb)) for gb in MACS]
        # Where there is much memory, some decoders take more of it.
        peak = min(planned.peak_bytes for planned in plans)
        if least is not None and peak >= least:
            continue
        least = peak
        title = (
            "" if rows else f"`{card.name}`, {usual.frames} frames, {usual.width}x{usual.height}"
        )
        rows.append((title, f"{bits or 'as stored'}", gib(peak), *map(_fit, plans)))
    return rows


def _fit(planned: Plan) -> str:
    """Whether the clip fits, or how many frames of it do."""
    if planned.fits:
        close = planned.peak_bytes > CLOSE * planned.machine.usable
        return "close" if close else "yes"
    for other in planned.alternatives:
        same = (planned.width, planned.height, planned.quantize)
        if (other.width, other.height, other.quantize) == same:
            return counted(other.frames, "frame")
    return "no"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell or ' ' for cell in line)} |\n" for line in lines)


# --- the API reference ---------------------------------------------------------------------------


def write_reference() -> None:
    """Write docs/api, a page a module."""
    import pdoc
    import pdoc.render

    # pdoc sees what a package's namespace holds, and these come there when they are first used.
    vars(mlxvid).update(load=mlxvid.load, Pipeline=mlxvid.Pipeline)
    # It leaves out modules that are not in a package's `__all__`.
    for module in pkgutil.walk_packages(mlxvid.__path__, "mlxvid."):
        package, _, name = module.name.rpartition(".")
        exported = getattr(importlib.import_module(package), "__all__", None)
        if exported is not None and name not in (*exported, *NOT_PUBLIC):
            exported.append(name)
    # What a dataclass takes from its fields is shown as it is written.
    warnings.filterwarnings("ignore", "Error parsing type annotation")
    pdoc.render.configure(docformat="restructuredtext")
    pdoc.pdoc("mlxvid", "mlxvid.convert", output_directory=REFERENCE)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the pages and the reference."""
    argparse.ArgumentParser(
        prog="scripts/docs", description="Write the pages of docs/ that are made from the code."
    ).parse_args(argv)
    SETTINGS_PAGE.write_text(settings_page(), encoding="utf-8")
    text = MODELS_PAGE.read_text(encoding="utf-8")
    MODELS_PAGE.write_text(models_page(text), encoding="utf-8")
    for page in model_pages():
        page.write_text(model_page(page.read_text(encoding="utf-8")), encoding="utf-8")
    write_reference()
    for path in (SETTINGS_PAGE, MODELS_PAGE, *model_pages(), REFERENCE / "index.html"):
        print(path.relative_to(DOCS.parent))


if __name__ == "__main__":
    main()
