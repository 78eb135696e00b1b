"""``python -m mlxvid.gui``: the app, or in a bundle its worker."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the app. With ``--worker`` this same executable is the worker: a bundle has no Python to
    start one with.
    """
    if sys.argv[1:2] == ["--worker"]:
        from mlxvid.generate import main as generate

        return generate(["--worker"])
    from .app import main as app

    return app()


if __name__ == "__main__":
    sys.exit(main())
