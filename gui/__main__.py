"""Run the app with `python -m mlxvid.gui`, or the worker of a bundle."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the app, or the worker if the first argument is --worker.

    A bundle has no Python to start a worker with, so it starts its own executable again.
    """
    if sys.argv[1:2] == ["--worker"]:
        from mlxvid.generate import main as generate

        return generate(["--worker"])
    from .app import main as app

    return app()


if __name__ == "__main__":
    sys.exit(main())
