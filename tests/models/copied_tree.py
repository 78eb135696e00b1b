"""A copy of the package in which a family and a setting are added, as whoever adds one would.

The family is `factored` under another name: its folder, and one line in the registry. The setting
is one entry in the table. Everything else is the tree as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT

FAMILY_LINE = '    "factored",\n'
TABLE_LINE = "_TABLE = (\n"
SETTING = """    Setting(
        "grain",
        "number",
        "Film grain",
        "how much film grain the clip has",
        "how",
        low=0,
        high=1,
        metavar="X",
    ),
    Setting("mirrored", "switch", "Mirrored", "whether left and right are swapped"),
"""
OPTION = """    options=(Setting("dream", "switch", "Dream", "whether it dreams", "options"),),
    examples=(
"""


def copied_tree(folder: Path) -> Path:
    """The package copied to `folder`, with the family `copied` (model "copied-mini") added."""
    ignore = shutil.ignore_patterns("__pycache__")
    package = folder / "mlxvid"
    shutil.copytree(ROOT / "mlxvid", package, ignore=ignore)
    shutil.copytree(ROOT / "gui", package / "gui", ignore=ignore)
    shutil.copytree(ROOT / "convert", package / "convert", ignore=ignore)
    _copy_family(package)
    registry = package / "models" / "__init__.py"
    _replace(registry, FAMILY_LINE, FAMILY_LINE + '    "copied",\n')
    return folder


def add_setting(folder: Path) -> None:
    """Add the number `grain` and the switch `mirrored` to the table of the package in `folder`, and
    the switch `dream` to the options of the copied family, which takes any keyframes besides.
    """
    _replace(folder / "mlxvid" / "model" / "settings.py", TABLE_LINE, TABLE_LINE + SETTING)
    card = folder / "mlxvid" / "models" / "copied" / "card.py"
    _replace(card, "    examples=(\n", OPTION)
    _replace(card, "takes=TAKES", 'takes=TAKES | ABILITIES | {"dream"}')
    _replace(card, "card import ", "card import ABILITIES, ")
    _replace(card, "\nSHIFT =", "\nfrom mlxvid.model.settings import Setting\n\nSHIFT =")


def run(folder: Path, code: str, *arguments: str, cache: Path) -> str:
    """What `code` prints, run with the package in `folder`; it must end well."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "MLXVID_CACHE": str(cache),
        "QT_QPA_PLATFORM": "offscreen",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cache,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _copy_family(package: Path) -> None:
    models = package / "models"
    shutil.copytree(models / "factored", models / "copied")
    card = models / "copied" / "card.py"
    _replace(card, "FactoredPipeline", "CopiedPipeline")
    _replace(card, 'name="mini"', 'name="copied-mini"')
    _replace(card, 'ASSETS / "mini"', 'ASSETS / "copied"')
    assets = package / "assets"
    shutil.copytree(assets / "mini", assets / "copied")
    _replace(assets / "copied" / "model_index.json", "FactoredPipeline", "CopiedPipeline")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
