#!/usr/bin/env python3
"""Pictures of the app at work, in three sizes and both appearances.

They are of the real window, worker and model, and need no screen. What is shot stands in
scripts/scenes, a module for each part of the window.

examples:
  scripts/screenshots                         all of them into docs/
  scripts/screenshots shots --only compare    one scene, into another folder
  scripts/screenshots shots --only gallery --size 1100x700 --appearance dark --text 1.5
  scripts/screenshots --library DIR           clips and settings are kept there, for the next run
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # where scripts/ stands
SCREEN = {
    "name": "screen",
    "x": 0,
    "y": 0,
    "width": 1920,
    "height": 1200,
    "logicalDpi": 96,
    "logicalBaseDpi": 96,
    "dpr": 1,
}
_CONFIG = Path(tempfile.gettempdir()) / f"mlxvid-screen-{os.getpid()}.json"
_CONFIG.write_text(json.dumps({"screens": [SCREEN]}))
os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={_CONFIG}"

from PySide6.QtGui import QFont, QFontDatabase  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from mlxvid.cli.parser import Parser, run  # noqa: E402
from mlxvid.gui.app import follow_appearance, make_application  # noqa: E402
from mlxvid.gui.core.preferences import Appearance, Preferences  # noqa: E402
from scripts.scenes import Scene, every_scene  # noqa: E402
from scripts.scenes.studio import Look, Studio  # noqa: E402

SIZES = {"1440x900": (1440, 900), "1280x800": (1280, 800), "1100x700": (1100, 700)}
APPEARANCES = (Appearance.DARK, Appearance.LIGHT)
FONTS = ("Inter", "Noto Sans", "Cantarell")
_POINTS = 10  # of the text


def parser(scenes: Sequence[str]) -> Parser:
    """The command's flags."""
    p = Parser(prog="scripts/screenshots", description=__doc__)
    p.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=ROOT / "docs",
        metavar="FOLDER",
        help="where the pictures go (default: docs/)",
    )
    p.add_argument("--only", choices=scenes, action="append", help="this scene; may be given again")
    p.add_argument("--size", choices=list(SIZES), action="append", help="this size alone")
    p.add_argument(
        "--appearance",
        choices=[appearance.value for appearance in APPEARANCES],
        help="this one alone",
    )
    p.add_argument("--text", type=float, default=1.0, metavar="X", help="text so many times larger")
    p.add_argument(
        "--library",
        type=Path,
        metavar="DIR",
        help="the app's data, kept for the next run (default: a folder that is deleted)",
    )
    return p


@run
def main(argv: Sequence[str] | None = None) -> int:
    """Take the pictures; returns the exit code."""
    scenes = every_scene()
    args = parser(list(scenes)).parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    app = make_application(["mlxvid"])
    known = QFontDatabase.families()
    fonts = [name for name in FONTS if name in known]
    family = fonts[0] if fonts else app.font().family()
    app.setFont(QFont(family, round(_POINTS * args.text)))
    look = Look(
        {size: SIZES[size] for size in args.size or SIZES},
        (Appearance(args.appearance),) if args.appearance else APPEARANCES,
        args.text,
    )
    with tempfile.TemporaryDirectory() as temporary:
        library = args.library or Path(temporary)
        for name in args.only or scenes:
            take(app, args.folder, library, scenes[name], look)
    _CONFIG.unlink()
    return 0


def take(app: QApplication, out: Path, library: Path, scene: Scene, look: Look) -> None:
    """Open a window on the library, with clips or on an empty one, and shoot a scene of it."""
    data = library / ("empty" if scene.empty else "data")
    os.environ["MLXVID_DATA"] = str(data)
    os.environ["MLXVID_CLIPS"] = str(data / "clips")
    preferences = Preferences()
    follow_appearance(app, preferences)
    studio = Studio(out, preferences, look)
    try:
        if not scene.empty:
            studio.fill()
        scene.play(studio)
    finally:
        studio.close()


if __name__ == "__main__":
    sys.exit(main(None))
